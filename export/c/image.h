/*
 * Images for `adapt`: reads binary PPM (P6) files, and converts pictures of any
 * size to a model's input without other libraries. Implements steps 2, 3 and 5
 * of "Pixels" in docs/formats.md.
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

/* A part of a picture in pixels. Its edges may be fractional; they have 32
   bits, as Pillow has it. */
typedef struct {
  float left, top, right, bottom;
} image_box;

/*
 * Reads a PPM of 8 bits (maxval 255) and at most 32767 pixels on each side.
 * Returns NULL, or the error; then the result is not changed.
 */
const char *image_read_ppm(const char *path, image *result);

/*
 * Reads a file of exactly `size` bytes into `pixels`. Returns NULL, or the
 * error.
 */
const char *image_read_raw(const char *path, uint8_t *pixels, size_t size);

/*
 * Checks a file without keeping its pixels: a PPM, or raw pixels of `raw_size`
 * bytes if that is not 0. Computes the SHA-256 of the file. Returns NULL, or
 * the error.
 */
const char *image_check(const char *path, size_t raw_size,
                        uint8_t digest[TINYTL_FINGERPRINT_SIZE]);

/*
 * Shrinks a picture by step 2 for an input of `height` x `width`. If it is
 * small enough, the result shares the pixels of the source; otherwise it owns
 * new pixels, to be freed. Returns whether there was enough memory.
 */
bool image_shrink(const image *source, int32_t height, int32_t width,
                  image *result);

/*
 * Returns the central part of a picture by step 3. `fraction` is the manifest's
 * `central_fraction`, above 0 and at most 1.
 */
image_box image_center(const image *source, double fraction, int32_t height,
                       int32_t width);

/* Resizes a part of a picture by step 5. Returns false without memory. */
bool image_resize(const image *source, const image_box *part, int32_t height,
                  int32_t width, uint8_t *pixels);

/* Converts a picture to the input of an evaluation: steps 2, 3 and 5.
   Returns false without memory. */
bool image_fit(const image *source, double fraction, int32_t height,
               int32_t width, uint8_t *pixels);

/* Mirrors left and right. */
void image_flip(uint8_t *pixels, int32_t height, int32_t width);

#endif /* TINYTL_IMAGE_H */
