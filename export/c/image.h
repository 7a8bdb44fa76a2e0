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

/* Raw RGB pixels in rows from the top, to be freed with free(). */
typedef struct {
  uint8_t *pixels;
  int32_t height;
  int32_t width;
} image;

/*
 * Reads a PPM of 8 bits (maxval 255) and at most 32767 pixels a side. Returns
 * NULL, or what is wrong with it.
 */
const char *image_read_ppm(const char *path, image *result);

/*
 * Reads a file of exactly `size` bytes into `pixels`. Returns NULL, or what is
 * wrong with it.
 */
const char *image_read_raw(const char *path, uint8_t *pixels, size_t size);

/*
 * Makes a picture as small as step 2 says, cuts its center out as step 3, and
 * resizes it to `height` x `width` as step 5. `fraction` is the manifest's
 * `central_fraction`, over 0 and at most 1. Returns whether there was memory.
 */
bool image_fit(const image *source, double fraction, int32_t height,
               int32_t width, uint8_t *pixels);

/* Mirrors left and right. */
void image_flip(uint8_t *pixels, int32_t height, int32_t width);

#endif /* TINYTL_IMAGE_H */
