/*
 * Figures of a regression.
 */

#include <math.h>

#include "internal.h"

#define WITHIN 0.5     /* Largest error of a correct prediction. */
#define ROUNDING 1e-12 /* Of the mean square: less is a rounding error. */

static tinytl_regression_figures measure(const float *predictions,
                                         const float *labels, size_t examples,
                                         size_t stride) {
  tinytl_regression_figures sums = {0, 0, 0, 0};
  double sum = 0;
  double squares = 0;
  for (size_t i = 0; i < examples * stride; i += stride) {
    const double label = (double)labels[i];
    const double wrong = (double)predictions[i] - label;
    sums.absolute_error += fabs(wrong);
    sums.squared_error += wrong * wrong;
    sums.within += fabs(wrong) <= WITHIN ? 1 : 0;
    sum += label;
    squares += label * label;
  }
  const double count = (double)examples;
  const double mean = sum / count;
  const double variance = squares / count - mean * mean;
  const double error = sums.squared_error / count;
  /* Equal labels have no variance, only rounding errors. */
  const bool known = variance > ROUNDING * (squares / count);
  return (tinytl_regression_figures){
      .absolute_error = sums.absolute_error / count,
      .squared_error = error,
      .r2 = known ? 1 - error / variance : (double)NAN,
      .within = sums.within / count};
}

tinytl_status tinytl_evaluate_regression(const float *predictions,
                                         const float *labels, size_t examples,
                                         size_t outputs,
                                         tinytl_regression_figures *figures,
                                         tinytl_error *error) {
  if (predictions == NULL || labels == NULL || figures == NULL) {
    return tinytl_fail_null(error);
  }
  if (examples == 0 || outputs == 0) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected examples and outputs to evaluate, got %zu and "
                       "%zu; pass at least one of each",
                       examples, outputs);
  }
  const size_t count = examples * outputs;
  const size_t bad = tinytl_find_not_finite(labels, count);
  if (bad < count) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected labels that are finite numbers, got %g at "
                       "index %zu; leave that example out",
                       (double)labels[bad], bad);
  }
  for (size_t i = 0; i < outputs; i++) {
    figures[i] = measure(predictions + i, labels + i, examples, outputs);
  }
  return tinytl_succeed(error);
}
