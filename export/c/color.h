/*
 * Changes of the colors of an image, as specified in "Augmentation" of
 * docs/formats.md; the results equal Pillow's bit for bit.
 */

#ifndef TINYTL_COLOR_H
#define TINYTL_COLOR_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
  COLOR_BRIGHTNESS, /* Scales the distance from black. */
  COLOR_CONTRAST,   /* Scales the distance from the mean gray. */
  COLOR_SATURATION, /* Scales the distance from the pixel's own gray. */
  COLOR_HUE,        /* Rotates the hue. */
  COLOR_CHANGES
} color_change;

/*
 * Changes RGB pixels in place. `amount` is the factor of the distance or, for
 * hue, a fraction of the color wheel.
 */
void color_apply(color_change change, double amount, uint8_t *pixels,
                 size_t count);

#endif /* TINYTL_COLOR_H */
