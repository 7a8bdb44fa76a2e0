/*
 * Moves a state to a new export of the same network.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define LARGEST 1e15 /* Of all magnitudes: `restore` refuses this and more. */

/* The old and the new model. */
typedef struct {
  const char *paths[2];
  tinytl_description manifests[2];
  uint8_t fingerprints[2][TINYTL_FINGERPRINT_SIZE];
} move;

enum { OLD, NEW };

static int compare_variables(const void *left, const void *right) {
  const tinytl_variable *one = left;
  const tinytl_variable *other = right;
  const int order = strcmp(one->name, other->name);
  return order != 0 ? order : strcmp(one->shape, other->shape);
}

/* Reads the fingerprint in a manifest; returns whether it is valid. */
static bool read_fingerprint(const char *digits, uint8_t *fingerprint) {
  if (strlen(digits) != 2 * TINYTL_FINGERPRINT_SIZE ||
      strspn(digits, "0123456789abcdef") != 2 * TINYTL_FINGERPRINT_SIZE) {
    return false;
  }
  for (size_t i = 0; i < TINYTL_FINGERPRINT_SIZE; i++) {
    const char byte[] = {digits[2 * i], digits[2 * i + 1], '\0'};
    fingerprint[i] = (uint8_t)strtoul(byte, NULL, 16);
  }
  return true;
}

/* Reads a manifest, and sorts its variables. */
static tinytl_status read_side(move *models, int side, tinytl_error *error) {
  const char *path = models->paths[side];
  tinytl_description *manifest = &models->manifests[side];
  const tinytl_status status = tinytl_read_manifest(path, manifest, error);
  if (status != TINYTL_OK) {
    return status;
  }
  if (!read_fingerprint(manifest->sha256, models->fingerprints[side])) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected 64 hexadecimal digits as sha256 in %s, got "
                       "others; export the model again",
                       path);
  }
  const size_t outputs =
      manifest->label_count + (size_t)manifest->spare_classes;
  if (manifest->has_gaps || manifest->variable_count == 0 ||
      (manifest->spare_classes > 0 && manifest->bias.count != outputs)) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected the parts of the state without gaps in %s, "
                       "with a classifier for all outputs; export the model "
                       "again",
                       path);
  }
  qsort(manifest->variables, manifest->variable_count,
        sizeof *manifest->variables, compare_variables);
  return TINYTL_OK;
}

/* Whether two manifests have the same labels and the same task. */
static bool same_classes(const tinytl_description *old,
                         const tinytl_description *new) {
  bool same =
      strcmp(old->task, new->task) == 0 && old->label_count == new->label_count;
  for (size_t i = 0; same && i < old->label_count; i++) {
    same = strcmp(old->labels[i], new->labels[i]) == 0;
  }
  return same;
}

/* Whether a manifest has the digest of the frozen weights. */
static bool has_digest(const tinytl_description *manifest) {
  return manifest->frozen_sha256 != NULL && manifest->frozen_sha256[0] != '\0';
}

/* Returns the first variable that only one of the manifests has, or NULL. */
static const tinytl_variable *find_difference(const tinytl_description *old,
                                              const tinytl_description *new) {
  for (size_t i = 0; i < old->variable_count || i < new->variable_count; i++) {
    if (i == old->variable_count) {
      return &new->variables[i];
    }
    if (i == new->variable_count) {
      return &old->variables[i];
    }
    const int order = compare_variables(&old->variables[i], &new->variables[i]);
    if (order != 0) {
      return order < 0 ? &old->variables[i] : &new->variables[i];
    }
  }
  return NULL;
}

