/*
 * From a photo to the model's input; see "Pixels" and "Augmentation" of
 * docs/formats.md. A .raw file already has the size of a model's input: it is
 * evaluated unchanged, and changes in training start from its pixels.
 */

#include <stdlib.h>

#include "adapt.h"
#include "image.h"

static const char kNoMemory[] = "there is not enough memory";

static int complain_reading(const adapt_photo *photo, const char *problem) {
  return complain(BAD_INPUT,
                  "cannot read %s: %s; convert it again, or move it away",
                  photo->path, problem);
}

/* Reads a file into an image that owns its pixels. */
static const char *read_image(const adapt_photo *photo, const tinytl_info *info,
                              image *result) {
  if (!photos_is_raw(photo)) {
    return image_read_ppm(photo->path, result);
  }
  *result = (image){malloc(info->image_bytes), info->height, info->width};
  return result->pixels == NULL
             ? kNoMemory
             : image_read_raw(photo->path, result->pixels, info->image_bytes);
}

int pixels_to_evaluate(const adapt_photo *photo, const tinytl_info *info,
                       const tinytl_settings *settings, uint8_t *pixels) {
  const double fraction = photos_is_raw(photo) ? 1 : settings->central_fraction;
  image source = {NULL, 0, 0};
  const char *problem = read_image(photo, info, &source);
  if (problem == NULL &&
      !image_fit(&source, fraction, info->height, info->width, pixels)) {
    problem = kNoMemory;
  }
  free(source.pixels);
  return problem == NULL ? 0 : complain_reading(photo, problem);
}

/* Crops and changes a photo according to a plan. */
static bool change(const image *photo, const plan_changes *changes,
                   double fraction, const tinytl_info *info, uint8_t *pixels) {
  const plan_box *box = &changes->box;
  image_box part = {(float)box->left, (float)box->top,
                    (float)(box->left + box->width),
                    (float)(box->top + box->height)};
  if (!changes->crop) {
    part = image_center(photo, fraction, info->height, info->width);
  }
  if (!image_resize(photo, &part, info->height, info->width, pixels)) {
    return false;
  }
  if (changes->flip) {
    image_flip(pixels, info->height, info->width);
  }
  for (size_t i = 0; i < changes->color_count; i++) {
    const color_change color = changes->colors[i].change;
    const double amount = changes->colors[i].amount;
    color_apply(color, color == COLOR_HUE ? amount : 1 + amount, pixels,
                (size_t)info->height * (size_t)info->width);
  }
  return true;
}

int pixels_to_train(const adapt_photo *photo, const tinytl_info *info,
                    const tinytl_settings *settings, uint64_t seed,
                    uint64_t epoch, plan_place place, uint8_t *pixels) {
  const double fraction = photos_is_raw(photo) ? 1 : settings->central_fraction;
  image source = {NULL, 0, 0};
  image shrunk = {NULL, 0, 0};
  const char *problem = read_image(photo, info, &source);
  if (problem == NULL) {
    if (image_shrink(&source, info->height, info->width, &shrunk)) {
      const plan_changes changes =
          plan_draw(settings, seed, epoch, place, shrunk.height, shrunk.width);
      problem =
          change(&shrunk, &changes, fraction, info, pixels) ? NULL : kNoMemory;
    } else {
      problem = kNoMemory;
    }
  }
  if (shrunk.pixels != source.pixels) {
    free(shrunk.pixels);
  }
  free(source.pixels);
  return problem == NULL ? 0 : complain_reading(photo, problem);
}
