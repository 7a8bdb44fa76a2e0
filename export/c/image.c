#define _DEFAULT_SOURCE      /* fdopen() in C11. */
#define _FILE_OFFSET_BITS 64 /* A PPM of 32767 x 32767 has over 2 GB. */

#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHANNELS 3
#define LARGEST_SIDE 32767
#define LARGEST_NUMBER 65535 /* Largest number in the header. */
#define SHORT_SIDE 2.5 /* Multiple of the input's longer side, see step 2. */
#define BITS 22        /* Fractional bits of a weight. */

/* ---- Files ---- */

static const char kNoMemory[] = "there is not enough memory";
static const char kPixels[] = "expected the number of pixels in its header";
static const char kRaw[] = "expected a file of height x width x 3 bytes";

/* Opens a regular file; returns NULL, or the error. */
static const char *open_file(const char *path, FILE **file, off_t *size) {
  /* O_NONBLOCK: otherwise open() of a FIFO waits for a writer. */
  const int opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat about;
  const char *problem = NULL;
  *file = NULL;
  if (opened < 0 || fstat(opened, &about) != 0) {
    problem = strerror(errno);
  } else if (!S_ISREG(about.st_mode)) {
    problem = "expected a file, got a folder or device";
  } else {
    *size = about.st_size;
    *file = fdopen(opened, "rb");
    problem = *file == NULL ? kNoMemory : NULL;
  }
  if (*file == NULL && opened >= 0) {
    (void)close(opened);
  }
  return problem;
}

/* Reads a number of a PPM's header, after white space and comments. */
static bool read_number(FILE *file, int32_t *number) {
  int c = getc(file);
  while (c == ' ' || (c >= '\t' && c <= '\r') || c == '#') {
    if (c == '#') {
      while (c != '\n' && c != EOF) {
        c = getc(file);
      }
    } else {
      c = getc(file);
    }
  }
  *number = 0;
  bool found = false;
  for (; c >= '0' && c <= '9'; c = getc(file)) {
    *number = 10 * *number + (c - '0');
    found = true;
    if (*number > LARGEST_NUMBER) {
      return false;
    }
  }
  /* One white space ends the header, and is skipped. */
  return found && (c == ' ' || (c >= '\t' && c <= '\r'));
}

/* Reads the header of a PPM of `length` bytes; leaves its pixels NULL. */
static const char *read_header(FILE *file, off_t length, image *result) {
  int32_t width = 0;
  int32_t height = 0;
  int32_t most = 0;
  if (getc(file) != 'P' || getc(file) != '6') {
    return "expected a PPM that begins with P6";
  }
  if (!read_number(file, &width) || !read_number(file, &height) ||
      !read_number(file, &most) || width < 1 || width > LARGEST_SIDE ||
      height < 1 || height > LARGEST_SIDE) {
    return "expected a PPM of 1 to 32767 pixels on each side";
  }
  if (most != 255) {
    return "expected a PPM of 8 bits, with 255 as the largest value";
  }
  const off_t start = ftello(file);
  /* Checks the length before it allocates memory for the size in a header. */
  if (start < 0 || length - start != (off_t)height * width * CHANNELS) {
    return kPixels;
  }
  *result = (image){NULL, height, width};
  return NULL;
}

const char *image_read_ppm(const char *path, image *result) {
  FILE *file = NULL;
  off_t length = 0;
  image found = {NULL, 0, 0};
  const char *problem = open_file(path, &file, &length);
  if (problem == NULL) {
    problem = read_header(file, length, &found);
  }
  if (problem == NULL) {
    const size_t size = (size_t)found.height * (size_t)found.width * CHANNELS;
    found.pixels = malloc(size);
    if (found.pixels == NULL) {
      problem = kNoMemory;
    } else if (fread(found.pixels, 1, size, file) != size) {
      problem = kPixels;
    }
  }
  if (file != NULL) {
    (void)fclose(file);
  }
  if (problem == NULL) {
    *result = found;
  } else {
    free(found.pixels);
  }
  return problem;
}

const char *image_read_raw(const char *path, uint8_t *pixels, size_t size) {
  FILE *file = NULL;
  off_t length = 0;
  const char *problem = open_file(path, &file, &length);
  if (problem == NULL &&
      ((uintmax_t)length != size || fread(pixels, 1, size, file) != size)) {
    problem = kRaw;
  }
  if (file != NULL) {
    (void)fclose(file);
  }
  return problem;
}

