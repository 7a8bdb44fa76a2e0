/*
 * Classes of the outputs: exported and added classes.
 */

#define _DEFAULT_SOURCE /* strdup() in C11. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define LABELS_ENTRY "TINYTL"
#define LARGEST_ENTRY (1024 * 1024)

/* ---- Names of the file ---- */

static bool same_names(const tinytl_description *one,
                       const tinytl_description *other) {
  if (one->label_count != other->label_count ||
      one->spare_classes != other->spare_classes ||
      strcmp(one->task, other->task) != 0) {
    return false;
  }
  for (size_t i = 0; i < one->label_count; i++) {
    if (strcmp(one->labels[i], other->labels[i]) != 0) {
      return false;
    }
  }
  return true;
}

/* Reads task and names from the `.tflite`, and compares them with the manifest.
 */
tinytl_status tinytl_read_names(tinytl_model *model, tinytl_error *error) {
  const void *text = NULL;
  size_t size = 0;
  if (model->litert.GetModelMetadata(model->model, LABELS_ENTRY, &text,
                                     &size) != LITERT_OK ||
      text == NULL) {
    return TINYTL_OK;
  }
  tinytl_description names = {0};
  if (size > LARGEST_ENTRY) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "expected names of at most %d bytes in the .tflite, got "
                       "%zu; export it again",
                       LARGEST_ENTRY, size);
  }
  tinytl_status status = tinytl_parse_description(
      text, size, "the names in the .tflite", &names, error);
  if (status != TINYTL_OK) {
    return status;
  }
  if (names.contract < CONTRACT || names.contract > ARRAY_CONTRACT ||
      names.task == NULL || names.labels == NULL) {
    status = tinytl_fail(error, TINYTL_ERROR_MODEL,
                         "expected task and labels of contract %d or %d in the "
                         ".tflite, got those of contract %ld; export it again",
                         CONTRACT, ARRAY_CONTRACT, names.contract);
  } else if (!model->info.has_manifest) {
    model->description = names; /* XNNPACK is on by default. */
    return TINYTL_OK;
  } else if (!same_names(&names, &model->description)) {
    status = tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                         "the .tflite is for other classes than its manifest; "
                         "copy both files of one export");
  }
  tinytl_free_description(&names);
  return status;
}

static int compare_names(const void *one, const void *other) {
  return strcmp(*(char *const *)one, *(char *const *)other);
}

/* Returns the names in order, to be freed with free(), or NULL. */
static char **sort_names(char *const *names, size_t count) {
  char **sorted = malloc((count == 0 ? 1 : count) * sizeof *sorted);
  if (sorted != NULL && count > 0) {
    memcpy(sorted, names, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_names);
  }
  return sorted;
}

/* Checks names and spare classes against the outputs. */
static tinytl_status check_labels(tinytl_model *model, tinytl_error *error) {
  const tinytl_description *names = &model->description;
  const size_t outputs = (size_t)model->info.outputs;
  const size_t spare = (size_t)names->spare_classes;
  model->info.classes = model->info.outputs;
  if (names->labels == NULL && spare == 0) {
    return TINYTL_OK;
  }
  if (names->label_count + spare != outputs ||
      (spare > 0 && model->info.task != TINYTL_TASK_CLASSIFICATION)) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "expected names and spare classes for %zu outputs, got "
                       "%zu and %zu; export the model again",
                       outputs, names->label_count, spare);
  }
  char **sorted = sort_names(names->labels, names->label_count);
  model->labels = calloc(outputs, sizeof *model->labels);
  if (sorted == NULL || model->labels == NULL) {
    free(sorted);
    return tinytl_fail_memory(error, outputs * sizeof *sorted);
  }
  bool twins = false;
  for (size_t i = 1; i < names->label_count; i++) {
    twins = twins || strcmp(sorted[i - 1], sorted[i]) == 0;
  }
  free(sorted);
  if (twins) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "expected names of classes that differ, got one twice; "
                       "export the model again");
  }
  for (size_t i = 0; i < names->label_count; i++) {
    model->labels[i] = names->labels[i];
  }
  model->info.labels = model->labels;
  model->info.classes = (int32_t)names->label_count;
  model->info.spare_classes = (int32_t)spare;
  return TINYTL_OK;
}

