/*
 * The input of the model from a file: the pixels of a photo, or an array, which
 * is never changed: a .raw file with its values as little-endian float32.
 */

#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "adapt.h"
#include "image.h"
#include "internal.h"

#define VALUE_BYTES 4

static bool takes_arrays(const tinytl_info *info) {
  return info->array_size > 0;
}

const char *inputs_noun(const tinytl_info *info) {
  return takes_arrays(info) ? "array" : "image";
}

size_t inputs_bytes(const tinytl_info *info) {
  return takes_arrays(info) ? info->array_size * sizeof(float)
                            : info->image_bytes;
}

/* ---- Files ---- */

static float get_value(const uint8_t *bytes) {
  const uint32_t bits = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
                        (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Copies the values of an array from its file. */
static int copy_values(const char *path, const uint8_t *bytes, size_t count,
                       float *values) {
  for (size_t i = 0; i < count; i++) {
    const float value = get_value(bytes + VALUE_BYTES * i);
    if (!isfinite(value)) {
      return complain(BAD_INPUT,
                      "cannot read %s: expected finite numbers, got %g at "
                      "index %zu; convert it again, or move it away",
                      path, (double)value, i);
    }
    if (values != NULL) {
      values[i] = value;
    }
  }
  return 0;
}

/* Reads an array, or only checks its file if `values` is NULL; `digest` gets
   the SHA-256 of the file unless it is NULL. */
static int read_array(const char *path, const tinytl_info *info, float *values,
                      uint8_t *digest) {
  const size_t expected = VALUE_BYTES * info->array_size;
  void *bytes = NULL;
  size_t size = 0;
  tinytl_error error;
  if (tinytl_map_file(path, "an array", SIZE_MAX / 2, &bytes, &size, &error) !=
      TINYTL_OK) {
    return complain(BAD_INPUT, "%s", error.text);
  }
  int status = 0;
  if (size != expected) {
    status = complain(BAD_INPUT,
                      "cannot read %s: expected %zu float32 values in %zu "
                      "bytes, got %zu bytes; convert it again, or move it away",
                      path, info->array_size, expected, size);
  } else {
    status = copy_values(path, bytes, info->array_size, values);
    if (digest != NULL) {
      tinytl_sha256(bytes, size, digest);
    }
  }
  (void)munmap(bytes, size);
  return status;
}

int inputs_check(adapt_photo *photo, const tinytl_info *info) {
  if (takes_arrays(info)) {
    return read_array(photo->path, info, NULL, photo->digest);
  }
  const char *problem = image_check(
      photo->path, photos_is_raw(photo) ? info->image_bytes : 0, photo->digest);
  return problem == NULL ? 0
                         : complain(BAD_INPUT,
                                    "cannot read %s: %s; convert it again, or "
                                    "move it away",
                                    photo->path, problem);
}

int inputs_to_evaluate(const adapt_run *run, const adapt_photo *photo,
                       void *input) {
  return takes_arrays(run->info)
             ? read_array(photo->path, run->info, input, NULL)
             : pixels_to_evaluate(photo, run->info, run->settings, input);
}

int inputs_to_train(const adapt_run *run, const adapt_photo *photo,
                    uint64_t epoch, plan_place place, void *input) {
  return takes_arrays(run->info)
             ? read_array(photo->path, run->info, input, NULL)
             : pixels_to_train(photo, run->info, run->settings, run->seed,
                               epoch, place, input);
}

/* ---- Calls ---- */

int inputs_infer(const adapt_run *run, const void *input, float *logits) {
  const tinytl_info *info = run->info;
  const size_t classes = (size_t)info->classes;
  tinytl_error error;
  const tinytl_status status =
      takes_arrays(info)
          ? tinytl_infer_array(run->model, input, info->array_size, logits,
                               NULL, classes, &error)
          : tinytl_infer(run->model, input, info->image_bytes, logits, NULL,
                         classes, &error);
  return status == TINYTL_OK ? 0 : complain(BAD_INPUT, "%s", error.text);
}

int inputs_train(const adapt_run *run, const void *batch, const int32_t *labels,
                 double rate, tinytl_step *step) {
  const tinytl_info *info = run->info;
  const size_t count = (size_t)info->batch_size;
  tinytl_error error;
  const tinytl_status status =
      takes_arrays(info)
          ? tinytl_train_arrays(run->model, batch, count * info->array_size,
                                labels, count, (float)rate, step, &error)
          : tinytl_train(run->model, batch, count * info->image_bytes, labels,
                         count, (float)rate, step, &error);
  return status == TINYTL_OK ? 0 : complain(BAD_INPUT, "%s", error.text);
}
