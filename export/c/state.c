/*
 * The state of a model: all values that training changes.
 */

#include <stdlib.h>
#include <string.h>

#include "model.h"

tinytl_status tinytl_get_state(tinytl_model *model, float *state, size_t count,
                               tinytl_error *error) {
  if (model == NULL || state == NULL) {
    return tinytl_fail_null(error);
  }
  const tinytl_status status =
      tinytl_check_size("a state", count, model->info.state_size, error);
  if (status != TINYTL_OK) {
    return status;
  }
  void *const results[] = {state};
  return tinytl_call(model, SAVE, NULL, results, error);
}

/* Sets a state of a model with this number of added classes. */
static tinytl_status set_state(tinytl_model *model, const float *state,
                               size_t added, tinytl_error *error) {
  const size_t count = model->info.state_size;
  const size_t bad = tinytl_find_not_finite(state, count);
  if (bad < count) {
    return tinytl_fail(error, TINYTL_ERROR_NOT_FINITE,
                       "cannot set the state: expected finite values, got %g "
                       "at index %zu; use another copy",
                       (double)state[bad], bad);
  }
  tinytl_status status =
      model->info.has_manifest
          ? tinytl_check_used(&model->description, state, added, error)
          : TINYTL_OK;
  if (status != TINYTL_OK) {
    return status;
  }
  int32_t restored = 0;
  const void *const values[] = {state};
  void *const results[] = {&restored};
  status = tinytl_call(model, RESTORE, values, results, error);
  if (status == TINYTL_OK && restored == 0) {
    return tinytl_fail(
        error, TINYTL_ERROR_REFUSED,
        "cannot set the state: no training leads to it (its values add up to "
        "over 1e15, or a second moment or the count of steps is negative); use "
        "another copy, or reset the model and train with a lower learning "
        "rate");
  }
  return status;
}

tinytl_status tinytl_set_state(tinytl_model *model, const float *state,
                               size_t count, tinytl_error *error) {
  if (model == NULL || state == NULL) {
    return tinytl_fail_null(error);
  }
  const tinytl_status status =
      tinytl_check_size("a state", count, model->info.state_size, error);
  return status == TINYTL_OK
             ? set_state(model, state, model->added.count, error)
             : status;
}

/* Sets a state and its added classes, or neither; takes ownership of the lines.
 */
tinytl_status tinytl_set_classes(tinytl_model *model, const float *state,
                                 char *lines, tinytl_error *error) {
  tinytl_added added;
  tinytl_status status =
      tinytl_make_added(&model->description, lines, &added, error);
  if (status == TINYTL_OK) {
    status = set_state(model, state, added.count, error);
    if (status == TINYTL_OK) {
      tinytl_put_added(model, &added);
    } else {
      tinytl_free_added(&added);
    }
  }
  return status;
}

tinytl_status tinytl_save(tinytl_model *model, const char *path,
                          tinytl_error *error) {
  if (model == NULL || path == NULL) {
    return tinytl_fail_null(error);
  }
  const size_t count = model->info.state_size;
  float *state = malloc(count * sizeof *state);
  if (state == NULL) {
    return tinytl_fail_memory(error, count * sizeof *state);
  }
  tinytl_status status = tinytl_get_state(model, state, count, error);
  if (status == TINYTL_OK) {
    status = tinytl_write_state(path, model->info.fingerprint, state, count,
                                model->added.lines, error);
  }
  free(state);
  return status;
}

tinytl_status tinytl_restore(tinytl_model *model, const char *path,
                             tinytl_error *error) {
  if (model == NULL || path == NULL) {
    return tinytl_fail_null(error);
  }
  const size_t count = model->info.state_size;
  float *state = malloc(count * sizeof *state);
  if (state == NULL) {
    return tinytl_fail_memory(error, count * sizeof *state);
  }
  char *lines = NULL;
  tinytl_status status = tinytl_read_state(path, model->info.fingerprint, state,
                                           count, &lines, error);
  if (status == TINYTL_OK) {
    status = tinytl_set_classes(model, state, lines, error);
  }
  free(state);
  return status;
}

tinytl_status tinytl_reset(tinytl_model *model, tinytl_error *error) {
  if (model == NULL) {
    return tinytl_fail_null(error);
  }
  if (!model->signatures[RESET].exists) {
    return tinytl_set_classes(model, model->exported, NULL, error);
  }
  int32_t restored = 0;
  void *const results[] = {&restored};
  const tinytl_status status = tinytl_call(model, RESET, NULL, results, error);
  if (status == TINYTL_OK && restored == 0) {
    return tinytl_fail(error, TINYTL_ERROR_RUNTIME,
                       "the model refuses its own exported state; export it "
                       "again");
  }
  if (status == TINYTL_OK) {
    const tinytl_added none = {0};
    tinytl_put_added(model, &none);
  }
  return status;
}