/* Checks the position of the classifier in the state by the manifest. */
static tinytl_status check_parts(const tinytl_model *model,
                                 tinytl_error *error) {
  const tinytl_description *file = &model->description;
  const size_t outputs = (size_t)model->info.outputs;
  const size_t size = model->info.state_size;
  if (file->spare_classes == 0 || !model->info.has_manifest) {
    return TINYTL_OK;
  }
  if (file->bias.count != outputs || file->kernel.count == 0 ||
      file->kernel.count % outputs != 0 || file->bias.offset > size ||
      file->bias.count > size - file->bias.offset ||
      file->kernel.offset > size ||
      file->kernel.count > size - file->kernel.offset) {
    return tinytl_fail(
        error, TINYTL_ERROR_MANIFEST,
        "expected bias and kernel of a classifier with %zu outputs in the "
        "state, got different shapes in the manifest; export the model again",
        outputs);
  }
  return TINYTL_OK;
}

tinytl_status tinytl_check_outputs(tinytl_model *model, tinytl_error *error) {
  const tinytl_status status = check_labels(model, error);
  return status == TINYTL_OK ? check_parts(model, error) : status;
}

/* ---- Added classes ---- */

void tinytl_free_added(tinytl_added *added) {
  free(added->lines);
  free(added->names);
  *added = (tinytl_added){0};
}

/* Returns the position after a name of `added->names`. */
static const char *next_name(const char *name) {
  return name + strlen(name) + 1;
}

/* Refuses and frees added classes that have names of exported classes. */
static tinytl_status check_added(const tinytl_description *file,
                                 tinytl_added *added, tinytl_error *error) {
  char **sorted = sort_names(file->labels, file->label_count);
  if (sorted == NULL) {
    tinytl_free_added(added);
    return tinytl_fail_memory(error, file->label_count * sizeof *sorted);
  }
  const char *name = added->names;
  char *const *twin = NULL;
  for (size_t i = 0; twin == NULL && i < added->count; i++) {
    twin = bsearch(&name, sorted, file->label_count, sizeof *sorted,
                   compare_names);
    name = next_name(name);
  }
  tinytl_status status = TINYTL_OK;
  if (twin != NULL) {
    status = tinytl_fail(error, TINYTL_ERROR_NAMES,
                         "expected names of added classes that differ from the "
                         "model's, got %.100s; use another name",
                         *twin);
    tinytl_free_added(added);
  }
  free(sorted);
  return status;
}

/*
 * Makes the added classes from the names in a state file, one on each line.
 * Takes ownership of `lines`, which may be NULL. Refuses more classes than are
 * spare, and names of exported classes.
 */
tinytl_status tinytl_make_added(const tinytl_description *file, char *lines,
                                tinytl_added *added, tinytl_error *error) {
  *added = (tinytl_added){.lines = lines};
  if (lines == NULL) {
    return TINYTL_OK;
  }
  added->names = strdup(lines);
  if (added->names == NULL) {
    const size_t size = strlen(lines) + 1;
    tinytl_free_added(added);
    return tinytl_fail_memory(error, size);
  }
  added->count = 1;
  for (char *c = added->names; *c != '\0'; c++) {
    if (*c == '\n') {
      *c = '\0';
      added->count++;
      c++; /* Names are not empty. */
    }
  }
  if (added->count > (size_t)file->spare_classes) {
    const size_t count = added->count;
    tinytl_free_added(added);
    return tinytl_fail(error, TINYTL_ERROR_NAMES,
                       "expected names of at most %ld added classes, the spare "
                       "ones of the model, got %zu; use another copy",
                       file->spare_classes, count);
  }
  return check_added(file, added, error);
}

/* Replaces the added classes, and takes ownership of the new ones. */
void tinytl_put_added(tinytl_model *model, const tinytl_added *added) {
  tinytl_free_added(&model->added);
  model->added = *added;
  if (model->labels == NULL) {
    return;
  }
  const size_t first = model->description.label_count;
  const char *name = added->names;
  for (size_t i = 0; i < added->count; i++, name = next_name(name)) {
    model->labels[first + i] = name;
  }
  model->info.classes = (int32_t)(first + added->count);
  model->info.spare_classes = model->info.outputs - model->info.classes;
}

/* Refuses a state whose outputs in use are not those that have a name.
   Only a manifest has their place. */
