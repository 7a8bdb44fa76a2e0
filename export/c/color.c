#include "color.h"

#include <math.h>

#define CHANNELS 3
#define MOST 255 /* Largest level. */

static int gray_of(const uint8_t *pixel) {
  return (19595 * pixel[0] + 38470 * pixel[1] + 7471 * pixel[2] + 32768) >> 16;
}

static uint8_t clip(int level) {
  return (uint8_t)(level < 0 ? 0 : level > MOST ? MOST : level);
}

/* Scales the distance of a pixel from a level; in 32 bits, as in Pillow. */
static void blend(uint8_t *pixel, float factor, int from) {
  for (int i = 0; i < CHANNELS; i++) {
    const float step = factor * (float)(pixel[i] - from);
    const float level = (float)from + step;
    pixel[i] = level <= 0 ? 0 : level >= MOST ? MOST : (uint8_t)level;
  }
}

static int mean_gray(const uint8_t *pixels, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    sum += (uint64_t)gray_of(pixels + i * CHANNELS);
  }
  return (int)((double)sum / (double)count + 0.5);
}

/* ---- Hue: by HSV in 8 bits ---- */

typedef struct {
  int hue;
  int saturation;
  int value;
} hsv;

static hsv to_hsv(const uint8_t *pixel) {
  const int red = pixel[0];
  const int green = pixel[1];
  const int blue = pixel[2];
  const int rest = green > blue ? green : blue;
  const int most = red > rest ? red : rest;
  const int other = green < blue ? green : blue;
  const int least = red < other ? red : other;
  if (most == least) {
    return (hsv){0, 0, most};
  }
  const float range = (float)(most - least);
  const float r = (float)(most - red) / range;
  const float g = (float)(most - green) / range;
  const float b = (float)(most - blue) / range;
  const float sixth = red == most     ? b - g
                      : green == most ? (float)(2.0 + (double)r - (double)b)
                                      : (float)(4.0 + (double)g - (double)r);
  const float hue = (float)fmod((double)sixth / 6.0 + 1.0, 1.0);
  const float saturation = range / (float)most;
  return (hsv){clip((int)((double)hue * MOST)),
               clip((int)((double)saturation * MOST)), most};
}

/* Returns a level of a color, at least `part` below `value`. */
static uint8_t shade(int value, double part) {
  return clip((int)round(value * (1.0 - part)));
}

static void from_hsv(hsv color, uint8_t *pixel) {
  const double place = (double)(float)color.hue * 6.0 / 255.0;
  const int sixth = (int)floor(place);
  const float part = (float)(place - sixth);
  const float strength = (float)((double)(float)color.saturation / 255.0);
  const uint8_t most = (uint8_t)color.value;
  const uint8_t low = shade(color.value, (double)strength);
  const uint8_t falling = shade(color.value, (double)(strength * part));
  const uint8_t rising =
      shade(color.value, (double)strength * (1.0 - (double)part));
  const uint8_t kSectors[6][CHANNELS] = {
      {most, rising, low},  {falling, most, low}, {low, most, rising},
      {low, falling, most}, {rising, low, most},  {most, low, falling}};
  for (int i = 0; i < CHANNELS; i++) {
    pixel[i] = kSectors[sixth % 6][i];
  }
}

static void turn_hue(uint8_t *pixel, int steps) {
  hsv color = to_hsv(pixel);
  color.hue = ((color.hue + steps) % 256 + 256) % 256;
  from_hsv(color, pixel);
}

void color_apply(color_change change, double amount, uint8_t *pixels,
                 size_t count) {
  const int mean = change == COLOR_CONTRAST ? mean_gray(pixels, count) : 0;
  for (size_t i = 0; i < count; i++) {
    uint8_t *pixel = pixels + i * CHANNELS;
    if (change == COLOR_HUE) {
      turn_hue(pixel, (int)nearbyint(amount * MOST));
    } else {
      blend(pixel, (float)amount,
            change == COLOR_SATURATION ? gray_of(pixel) : mean);
    }
  }
}
