/*
 * Names of classes and attributes: which are valid, see docs/formats.md.
 */

#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* First and last code point of each range, inclusive. */
typedef struct {
  uint32_t first;
  uint32_t last;
} range;

/* Control characters, and line separators. */
static const range kForbidden[] = {{0, 0x1f}, {0x7f, 0x9f}, {0x2028, 0x2029}};

/* Invisible characters. A name needs at least one other character. */
static const range kInvisible[] = {
    {' ', ' '},       {0xa0, 0xa0},     {0xad, 0xad},     {0x1680, 0x1680},
    {0x180e, 0x180e}, {0x2000, 0x200f}, {0x202a, 0x202f}, {0x205f, 0x206f},
    {0x3000, 0x3000}, {0xfeff, 0xfeff}};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool is_in(uint32_t code, const range *ranges, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (code >= ranges[i].first && code <= ranges[i].last) {
      return true;
    }
  }
  return false;
}

/*
 * Reads a code point of UTF-8 and advances. Returns false if it is invalid
 * UTF-8, is encoded in more bytes than it needs, or is an unpaired surrogate.
 */
static bool read_utf8(const uint8_t **next, const uint8_t *end,
                      uint32_t *code) {
  static const uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const uint8_t first = *(*next)++;
  const size_t size = first < 0x80   ? 1
                      : first < 0xc0 ? 0
                      : first < 0xe0 ? 2
                      : first < 0xf0 ? 3
                      : first < 0xf8 ? 4
                                     : 0;
  if (size == 0 || (size_t)(end - *next) < size - 1) {
    return false;
  }
  *code = size == 1 ? first : first & (0x7fU >> size);
  for (size_t i = 1; i < size; i++) {
    const uint8_t byte = *(*next)++;
    if ((byte & 0xc0) != 0x80) {
      return false;
    }
    *code = *code << 6 | (byte & 0x3fU);
  }
  return *code >= kLeast[size] && *code <= 0x10ffff &&
         (*code < 0xd800 || *code > 0xdfff);
}

const char *tinytl_check_name(const char *name, size_t length) {
  if (length < 1 || length > TINYTL_LONGEST_NAME) {
    return "names of 1 to 255 bytes";
  }
  const uint8_t *next = (const uint8_t *)name;
  const uint8_t *end = next + length;
  bool visible = false;
  while (next < end) {
    uint32_t code = 0;
    if (!read_utf8(&next, end, &code)) {
      return "names in UTF-8";
    }
    if (is_in(code, kForbidden, COUNT(kForbidden))) {
      return "names without control characters and line breaks";
    }
    visible = visible || !is_in(code, kInvisible, COUNT(kInvisible));
  }
  return visible ? NULL : "names that are visible";
}

/* A line of the names. */
typedef struct {
  const char *text;
  size_t length;
} line;

static int compare_lines(const void *one, const void *other) {
  const line *a = one;
  const line *b = other;
  const size_t shorter = a->length < b->length ? a->length : b->length;
  const int order = memcmp(a->text, b->text, shorter);
  return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* Looks for a name that occurs twice; sorts `lines`. */
static bool has_twins(line *lines, size_t count) {
  qsort(lines, count, sizeof *lines, compare_lines);
  for (size_t i = 1; i < count; i++) {
    if (compare_lines(&lines[i - 1], &lines[i]) == 0) {
      return true;
    }
  }
  return false;
}

tinytl_status tinytl_check_names(const char *names, size_t length,
                                 const char **problem) {
  *problem = NULL;
  if (length > TINYTL_LONGEST_NAMES) {
    *problem = "names of at most 1048576 bytes together";
    return TINYTL_ERROR_NAMES;
  }
  size_t count = 1;
  for (size_t i = 0; i < length; i++) {
    count += names[i] == '\n';
  }
  line *lines = malloc(count * sizeof *lines);
  if (lines == NULL) {
    return TINYTL_ERROR_MEMORY;
  }
  const char *start = names;
  for (size_t i = 0; i < count && *problem == NULL; i++) {
    const size_t rest = length - (size_t)(start - names);
    const char *newline = memchr(start, '\n', rest);
    lines[i].text = start;
    lines[i].length = newline == NULL ? rest : (size_t)(newline - start);
    *problem = tinytl_check_name(start, lines[i].length);
    start += lines[i].length + 1;
  }
  if (*problem == NULL && has_twins(lines, count)) {
    *problem = "different names";
  }
  free(lines);
  return *problem == NULL ? TINYTL_OK : TINYTL_ERROR_NAMES;
}