tinytl_status tinytl_check_used(const tinytl_description *file,
                                const float *state, size_t added,
                                tinytl_error *error) {
  if (file->spare_classes == 0) {
    return TINYTL_OK;
  }
  const float *bias = state + file->bias.offset;
  const size_t expected = file->label_count + added;
  size_t used = 0;
  bool exact = true;
  for (size_t i = 0; i < file->bias.count; i++) {
    used += bias[i] > UNUSED_BIAS / 2;
    exact = exact && (i < expected || bias[i] == UNUSED_BIAS);
  }
  if (used != expected || !exact) {
    return tinytl_fail(error, TINYTL_ERROR_OUTPUTS,
                       "cannot set the state: expected %zu outputs in use, got "
                       "%zu; restore it from its file, which has the names of "
                       "the added classes",
                       expected, used);
  }
  return TINYTL_OK;
}

/* ---- Adding a class ---- */

/* Returns the lines of the added classes with one more name, or NULL. */
static char *append_name(const char *lines, const char *name) {
  const size_t old = lines == NULL ? 0 : strlen(lines) + 1;
  const size_t size = old + strlen(name) + 1;
  char *result = malloc(size);
  if (result != NULL) {
    (void)snprintf(result, size, "%s%s%s", lines == NULL ? "" : lines,
                   lines == NULL ? "" : "\n", name);
  }
  return result;
}

/* Sets a column of a matrix to the mean of the columns before it. */
static void set_mean(float *matrix, size_t rows, size_t columns,
                     size_t column) {
  for (size_t row = 0; row < rows; row++) {
    float *values = matrix + row * columns;
    double sum = 0;
    for (size_t i = 0; i < column; i++) {
      sum += (double)values[i];
    }
    values[column] = (float)(sum / (double)column);
  }
}

/* Gives the next output to a class; `state` has room for a state. */
static tinytl_status add_class(tinytl_model *model, const char *name,
                               float *state, tinytl_error *error) {
  const tinytl_description *file = &model->description;
  const size_t outputs = (size_t)model->info.outputs;
  const size_t label = (size_t)model->info.classes;
  char *lines = append_name(model->added.lines, name);
  if (lines == NULL) {
    return tinytl_fail_memory(error, strlen(name));
  }
  const char *problem = tinytl_check_name(name, strlen(name));
  tinytl_status status = TINYTL_ERROR_NAMES;
  if (problem == NULL) {
    status = tinytl_check_names(lines, strlen(lines), &problem);
  }
  if (problem != NULL) {
    status = tinytl_fail(error, TINYTL_ERROR_NAMES,
                         "cannot add the class %.100s: expected %s; give "
                         "another name",
                         name, problem);
  } else if (status != TINYTL_OK) {
    status = tinytl_fail_memory(error, strlen(lines));
  } else {
    status = tinytl_get_state(model, state, model->info.state_size, error);
  }
  if (status != TINYTL_OK) {
    free(lines);
    return status;
  }
  set_mean(state + file->bias.offset, 1, outputs, label);
  set_mean(state + file->kernel.offset, file->kernel.count / outputs, outputs,
           label);
  return tinytl_set_classes(model, state, lines, error);
}

tinytl_status tinytl_add_class(tinytl_model *model, const char *name,
                               int32_t *label, tinytl_error *error) {
  if (model == NULL || name == NULL) {
    return tinytl_fail_null(error);
  }
  if (model->info.spare_classes < 1) {
    return tinytl_fail(error, TINYTL_ERROR_OUTPUTS,
                       "expected a spare output for another class, got none: "
                       "the model was exported with %ld; export it with more",
                       model->description.spare_classes);
  }
  if (!model->info.has_manifest) {
    return tinytl_fail(
        error, TINYTL_ERROR_MANIFEST,
        "expected a manifest, which has the position of the classifier in the "
        "state, got none; put it next to the file");
  }
  const int32_t added = model->info.classes;
  const size_t bytes = model->info.state_size * sizeof(float);
  float *state = malloc(bytes);
  if (state == NULL) {
    return tinytl_fail_memory(error, bytes);
  }
  const tinytl_status status = add_class(model, name, state, error);
  free(state);
  if (status == TINYTL_OK && label != NULL) {
    *label = added;
  }
  return status;
}
