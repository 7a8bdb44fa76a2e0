/*
 * The plan of a training: order, learning rate and random changes of each step,
 * the same in all clients. See "Random numbers", "Order and schedule" and
 * "Augmentation" in docs/formats.md.
 */

#ifndef TINYTL_PLAN_H
#define TINYTL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "color.h"
#include "tinytl.h"

#define PLAN_LARGEST ((UINT64_C(1) << 53) - 1) /* Largest name of a stream. */

/* A stream of random numbers. */
typedef struct {
  uint64_t state;
} plan_stream;

/* Starts the stream that is identified by `count` integers. */
plan_stream plan_open(const uint64_t *names, size_t count);

/* Draws a number from [0, 1). */
double plan_unit(plan_stream *stream);

/* Draws a number from [low, high). */
double plan_uniform(plan_stream *stream, double low, double high);

/* Draws an integer from 0 to `count` - 1. */
uint64_t plan_integer(plan_stream *stream, uint64_t count);

/* Fills `order` with a random order of 0 to `count` - 1. */
void plan_permutation(plan_stream *stream, size_t *order, size_t count);

/* Fills `order` with the order of the photos in an epoch. */
void plan_order(uint64_t seed, uint64_t epoch, size_t *order, size_t count);

/* Returns the number of steps of an epoch, at least 1. */
size_t plan_steps(size_t photos, size_t batch);

/* A photo in a batch. */
typedef struct {
  size_t photo; /* Index in the list of training photos. */
  size_t copy;  /* Number of earlier copies in a batch that is filled up. */
} plan_place;

/* Returns the photo at `index`, counted from the start of the epoch. */
plan_place plan_at(const size_t *order, size_t photos, size_t index);

/* A part of a photo in whole pixels. */
typedef struct {
  int32_t left, top, width, height;
} plan_box;

/* How a training photo is changed. */
typedef struct {
  bool crop; /* Whether to crop `box`; otherwise as in an evaluation. */
  plan_box box;
  bool flip;
  size_t color_count;
  struct {
    color_change change;
    double amount; /* Hue: part of the color wheel; others: factor - 1. */
  } colors[COLOR_CHANGES];
} plan_changes;

/* Draws the changes of a photo; height and width are those after step 2 of
   "Pixels". */
plan_changes plan_draw(const tinytl_settings *settings, uint64_t seed,
                       uint64_t epoch, plan_place place, int32_t height,
                       int32_t width);

/* Returns the rate of a step, counted from 0 over all `steps` of a run. */
double plan_rate(tinytl_schedule schedule, double base, uint64_t step,
                 uint64_t steps);

#endif /* TINYTL_PLAN_H */