const char *image_check(const char *path, size_t raw_size,
                        uint8_t digest[TINYTL_FINGERPRINT_SIZE]) {
  FILE *file = NULL;
  off_t length = 0;
  image found = {NULL, 0, 0};
  const char *problem = open_file(path, &file, &length);
  if (problem == NULL && raw_size > 0) {
    problem = (uintmax_t)length == raw_size ? NULL : kRaw;
  } else if (problem == NULL) {
    problem = read_header(file, length, &found);
  }
  if (problem == NULL && fseeko(file, 0, SEEK_SET) == 0) {
    uint8_t part[4096];
    tinytl_sha256_sum sum = tinytl_sha256_start();
    size_t got = 0;
    while ((got = fread(part, 1, sizeof part, file)) > 0) {
      tinytl_sha256_add(&sum, part, got);
    }
    tinytl_sha256_end(&sum, digest);
    problem = ferror(file) ? "it cannot be read to its end" : NULL;
  }
  if (file != NULL) {
    (void)fclose(file);
  }
  return problem;
}

/* ---- Resizing ---- */

/* Input pixels of an output pixel along one axis. */
typedef struct {
  int32_t first;
  int32_t count;
} span;

/* The pixels that each output pixel reads, and their weights. */
typedef struct {
  span *spans;      /* Span of each output pixel. */
  int32_t *weights; /* `most` for each output pixel, in 2^-22. */
  int32_t most;
} filter;

static void free_filter(filter *axis) {
  free(axis->spans);
  free(axis->weights);
}

/* Makes the filter of an axis of `size` pixels; false without memory. */
static bool make_filter(int32_t size, float start, float end, int32_t outputs,
                        filter *axis) {
  const double step = ((double)end - (double)start) / outputs;
  const double reach = step > 1 ? step : 1;
  axis->most = 2 * (int32_t)ceil(reach) + 1;
  axis->spans = calloc((size_t)outputs, sizeof *axis->spans);
  axis->weights =
      calloc((size_t)outputs * (size_t)axis->most, sizeof *axis->weights);
  double *weights = calloc((size_t)axis->most, sizeof *weights);
  if (axis->spans == NULL || axis->weights == NULL || weights == NULL) {
    free(weights);
    return false;
  }
  for (int32_t i = 0; i < outputs; i++) {
    const double center = (double)start + (i + 0.5) * step;
    const double from = center - reach + 0.5;
    const double to = center + reach + 0.5;
    const int32_t first = from > 0 ? (int32_t)from : 0;
    int32_t last = to < size ? (int32_t)to : size;
    if (last - first > axis->most) {
      last = first + axis->most;
    }
    double sum = 0;
    for (int32_t j = first; j < last; j++) {
      const double weight = 1 - fabs(j - center + 0.5) / reach;
      weights[j - first] = weight > 0 ? weight : 0;
      sum += weights[j - first];
    }
    for (int32_t j = first; j < last; j++) {
      axis->weights[(size_t)i * (size_t)axis->most + (size_t)(j - first)] =
          (int32_t)(0.5 + weights[j - first] / sum * (1 << BITS));
    }
    axis->spans[i] = (span){first, last - first};
  }
  free(weights);
  return true;
}

/*
 * Resizes one axis. `stride` is the distance of two pixels of this axis in
 * bytes, the same in both pictures; `source_line` and `result_line` are the
 * distances of two of the `lines` lines.
 */
static void resize_axis(const filter *axis, const uint8_t *source,
                        uint8_t *result, int32_t outputs, size_t stride,
                        size_t line_bytes, size_t lines, size_t source_line,
                        size_t result_line) {
  for (size_t line = 0; line < lines; line++) {
    for (int32_t i = 0; i < outputs; i++) {
      const span *reads = &axis->spans[i];
      const int32_t *weights = axis->weights + (size_t)i * (size_t)axis->most;
      const uint8_t *from =
          source + line * source_line + (size_t)reads->first * stride;
      uint8_t *to = result + line * result_line + (size_t)i * stride;
      for (size_t k = 0; k < line_bytes; k++) {
        int64_t sum = 1 << (BITS - 1);
        for (int32_t j = 0; j < reads->count; j++) {
          sum += (int64_t)from[(size_t)j * stride + k] * weights[j];
        }
        const int64_t level = sum >> BITS;
        to[k] = (uint8_t)(level > 255 ? 255 : level);
      }
    }
  }
}

