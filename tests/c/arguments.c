/*
 * Calls that only C can get wrong, and models in several threads.
 *
 *   arguments MODEL LIBRARY
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinytl.h"

#define STEPS 10
#define THREADS 2

static const char *path;
static tinytl_options options;
static int refused;

static void require(bool condition, const char *what) {
  if (!condition) {
    fprintf(stderr, "arguments.c: %s\n", what);
    abort();
  }
}

/* Checks a call that has to be refused: with an error, and without. */
#define REFUSE(call)                                      \
  do {                                                    \
    tinytl_error wrong = {TINYTL_OK, ""};                 \
    tinytl_error *error = &wrong;                         \
    require((call) == TINYTL_ERROR_ARGUMENT &&            \
                wrong.status == TINYTL_ERROR_ARGUMENT &&  \
                strncmp(wrong.text, "expected ", 9) == 0, \
            #call);                                       \
    error = NULL;                                         \
    require((call) == TINYTL_ERROR_ARGUMENT, #call);      \
    refused += 2;                                         \
  } while (0)

static void check_null(void) {
  uint8_t fingerprint[TINYTL_FINGERPRINT_SIZE] = {0};
  tinytl_model *model = NULL;
  REFUSE(tinytl_open(NULL, &options, &model, error));
  REFUSE(tinytl_open(path, &options, NULL, error));
  require(tinytl_open(path, &options, &model, NULL) == TINYTL_OK, "open");
  const tinytl_info *info = tinytl_get_info(model);
  const size_t batch = (size_t)info->batch_size;
  const size_t classes = (size_t)info->classes;
  const size_t bytes = batch * info->image_bytes;
  uint8_t *images = calloc(1, bytes);
  int32_t *labels = calloc(batch, sizeof *labels);
  float *numbers = calloc(batch * classes, sizeof *numbers);
  float *state = calloc(info->state_size, sizeof *state);
  require(images != NULL && labels != NULL && numbers != NULL && state != NULL,
          "no memory");
  REFUSE(tinytl_infer(NULL, images, info->image_bytes, numbers, NULL, classes,
                      error));
  REFUSE(tinytl_infer(model, NULL, info->image_bytes, numbers, NULL, classes,
                      error));
  REFUSE(tinytl_infer(model, images, info->image_bytes, numbers, NULL,
                      classes - 1, error));
  REFUSE(tinytl_train(NULL, images, bytes, labels, batch, 0, NULL, error));
  REFUSE(tinytl_train(model, NULL, bytes, labels, batch, 0, NULL, error));
  REFUSE(tinytl_train(model, images, bytes, NULL, batch, 0, NULL, error));
  REFUSE(tinytl_train_multilabel(NULL, images, bytes, numbers, batch * classes,
                                 0, NULL, error));
  REFUSE(tinytl_train_multilabel(model, NULL, bytes, numbers, batch * classes,
                                 0, NULL, error));
  REFUSE(tinytl_train_multilabel(model, images, bytes, NULL, batch * classes, 0,
                                 NULL, error));
  /* No pointer is read before it is known what the model takes. */
  REFUSE(tinytl_infer_array(NULL, numbers, 1, numbers, NULL, classes, error));
  REFUSE(tinytl_infer_array(model, NULL, 1, numbers, NULL, classes, error));
  REFUSE(tinytl_infer_array(model, numbers, 1, numbers, NULL, classes, error));
  REFUSE(tinytl_train_regression(model, images, bytes, NULL, batch * classes, 0,
                                 NULL, error));
  REFUSE(tinytl_train_arrays(NULL, numbers, 1, labels, batch, 0, NULL, error));
  REFUSE(tinytl_train_arrays(model, NULL, 1, labels, batch, 0, NULL, error));
  REFUSE(tinytl_train_arrays(model, numbers, 1, NULL, batch, 0, NULL, error));
  REFUSE(tinytl_train_arrays_multilabel(model, NULL, 1, numbers, 1, 0, NULL,
                                        error));
  REFUSE(tinytl_train_arrays_regression(model, numbers, 1, NULL, 1, 0, NULL,
                                        error));
  int16_t samples[1] = {0};
  REFUSE(tinytl_fit_waveform(NULL, samples, 1, 1, numbers, 1, error));
  REFUSE(tinytl_fit_waveform(model, NULL, 1, 1, numbers, 1, error));
  REFUSE(tinytl_fit_waveform(model, samples, 1, 1, NULL, 1, error));
  REFUSE(tinytl_fit_waveform(model, samples, 1, 1, numbers, 1, error));
  tinytl_regression_figures figures;
  REFUSE(tinytl_evaluate_regression(NULL, numbers, 1, 1, &figures, error));
  REFUSE(tinytl_evaluate_regression(numbers, NULL, 1, 1, &figures, error));
  REFUSE(tinytl_evaluate_regression(numbers, numbers, 1, 1, NULL, error));
  REFUSE(tinytl_evaluate_regression(numbers, numbers, 0, 1, &figures, error));
  REFUSE(tinytl_get_state(NULL, state, info->state_size, error));
  REFUSE(tinytl_get_state(model, NULL, info->state_size, error));
  REFUSE(tinytl_get_state(model, state, info->state_size - 1, error));
  REFUSE(tinytl_set_state(NULL, state, info->state_size, error));
  REFUSE(tinytl_set_state(model, NULL, info->state_size, error));
  REFUSE(tinytl_save(NULL, "x.tinytl", error));
  REFUSE(tinytl_save(model, NULL, error));
  REFUSE(tinytl_restore(NULL, "x.tinytl", error));
  REFUSE(tinytl_restore(model, NULL, error));
  REFUSE(tinytl_reset(NULL, error));
  REFUSE(tinytl_add_class(NULL, "x", NULL, error));
  REFUSE(tinytl_add_class(model, NULL, NULL, error));
  REFUSE(tinytl_parse_state(NULL, 1, fingerprint, state, 1, NULL, error));
  REFUSE(tinytl_parse_state(images, 1, NULL, state, 1, NULL, error));
  REFUSE(tinytl_parse_state(images, 1, fingerprint, NULL, 1, NULL, error));
  REFUSE(tinytl_read_state(NULL, fingerprint, state, 1, NULL, error));
  REFUSE(tinytl_write_state("x.tinytl", NULL, state, 1, NULL, error));
  REFUSE(tinytl_move_state(NULL, "a", "b", "c", error));
  REFUSE(tinytl_move_state("a", NULL, "b", "c", error));
  REFUSE(tinytl_move_state("a", "b", NULL, "c", error));
  REFUSE(tinytl_move_state("a", "b", "c", NULL, error));
  /* A step without a result, and closing nothing, are allowed. */
  require(tinytl_train(model, images, bytes, labels, batch, 0, NULL, NULL) ==
              TINYTL_OK,
          "train");
  require(tinytl_get_info(NULL) == NULL, "info");
  require(
      strcmp(tinytl_status_name((tinytl_status)999),
             "an unknown tinytl_status") == 0,
      "name");
  tinytl_close(NULL);
  free(state);
  free(numbers);
  free(labels);
  free(images);
  tinytl_close(model);
}

/* Trains a model of its own; the argument gets the last loss. */
static void *train(void *result) {
  tinytl_model *model = NULL;
  tinytl_step step = {0, 0, false};
  require(tinytl_open(path, &options, &model, NULL) == TINYTL_OK, "open");
  const tinytl_info *info = tinytl_get_info(model);
  const size_t batch = (size_t)info->batch_size;
  const size_t bytes = batch * info->image_bytes;
  uint8_t *images = malloc(bytes);
  int32_t *labels = calloc(batch, sizeof *labels);
  require(images != NULL && labels != NULL, "no memory");
  for (size_t i = 0; i < bytes; i++) {
    images[i] = (uint8_t)(i * 7 % 251);
  }
  for (int i = 0; i < STEPS; i++) {
    require(tinytl_train(model, images, bytes, labels, batch, 1e-3F, &step,
                         NULL) == TINYTL_OK &&
                step.applied,
            "train");
  }
  free(labels);
  free(images);
  tinytl_close(model);
  *(float *)result = step.loss;
  return NULL;
}

int main(int count, char **arguments) {
  require(count == 3, "usage: arguments MODEL LIBRARY");
  path = arguments[1];
  options.library = arguments[2];
  check_null();
  float alone = 0;
  (void)train(&alone);
  pthread_t threads[THREADS];
  float losses[THREADS] = {0};
  for (int i = 0; i < THREADS; i++) {
    require(pthread_create(&threads[i], NULL, train, &losses[i]) == 0,
            "thread");
  }
  for (int i = 0; i < THREADS; i++) {
    require(pthread_join(threads[i], NULL) == 0, "thread");
    require(losses[i] == alone, "threads compute something else");
  }
  printf("%d wrong calls refused, %d threads computed what one does\n", refused,
         THREADS);
  return 0;
}
