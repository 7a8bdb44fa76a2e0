/*
 * Images for `adapt`: binary PPM (P6) files, and the way from a picture of any
 * size to a model's input. Without any library; see "Pixels" of
 * docs/formats.md, whose steps 2, 3 and 5 these are.
 */

#ifndef TINYTL_IMAGE_H
#define TINYTL_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "internal.h"

/* Raw RGB pixels in rows from the top, to be freed with free(). */
typedef struct {
  uint8_t *pixels;
  int32_t height;
  int32_t width;
} image;

/* A part of a picture in pixels. Its edges need not be whole; they have 32
   bits, as Pillow has it. */
typedef struct {
  float left, top, right, bottom;
} image_box;

/*
 * Reads a PPM of 8 bits (maxval 255) and at most 32767 pixels a side. Returns
 * NULL, or the error; the result is then not changed.
 */
const char *image_read_ppm(const char *path, image *result);

/*
 * Reads a file of exactly `size` bytes into `pixels`. Returns NULL, or the
 * error.
 */
const char *image_read_raw(const char *path, uint8_t *pixels, size_t size);

/*
 * Checks a file without keeping its pixels: a PPM, or raw pixels of `raw_size`
 * bytes where that is not 0. Gives the SHA-256 of the file. Returns NULL, or
 * the error.
 */
const char *image_check(const char *path, size_t raw_size,
                        uint8_t digest[TINYTL_FINGERPRINT_SIZE]);

/*
 * Makes a picture as small as step 2 says for an input of `height` x `width`.
 * If it is small enough, the result shares the pixels of the source; else it
 * has its own, to be freed. Returns whether there was memory.
 */
bool image_shrink(const image *source, int32_t height, int32_t width,
                  image *result);

/*
 * Returns the part in the middle of a picture of step 3. `fraction` is the
 * manifest's `central_fraction`, over 0 and at most 1.
 */
image_box image_center(const image *source, double fraction, int32_t height,
                       int32_t width);

/* Resizes a part of a picture as step 5. Returns whether there was memory. */
bool image_resize(const image *source, const image_box *part, int32_t height,
                  int32_t width, uint8_t *pixels);

/* Brings a picture to the input of a model that evaluates it: steps 2, 3 and 5.
   Returns whether there was memory. */
bool image_fit(const image *source, double fraction, int32_t height,
               int32_t width, uint8_t *pixels);

/* Mirrors left and right. */
void image_flip(uint8_t *pixels, int32_t height, int32_t width);

#endif /* TINYTL_IMAGE_H */
