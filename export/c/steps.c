/*
 * Inference and training steps.
 */

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

tinytl_status tinytl_infer(tinytl_model *model, const uint8_t *image,
                           size_t image_bytes, float *logits,
                           float *probabilities, size_t classes,
                           tinytl_error *error) {
  if (model == NULL || image == NULL) {
    return tinytl_fail_null(error);
  }
  tinytl_status status = tinytl_check_size("an image in bytes", image_bytes,
                                           model->info.image_bytes, error);
  if (status == TINYTL_OK) {
    status = tinytl_check_size("arrays of classes", classes,
                               (size_t)model->info.classes, error);
  }
  if (status != TINYTL_OK) {
    return status;
  }
  /* Of all outputs, then of those in use. */
  const size_t outputs = (size_t)model->info.outputs;
  float *all = malloc(2 * outputs * sizeof *all);
  if (all == NULL) {
    return tinytl_fail_memory(error, 2 * outputs * sizeof *all);
  }
  const void *const values[] = {image};
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

/* What both kinds of training share; the labels are checked. */
static tinytl_status train(tinytl_model *model, const uint8_t *images,
                           size_t image_bytes, const void *labels,
                           float learning_rate, tinytl_step *step,
                           tinytl_error *error) {
  tinytl_status status =
      tinytl_check_size("images in bytes", image_bytes,
                        model->signatures[TRAIN].inputs[0].bytes, error);
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
  const void *const values[] = {images, labels, &learning_rate};
  void *const results[] = {&loss, &accuracy, &applied};
  status = tinytl_call(model, TRAIN, values, results, error);
  if (status == TINYTL_OK && step != NULL) {
    *step = (tinytl_step){loss, accuracy, applied != 0};
  }
  return status;
}

tinytl_status tinytl_train(tinytl_model *model, const uint8_t *images,
                           size_t image_bytes, const int32_t *labels,
                           size_t label_count, float learning_rate,
                           tinytl_step *step, tinytl_error *error) {
  if (model == NULL || images == NULL || labels == NULL) {
    return tinytl_fail_null(error);
  }
  if (model->info.multilabel) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "the model is for several attributes of an image; call "
                       "tinytl_train_multilabel()");
  }
  const tinytl_status status = tinytl_check_size(
      "a number of labels", label_count, (size_t)model->info.batch_size, error);
  if (status != TINYTL_OK) {
    return status;
  }
  for (size_t i = 0; i < label_count; i++) {
    if (labels[i] < 0 || labels[i] >= model->info.classes) {
      return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                         "expected labels of 0 to %" PRId32 ", got %" PRId32
                         " at index %zu; pass the number of a class",
                         model->info.classes - 1, labels[i], i);
    }
  }
  return train(model, images, image_bytes, labels, learning_rate, step, error);
}

tinytl_status tinytl_train_multilabel(tinytl_model *model,
                                      const uint8_t *images, size_t image_bytes,
                                      const float *labels, size_t label_count,
                                      float learning_rate, tinytl_step *step,
                                      tinytl_error *error) {
  if (model == NULL || images == NULL || labels == NULL) {
    return tinytl_fail_null(error);
  }
  if (!model->info.multilabel) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "the model is for one class of an image; call "
                       "tinytl_train()");
  }
  const size_t expected =
      (size_t)model->info.batch_size * (size_t)model->info.outputs;
  const tinytl_status status =
      tinytl_check_size("a number of labels", label_count, expected, error);
  if (status != TINYTL_OK) {
    return status;
  }
  for (size_t i = 0; i < label_count; i++) {
    if (!(labels[i] >= 0 && labels[i] <= 1)) {
      return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                         "expected labels of 0 to 1, got %g at index %zu; pass "
                         "1 where an image has the attribute",
                         (double)labels[i], i);
    }
  }
  return train(model, images, image_bytes, labels, learning_rate, step, error);
}
