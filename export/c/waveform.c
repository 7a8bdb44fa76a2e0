/*
 * Converts a recording to the array of a waveform.
 */

#include <inttypes.h>

#include "model.h"

#define FULL_SCALE 32768.0F /* Of 16-bit samples. */

tinytl_status tinytl_fit_waveform(const tinytl_model *model,
                                  const int16_t *samples, size_t count,
                                  int32_t sample_rate, float *array,
                                  size_t size, tinytl_error *error) {
  if (model == NULL || samples == NULL || array == NULL) {
    return tinytl_fail_null(error);
  }
  const tinytl_info *info = &model->info;
  if (info->sample_rate == 0) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected a model of waveforms, got one without a "
                       "sample rate; pass its arrays unchanged");
  }
  if (sample_rate != info->sample_rate) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected a recording of %" PRId32
                       " samples per second, got %" PRId32 "; resample it",
                       info->sample_rate, sample_rate);
  }
  const tinytl_status status =
      tinytl_check_size("a number of values", size, info->array_size, error);
  if (status != TINYTL_OK) {
    return status;
  }
  const size_t length = (size_t)info->array_shape[0];
  const size_t width = size / length; /* Values of one point in time. */
  if (count == 0 || count % width != 0) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected complete points in time of %zu samples, got "
                       "%zu samples; pass all channels",
                       width, count);
  }
  const size_t given = count / width;
  const size_t cut = given > length ? (given - length) / 2 * width : 0;
  const size_t gap = given < length ? (length - given) / 2 * width : 0;
  for (size_t i = 0; i < size; i++) {
    array[i] = i < gap || i - gap >= count - cut
                   ? 0
                   : (float)samples[i - gap + cut] / FULL_SCALE;
  }
  return tinytl_succeed(error);
}
