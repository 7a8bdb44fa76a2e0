/*
 * Inference and training steps.
 */

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* ---- Inputs ---- */

/* The input of a call: images or arrays, one after the other. */
typedef struct {
  bool arrays;
  const void *values;
  size_t size; /* Bytes of images, or values of arrays. */
} input;

static input of_images(const uint8_t *images, size_t bytes) {
  return (input){false, images, bytes};
}

static input of_arrays(const float *arrays, size_t size) {
  return (input){true, arrays, size};
}

static bool takes_arrays(const tinytl_model *model) {
  return model->info.array_size > 0;
}

/* Checks the size of the input of a signature, and the values of arrays. */
static tinytl_status check_input(const tinytl_model *model, int which,
                                 const input *in, tinytl_error *error) {
  const size_t bytes = model->signatures[which].inputs[0].bytes;
  if (!in->arrays) {
    return tinytl_check_size(
        which == TRAIN ? "images in bytes" : "an image in bytes", in->size,
        bytes, error);
  }
  const float *values = in->values;
  const tinytl_status status = tinytl_check_size("a number of values", in->size,
                                                 bytes / sizeof *values, error);
  if (status != TINYTL_OK) {
    return status;
  }
  const size_t bad = tinytl_find_not_finite(values, in->size);
  if (bad < in->size) {
    const size_t size = model->info.array_size;
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected finite numbers in arrays, got %g at index %zu "
                       "of array %zu; leave that array out",
                       (double)values[bad], bad % size, bad / size);
  }
  return TINYTL_OK;
}

/* ---- Inference ---- */

static tinytl_status infer(tinytl_model *model, input in, float *logits,
                           float *probabilities, size_t classes,
                           tinytl_error *error) {
  if (model == NULL || in.values == NULL) {
    return tinytl_fail_null(error);
  }
  if (in.arrays != takes_arrays(model)) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected a model of %s, got one of %s; call %s()",
                       in.arrays ? "arrays" : "images",
                       in.arrays ? "images" : "arrays",
                       in.arrays ? "tinytl_infer" : "tinytl_infer_array");
  }
  tinytl_status status = check_input(model, INFER, &in, error);
  if (status == TINYTL_OK) {
    status = tinytl_check_size("arrays of classes", classes,
                               (size_t)model->info.classes, error);
  }
  if (status != TINYTL_OK) {
    return status;
  }
  /* Results of all outputs, then of the outputs in use. */
  const size_t outputs = (size_t)model->info.outputs;
  float *all = malloc(2 * outputs * sizeof *all);
  if (all == NULL) {
    return tinytl_fail_memory(error, 2 * outputs * sizeof *all);
  }
  const void *const values[] = {in.values};
  void *const results[] = {all, all + outputs};
  status = tinytl_call(model, INFER, values, results, error);
  if (status == TINYTL_OK && logits != NULL) {
    memcpy(logits, all, classes * sizeof *all);
  }
  if (status == TINYTL_OK && probabilities != NULL) {
    memcpy(probabilities, all + outputs, classes * sizeof *all);
  }
  free(all);
  return status;
}

tinytl_status tinytl_infer(tinytl_model *model, const uint8_t *image,
                           size_t image_bytes, float *logits,
                           float *probabilities, size_t classes,
                           tinytl_error *error) {
  return infer(model, of_images(image, image_bytes), logits, probabilities,
               classes, error);
}

tinytl_status tinytl_infer_array(tinytl_model *model, const float *array,
                                 size_t size, float *logits,
                                 float *probabilities, size_t classes,
                                 tinytl_error *error) {
  return infer(model, of_arrays(array, size), logits, probabilities, classes,
               error);
}

/* ---- Training ---- */

/* Refuses a model with a different task or input. */
static tinytl_status check_call(const tinytl_model *model, bool arrays,
                                tinytl_task task, tinytl_error *error) {
  static const char *const kLabels[] = {
      [TINYTL_TASK_CLASSIFICATION] = "one class",
      [TINYTL_TASK_MULTILABEL] = "several attributes",
      [TINYTL_TASK_REGRESSION] = "numbers"};
  static const char *const kCalls[][2] = {
      [TINYTL_TASK_CLASSIFICATION] = {"tinytl_train", "tinytl_train_arrays"},
      [TINYTL_TASK_MULTILABEL] = {"tinytl_train_multilabel",
                                  "tinytl_train_arrays_multilabel"},
      [TINYTL_TASK_REGRESSION] = {"tinytl_train_regression",
                                  "tinytl_train_arrays_regression"}};
  const tinytl_task its = model->info.task;
  if (arrays == takes_arrays(model) && task == its) {
    return TINYTL_OK;
  }
  return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                     "the model is for %s of an %s; call %s()", kLabels[its],
                     takes_arrays(model) ? "array" : "image",
                     kCalls[its][takes_arrays(model)]);
}

/* Takes a training step of any kind; the labels have been checked. */
static tinytl_status train(tinytl_model *model, const input *in,
                           const void *labels, float learning_rate,
                           tinytl_step *step, tinytl_error *error) {
  tinytl_status status = check_input(model, TRAIN, in, error);
  if (status != TINYTL_OK) {
    return status;
  }
  if (!(learning_rate >= 0 && isfinite(learning_rate))) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected a learning rate that is finite and not "
                       "negative, got %g; pass another",
                       (double)learning_rate);
  }
  float loss = 0;
  float accuracy = 0;
  int32_t applied = 0;
  const void *const values[] = {in->values, labels, &learning_rate};
  void *const results[] = {&loss, &accuracy, &applied};
  status = tinytl_call(model, TRAIN, values, results, error);
  if (status == TINYTL_OK && step != NULL) {
    *step = (tinytl_step){loss, accuracy, applied != 0};
  }
  return status;
}