/* Refuses models that are not exports of one network with the same classes. */
static tinytl_status check_models(const move *models, tinytl_error *error) {
  const tinytl_description *old = &models->manifests[OLD];
  const tinytl_description *new = &models->manifests[NEW];
  if (!same_classes(old, new)) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected the classes of %s in this order in %s, got "
                       "others; move states between models of the same classes",
                       models->paths[NEW], models->paths[OLD]);
  }
  if (has_digest(old) && has_digest(new) &&
      strcmp(old->frozen_sha256, new->frozen_sha256) != 0) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected a model of the network of %s, got one with "
                       "other frozen weights in %s; move states between models "
                       "of one network",
                       models->paths[NEW], models->paths[OLD]);
  }
  const tinytl_variable *different = find_difference(old, new);
  if (different != NULL) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected the trained variables of %s in %s, got a "
                       "difference at %.200s; move states between models of "
                       "one network and update scheme",
                       models->paths[NEW], models->paths[OLD], different->name);
  }
  return TINYTL_OK;
}

/* Copies the variables to their new positions; the slots of `moved` are 0. */
static void copy_variables(const move *models, const float *state,
                           float *moved) {
  const tinytl_description *old = &models->manifests[OLD];
  const tinytl_description *new = &models->manifests[NEW];
  for (size_t i = 0; i < new->variable_count; i++) {
    const float *source = state + old->variables[i].part.offset;
    float *target = moved + new->variables[i].part.offset;
    for (size_t k = 0; k < new->variables[i].part.count; k++) {
      target[k] = source[k] + 0.0F; /* -0 becomes 0, as in Python. */
    }
  }
}

/* Refuses a state that the new model could not restore. */
static tinytl_status check_moved(const move *models, const char *path,
                                 const float *moved, size_t added,
                                 tinytl_error *error) {
  const tinytl_description *new = &models->manifests[NEW];
  double total = 0;
  for (size_t i = 0; i < new->state_size; i++) {
    total += fabs((double)moved[i]);
  }
  if (total >= LARGEST) {
    return tinytl_fail(error, TINYTL_ERROR_REFUSED,
                       "cannot move %s: expected magnitudes that add up to "
                       "less than 1e15, got %g; use another copy, or reset the "
                       "model and train with a lower learning rate",
                       path, total);
  }
  return tinytl_check_used(new, moved, added, error);
}

/* Moves the state with room for the old and the new one. */
static tinytl_status move_values(const move *models, const char *path,
                                 const char *output, float *state, float *moved,
                                 tinytl_error *error) {
  const tinytl_description *old = &models->manifests[OLD];
  char *lines = NULL;
  tinytl_status status = tinytl_read_state(
      path, models->fingerprints[OLD], state, old->state_size, &lines, error);
  tinytl_added added = {0};
  if (status == TINYTL_OK) {
    status = tinytl_make_added(old, lines, &added, error);
  }
  if (status == TINYTL_OK) {
    copy_variables(models, state, moved);
    status = check_moved(models, path, moved, added.count, error);
  }
  if (status == TINYTL_OK) {
    status = tinytl_write_state(output, models->fingerprints[NEW], moved,
                                models->manifests[NEW].state_size, added.lines,
                                error);
  }
  tinytl_free_added(&added);
  return status;
}

tinytl_status tinytl_move_state(const char *path, const char *from_manifest,
                                const char *to_manifest, const char *output,
                                tinytl_error *error) {
  if (path == NULL || from_manifest == NULL || to_manifest == NULL ||
      output == NULL) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected four paths, got NULL; pass all of them");
  }
  move models = {.paths = {from_manifest, to_manifest}};
  tinytl_status status = read_side(&models, OLD, error);
  if (status == TINYTL_OK) {
    status = read_side(&models, NEW, error);
  }
  if (status == TINYTL_OK) {
    status = check_models(&models, error);
  }
  if (status == TINYTL_OK) {
    const size_t sizes[] = {models.manifests[OLD].state_size,
                            models.manifests[NEW].state_size};
    float *state = calloc(sizes[OLD], sizeof *state);
    float *moved = calloc(sizes[NEW], sizeof *moved);
    status = state == NULL || moved == NULL
                 ? tinytl_fail_memory(error, sizes[NEW] * sizeof *moved)
                 : move_values(&models, path, output, state, moved, error);
    free(state);
    free(moved);
  }
  tinytl_free_description(&models.manifests[OLD]);
  tinytl_free_description(&models.manifests[NEW]);
  return status;
}
