#include "plan.h"

#include <math.h>

#define GAMMA UINT64_C(0x9e3779b97f4a7c15)
#define PI 3.14159265358979323846
#define CROP_TRIES 10

/* ---- Random numbers: SplitMix64 ---- */

static uint64_t mix(uint64_t x) {
  uint64_t z = x + GAMMA;
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

plan_stream plan_open(const uint64_t *names, size_t count) {
  plan_stream stream = {0};
  for (size_t i = 0; i < count; i++) {
    stream.state = mix(stream.state ^ names[i]);
  }
  return stream;
}

double plan_unit(plan_stream *stream) {
  const uint64_t draw = mix(stream->state);
  stream->state += GAMMA;
  return (double)(draw >> 11) * 0x1p-53;
}

double plan_uniform(plan_stream *stream, double low, double high) {
  return low + (high - low) * plan_unit(stream);
}

uint64_t plan_integer(plan_stream *stream, uint64_t count) {
  return (uint64_t)((double)count * plan_unit(stream));
}

void plan_permutation(plan_stream *stream, size_t *order, size_t count) {
  for (size_t i = 0; i < count; i++) {
    order[i] = i;
  }
  for (size_t last = count; last-- > 1;) {
    const size_t other = (size_t)plan_integer(stream, last + 1);
    const size_t moved = order[last];
    order[last] = order[other];
    order[other] = moved;
  }
}

/* ---- Order and rate ---- */

void plan_order(uint64_t seed, uint64_t epoch, size_t *order, size_t count) {
  const uint64_t names[] = {seed, epoch, 0};
  plan_stream stream = plan_open(names, 3);
  plan_permutation(&stream, order, count);
}

size_t plan_steps(size_t photos, size_t batch) {
  return photos < batch ? 1 : photos / batch;
}

plan_place plan_at(const size_t *order, size_t photos, size_t index) {
  return (plan_place){order[index % photos], index / photos};
}

double plan_rate(tinytl_schedule schedule, double base, uint64_t step,
                 uint64_t steps) {
  if (schedule == TINYTL_SCHEDULE_CONSTANT) {
    return base;
  }
  return base / 2 * (1 + cos(PI * (double)step / (double)steps));
}

/* ---- Changes ---- */

/* Makes a box with integer edges inside the photo. */
static plan_box make_box(double left, double top, double width, double height) {
  return (plan_box){(int32_t)left, (int32_t)top, (int32_t)width,
                    (int32_t)height};
}

/* Returns the largest central part with an allowed aspect ratio. */
static plan_box largest_box(const double aspects[2], double height,
                            double width) {
  const double aspect = fmin(fmax(width / height, aspects[0]), aspects[1]);
  const double w = fmin(width, fmax(1, nearbyint(height * aspect)));
  const double h = fmin(height, fmax(1, nearbyint(width / aspect)));
  return make_box(floor((width - w) / 2), floor((height - h) / 2), w, h);
}

static plan_box draw_box(plan_stream *stream, const tinytl_settings *settings,
                         double height, double width) {
  const double *areas = settings->crop_area;
  const double *aspects = settings->crop_aspect;
  for (int i = 0; i < CROP_TRIES; i++) {
    const double area =
        height * width * plan_uniform(stream, areas[0], areas[1]);
    const double aspect =
        exp(plan_uniform(stream, log(aspects[0]), log(aspects[1])));
    /* Rounds halves to even. */
    const double w = nearbyint(sqrt(area * aspect));
    const double h = nearbyint(sqrt(area / aspect));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      const uint64_t left = plan_integer(stream, (uint64_t)(width - w) + 1);
      const uint64_t top = plan_integer(stream, (uint64_t)(height - h) + 1);
      return make_box((double)left, (double)top, w, h);
    }
  }
  return largest_box(aspects, height, width);
}

static void draw_colors(plan_stream *stream, tinytl_color color,
                        plan_changes *changes) {
  /* Range of each change, in the order of color_change. */
  static const double kStrengths[][COLOR_CHANGES] = {
      [TINYTL_COLOR_NONE] = {0, 0, 0, 0},
      [TINYTL_COLOR_TF] = {32.0 / 255, 0, 0.5, 0},
      [TINYTL_COLOR_TORCH] = {0.4, 0.4, 0.4, 0.1}};
  size_t order[COLOR_CHANGES];
  plan_permutation(stream, order, COLOR_CHANGES);
  for (size_t i = 0; i < COLOR_CHANGES; i++) {
    const double strength = kStrengths[color][order[i]];
    if (strength > 0) {
      const size_t place = changes->color_count++;
      changes->colors[place].change = (color_change)order[i];
      changes->colors[place].amount = plan_uniform(stream, -strength, strength);
    }
  }
}

plan_changes plan_draw(const tinytl_settings *settings, uint64_t seed,
                       uint64_t epoch, plan_place place, int32_t height,
                       int32_t width) {
  const uint64_t names[] = {seed, epoch, place.photo + 1, place.copy};
  plan_stream stream = plan_open(names, place.copy > 0 ? 4 : 3);
  plan_changes changes = {.crop = settings->crop};
  if (settings->crop) {
    changes.box = draw_box(&stream, settings, height, width);
  }
  changes.flip = settings->flip && plan_unit(&stream) < 0.5;
  if (settings->color != TINYTL_COLOR_NONE) {
    draw_colors(&stream, settings->color, &changes);
  }
  return changes;
}