/* Trains on classes. */
static tinytl_status train_classes(tinytl_model *model, input in,
                                   const int32_t *labels, size_t label_count,
                                   float learning_rate, tinytl_step *step,
                                   tinytl_error *error) {
  if (model == NULL || in.values == NULL || labels == NULL) {
    return tinytl_fail_null(error);
  }
  tinytl_status status =
      check_call(model, in.arrays, TINYTL_TASK_CLASSIFICATION, error);
  if (status == TINYTL_OK) {
    status = tinytl_check_size("a number of labels", label_count,
                               (size_t)model->info.batch_size, error);
  }
  if (status != TINYTL_OK) {
    return status;
  }
  for (size_t i = 0; i < label_count; i++) {
    if (labels[i] < 0 || labels[i] >= model->info.classes) {
      return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                         "expected labels of 0 to %" PRId32 ", got %" PRId32
                         " at index %zu; pass the index of a class",
                         model->info.classes - 1, labels[i], i);
    }
  }
  return train(model, &in, labels, learning_rate, step, error);
}

/* Checks the labels of attributes or of a regression. */
static tinytl_status check_numbers(tinytl_task task, const float *labels,
                                   size_t count, tinytl_error *error) {
  for (size_t i = 0; i < count; i++) {
    if (task == TINYTL_TASK_MULTILABEL && !(labels[i] >= 0 && labels[i] <= 1)) {
      return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                         "expected labels of 0 to 1, got %g at index %zu; pass "
                         "1 if an image has the attribute",
                         (double)labels[i], i);
    }
    if (!isfinite(labels[i])) {
      return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                         "expected labels that are finite numbers, got %g at "
                         "index %zu; leave that example out",
                         (double)labels[i], i);
    }
  }
  return TINYTL_OK;
}

/* Trains on attributes, or on numbers. */
static tinytl_status train_numbers(tinytl_model *model, tinytl_task task,
                                   input in, const float *labels,
                                   size_t label_count, float learning_rate,
                                   tinytl_step *step, tinytl_error *error) {
  if (model == NULL || in.values == NULL || labels == NULL) {
    return tinytl_fail_null(error);
  }
  tinytl_status status = check_call(model, in.arrays, task, error);
  const size_t expected =
      (size_t)model->info.batch_size * (size_t)model->info.outputs;
  if (status == TINYTL_OK) {
    status =
        tinytl_check_size("a number of labels", label_count, expected, error);
  }
  if (status == TINYTL_OK) {
    status = check_numbers(task, labels, label_count, error);
  }
  return status == TINYTL_OK
             ? train(model, &in, labels, learning_rate, step, error)
             : status;
}

tinytl_status tinytl_train(tinytl_model *model, const uint8_t *images,
                           size_t image_bytes, const int32_t *labels,
                           size_t label_count, float learning_rate,
                           tinytl_step *step, tinytl_error *error) {
  return train_classes(model, of_images(images, image_bytes), labels,
                       label_count, learning_rate, step, error);
}

tinytl_status tinytl_train_multilabel(tinytl_model *model,
                                      const uint8_t *images, size_t image_bytes,
                                      const float *labels, size_t label_count,
                                      float learning_rate, tinytl_step *step,
                                      tinytl_error *error) {
  return train_numbers(model, TINYTL_TASK_MULTILABEL,
                       of_images(images, image_bytes), labels, label_count,
                       learning_rate, step, error);
}

tinytl_status tinytl_train_regression(tinytl_model *model,
                                      const uint8_t *images, size_t image_bytes,
                                      const float *labels, size_t label_count,
                                      float learning_rate, tinytl_step *step,
                                      tinytl_error *error) {
  return train_numbers(model, TINYTL_TASK_REGRESSION,
                       of_images(images, image_bytes), labels, label_count,
                       learning_rate, step, error);
}

tinytl_status tinytl_train_arrays(tinytl_model *model, const float *arrays,
                                  size_t size, const int32_t *labels,
                                  size_t label_count, float learning_rate,
                                  tinytl_step *step, tinytl_error *error) {
  return train_classes(model, of_arrays(arrays, size), labels, label_count,
                       learning_rate, step, error);
}

tinytl_status tinytl_train_arrays_multilabel(
    tinytl_model *model, const float *arrays, size_t size, const float *labels,
    size_t label_count, float learning_rate, tinytl_step *step,
    tinytl_error *error) {
  return train_numbers(model, TINYTL_TASK_MULTILABEL, of_arrays(arrays, size),
                       labels, label_count, learning_rate, step, error);
}

tinytl_status tinytl_train_arrays_regression(
    tinytl_model *model, const float *arrays, size_t size, const float *labels,
    size_t label_count, float learning_rate, tinytl_step *step,
    tinytl_error *error) {
  return train_numbers(model, TINYTL_TASK_REGRESSION, of_arrays(arrays, size),
                       labels, label_count, learning_rate, step, error);
}