bool image_resize(const image *source, const image_box *part, int32_t height,
                  int32_t width, uint8_t *pixels) {
  const size_t source_row = (size_t)source->width * CHANNELS;
  const size_t result_row = (size_t)width * CHANNELS;
  const bool rows = !(part->left == 0 && part->right == (float)source->width &&
                      width == source->width);
  const bool columns =
      !(part->top == 0 && part->bottom == (float)source->height &&
        height == source->height);
  const uint8_t *wide = source->pixels;
  uint8_t *between = NULL;
  filter axis = {NULL, NULL, 0};
  bool good = true;
  if (rows) {
    between = malloc((size_t)source->height * result_row);
    good = between != NULL &&
           make_filter(source->width, part->left, part->right, width, &axis);
    if (good) {
      resize_axis(&axis, source->pixels, between, width, CHANNELS, CHANNELS,
                  (size_t)source->height, source_row, result_row);
    }
    free_filter(&axis);
    wide = between;
  }
  if (good && columns) {
    axis = (filter){NULL, NULL, 0};
    good = make_filter(source->height, part->top, part->bottom, height, &axis);
    if (good) {
      resize_axis(&axis, wide, pixels, height, result_row, result_row, 1, 0, 0);
    }
    free_filter(&axis);
  } else if (good) {
    memcpy(pixels, wide, (size_t)height * result_row);
  }
  free(between);
  return good;
}

bool image_shrink(const image *source, int32_t height, int32_t width,
                  image *result) {
  const int32_t longer = height > width ? height : width;
  const double most = nearbyint(SHORT_SIDE * longer);
  const int32_t side =
      source->height < source->width ? source->height : source->width;
  if (side <= most) {
    *result = *source;
    return true;
  }
  image smaller = {NULL, (int32_t)nearbyint(source->height * (most / side)),
                   (int32_t)nearbyint(source->width * (most / side))};
  smaller.pixels =
      malloc((size_t)smaller.height * (size_t)smaller.width * CHANNELS);
  const image_box all = {0, 0, (float)source->width, (float)source->height};
  if (smaller.pixels == NULL || !image_resize(source, &all, smaller.height,
                                              smaller.width, smaller.pixels)) {
    free(smaller.pixels);
    return false;
  }
  *result = smaller;
  return true;
}

image_box image_center(const image *source, double fraction, int32_t height,
                       int32_t width) {
  const double high = ceil(height / fraction) / source->height;
  const double wide = ceil(width / fraction) / source->width;
  const double scale = high > wide ? high : wide;
  const double rest_y = source->height - height / scale;
  const double rest_x = source->width - width / scale;
  return (image_box){(float)(rest_x / 2), (float)(rest_y / 2),
                     (float)(rest_x / 2 + width / scale),
                     (float)(rest_y / 2 + height / scale)};
}

bool image_fit(const image *source, double fraction, int32_t height,
               int32_t width, uint8_t *pixels) {
  image shrunk = {NULL, 0, 0};
  if (!image_shrink(source, height, width, &shrunk)) {
    return false;
  }
  const image_box center = image_center(&shrunk, fraction, height, width);
  const bool good = image_resize(&shrunk, &center, height, width, pixels);
  if (shrunk.pixels != source->pixels) {
    free(shrunk.pixels);
  }
  return good;
}

void image_flip(uint8_t *pixels, int32_t height, int32_t width) {
  for (int32_t y = 0; y < height; y++) {
    uint8_t *left = pixels + (size_t)y * (size_t)width * CHANNELS;
    uint8_t *right = left + (size_t)(width - 1) * CHANNELS;
    for (; left < right; left += CHANNELS, right -= CHANNELS) {
      uint8_t pixel[CHANNELS];
      memcpy(pixel, left, CHANNELS);
      memcpy(left, right, CHANNELS);
      memcpy(right, pixel, CHANNELS);
    }
  }
}
