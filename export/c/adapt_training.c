/*
 * Training, and a check for divergence.
 */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapt.h"
#include "plan.h"

#define DIVERGED_FACTOR 10 /* Growth of the loss in a diverged training. */

/* Buffers of a run: the order of an epoch, and a batch. */
typedef struct {
  size_t *order;
  uint8_t *inputs;
  int32_t *labels;
} buffers;

/* Sums over the steps of an epoch. */
typedef struct {
  size_t applied;
  size_t finite; /* Steps with a finite loss, applied or not. */
  double loss;   /* Sum over these steps. */
  double accuracy;
  double applied_loss; /* Sum over the applied steps. */
} sums;

/* Reads the batch of a step. */
static int read_batch(const adapt_run *run, const adapt_photos *photos,
                      uint64_t epoch, size_t step, const buffers *into) {
  const size_t batch = (size_t)run->info->batch_size;
  const size_t bytes = inputs_bytes(run->info);
  int status = 0;
  for (size_t i = 0; status == 0 && i < batch; i++) {
    const plan_place place =
        plan_at(into->order, photos->count, step * batch + i);
    const adapt_photo *photo = &photos->photos[place.photo];
    into->labels[i] = photo->label;
    status =
        inputs_to_train(run, photo, epoch, place, into->inputs + i * bytes);
  }
  return status;
}

static void add_step(sums *sum, const tinytl_step *step) {
  sum->applied += step->applied;
  if (isfinite(step->loss)) {
    sum->finite++;
    sum->loss += (double)step->loss;
    sum->accuracy += (double)step->accuracy;
  }
  if (step->applied) {
    sum->applied_loss += (double)step->loss;
  }
}

static int complain_divergence(const char *what) {
  return complain(DIVERGED,
                  "the training has diverged: %s; nothing is saved: start "
                  "again with a lower --learning_rate",
                  what);
}

static void say_epoch(uint64_t epoch, uint64_t epochs, size_t steps,
                      const sums *sum) {
  if (sum->finite == 0) {
    say("epoch %" PRIu64 " of %" PRIu64
        ": loss unknown, %zu of %zu steps applied",
        epoch + 1, epochs, sum->applied, steps);
    return;
  }
  const double count = (double)sum->finite;
  say("epoch %" PRIu64 " of %" PRIu64
      ": loss %.4f, %zu of %zu steps applied, accuracy %.1f %%",
      epoch + 1, epochs, sum->loss / count, sum->applied, steps,
      100 * sum->accuracy / count);
}

static int train_epoch(const adapt_run *run, const adapt_photos *photos,
                       uint64_t epoch, const buffers *memory,
                       adapt_losses *losses) {
  const size_t batch = (size_t)run->info->batch_size;
  const size_t steps = plan_steps(photos->count, batch);
  const uint64_t all = (uint64_t)steps * run->epochs;
  sums sum = {0};
  plan_order(run->seed, epoch, memory->order, photos->count);
  for (size_t i = 0; i < steps; i++) {
    const double rate =
        plan_rate(run->settings->schedule, run->settings->learning_rate,
                  epoch * steps + i, all);
    tinytl_step step;
    int status = read_batch(run, photos, epoch, i, memory);
    if (status == 0) {
      status = inputs_train(run, memory->inputs, memory->labels, rate, &step);
    }
    if (status != 0) {
      return status;
    }
    if (epoch == 0 && i == 0) {
      losses->first = (double)step.loss;
    }
    add_step(&sum, &step);
  }
  say_epoch(epoch, run->epochs, steps, &sum);
  losses->last = sum.applied_loss / (double)sum.applied;
  return 2 * (steps - sum.applied) > steps
             ? complain_divergence(
                   "more than half of the steps of an epoch "
                   "could not be applied, since losses or "
                   "gradients were not finite")
             : 0;
}

int train(const adapt_run *run, const adapt_photos *photos,
          adapt_losses *losses) {
  const size_t batch = (size_t)run->info->batch_size;
  const buffers memory = {malloc(photos->count * sizeof(size_t)),
                          malloc(batch * inputs_bytes(run->info)),
                          malloc(batch * sizeof(int32_t))};
  int status = 0;
  if (memory.order == NULL || memory.inputs == NULL || memory.labels == NULL) {
    status = complain_memory();
  }
  for (uint64_t epoch = 0; status == 0 && epoch < run->epochs; epoch++) {
    status = train_epoch(run, photos, epoch, &memory, losses);
  }
  free(memory.order);
  free(memory.inputs);
  free(memory.labels);
  return status;
}

int check_divergence(double before, double after, size_t classes,
                     const char *what) {
  /* fmax() ignores a loss that is NaN. */
  const double most = DIVERGED_FACTOR * fmax(before, log((double)classes));
  if (isfinite(after) && !(after > most)) {
    return 0;
  }
  char text[160];
  (void)snprintf(text, sizeof text, "loss %.4g %s, %.4g before", after, what,
                 before);
  return complain_divergence(text);
}
