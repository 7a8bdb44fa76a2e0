/*
 * The few fields that the library needs of a manifest, or of the metadata entry
 * TINYTL of a `.tflite`. Both are JSON: RFC 8259, in UTF-8.
 *
 * The reader goes once through the text. It keeps no tree, reads no byte beyond
 * the end, and goes no deeper than MAX_DEPTH.
 */

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define MAX_DEPTH 32
#define MAX_LABELS 65536
#define MAX_POWER 1000         /* Of ten; no float has as many. */
#define MAX_VALUES 0x7fffffffU /* Of a part of the state. */

typedef struct {
  const char *next;
  const char *end;
  const char *problem; /* What was expected at `next`, or NULL. */
  bool no_memory;
} reader;

static bool fail(reader *json, const char *expected) {
  if (json->problem == NULL) {
    json->problem = expected;
  }
  return false;
}

static void skip_space(reader *json) {
  while (json->next < json->end &&
         (*json->next == ' ' || *json->next == '\t' || *json->next == '\n' ||
          *json->next == '\r')) {
    json->next++;
  }
}

/* Takes the character after any white space if it is `wanted`. */
static bool take(reader *json, char wanted) {
  skip_space(json);
  if (json->next < json->end && *json->next == wanted) {
    json->next++;
    return true;
  }
  return false;
}

static bool take_word(reader *json, const char *word) {
  const size_t length = strlen(word);
  skip_space(json);
  if ((size_t)(json->end - json->next) >= length &&
      memcmp(json->next, word, length) == 0) {
    json->next += length;
    return true;
  }
  return false;
}

static bool read_hex(reader *json, uint32_t *value) {
  *value = 0;
  for (int i = 0; i < 4; i++) {
    if (json->next == json->end) {
      return fail(json, "four hexadecimal digits");
    }
    const char digit = *json->next;
    uint32_t number;
    if (digit >= '0' && digit <= '9') {
      number = (uint32_t)(digit - '0');
    } else if (digit >= 'a' && digit <= 'f') {
      number = (uint32_t)(digit - 'a') + 10;
    } else if (digit >= 'A' && digit <= 'F') {
      number = (uint32_t)(digit - 'A') + 10;
    } else {
      return fail(json, "four hexadecimal digits");
    }
    *value = *value << 4 | number;
    json->next++;
  }
  return true;
}

/* Reads what follows `\u`, with a second half if it is the first of a pair. */
static bool read_code_point(reader *json, uint32_t *code) {
  if (!read_hex(json, code)) {
    return false;
  }
  if (*code >= 0xd800 && *code < 0xdc00) {
    uint32_t low = 0;
    if (json->end - json->next < 2 || json->next[0] != '\\' ||
        json->next[1] != 'u') {
      return fail(json, "the second half of a pair");
    }
    json->next += 2;
    if (!read_hex(json, &low)) {
      return false;
    }
    if (low < 0xdc00 || low > 0xdfff) {
      return fail(json, "the second half of a pair");
    }
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
  } else if (*code >= 0xdc00 && *code <= 0xdfff) {
    return fail(json, "the first half of a pair");
  }
  return true;
}

/* Writes a code point as 1 to 4 bytes of UTF-8; returns how many. */
static size_t put_utf8(char *out, uint32_t code) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  const size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const uint32_t kMarks[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = size - 1; i > 0; i--) {
    out[i] = (char)(unsigned char)(0x80 | (code & 0x3f));
    code >>= 6;
  }
  out[0] = (char)(unsigned char)(kMarks[size] | code);
  return size;
}

/*
 * Reads a string. `value`, if it is not NULL, gets a copy to be freed, with a
 * zero at its end; a zero inside is refused.
 */
static bool read_string(reader *json, char **value) {
  if (!take(json, '"')) {
    return fail(json, "a string");
  }
  /* No escape is shorter than what it stands for. */
  const char *close = json->next;
  while (close < json->end && *close != '"') {
    close += *close == '\\' && json->end - close > 1 ? 2 : 1;
  }
  if (close >= json->end) {
    return fail(json, "the end of a string");
  }
  char *text = malloc((size_t)(close - json->next) + 1);
  if (text == NULL) {
    json->no_memory = true;
    return fail(json, "memory");
  }
  size_t used = 0;
  bool good = true;
  while (good && json->next < close) {
    const char c = *json->next++;
    if ((unsigned char)c < 0x20) {
      good = fail(json, "no control character in a string");
    } else if (c != '\\') {
      text[used++] = c;
    } else {
      static const char kEscapes[] = "\"\\/bfnrt";
      static const char kMeanings[] = "\"\\/\b\f\n\r\t";
      const char escape = *json->next++;
      const char *place = escape == '\0' ? NULL : strchr(kEscapes, escape);
      uint32_t code = 0;
      if (place != NULL) {
        text[used++] = kMeanings[place - kEscapes];
      } else if (escape != 'u') {
        good = fail(json, "a known escape in a string");
      } else if (!read_code_point(json, &code)) {
        good = false;
      } else if (code == 0) {
        good = fail(json, "no zero in a string");
      } else {
        used += put_utf8(text + used, code);
      }
    }
  }
  text[used] = '\0';
  if (good) {
    json->next = close + 1;
  }
  if (good && value != NULL) {
    *value = text;
  } else {
    free(text);
  }
  return good;
}

static void skip_digits(reader *json) {
  while (json->next < json->end && *json->next >= '0' && *json->next <= '9') {
    json->next++;
  }
}

static bool skip_number(reader *json) {
  (void)take(json, '-');
  const char *start = json->next;
  skip_digits(json);
  if (json->next == start || (*start == '0' && json->next - start > 1)) {
    return fail(json, "a value");
  }
  if (json->next < json->end && *json->next == '.') {
    start = ++json->next;
    skip_digits(json);
    if (json->next == start) {
      return fail(json, "digits");
    }
  }
  if (json->next < json->end && (*json->next == 'e' || *json->next == 'E')) {
    json->next++;
    if (json->next < json->end && (*json->next == '+' || *json->next == '-')) {
      json->next++;
    }
    start = json->next;
    skip_digits(json);
    if (json->next == start) {
      return fail(json, "digits");
    }
  }
  return true;
}

static bool skip_value(reader *json, int depth) {
  if (depth > MAX_DEPTH) {
    return fail(json, "fewer levels");
  }
  skip_space(json);
  if (json->next == json->end) {
    return fail(json, "a value");
  }
  switch (*json->next) {
    case '"':
      return read_string(json, NULL);
    case '{':
      json->next++;
      if (take(json, '}')) {
        return true;
      }
      do {
        if (!read_string(json, NULL)) {
          return false;
        }
        if (!take(json, ':')) {
          return fail(json, "a colon");
        }
        if (!skip_value(json, depth + 1)) {
          return false;
        }
      } while (take(json, ','));
      return take(json, '}') || fail(json, "a comma or the end of an object");
    case '[':
      json->next++;
      if (take(json, ']')) {
        return true;
      }
      do {
        if (!skip_value(json, depth + 1)) {
          return false;
        }
      } while (take(json, ','));
      return take(json, ']') || fail(json, "a comma or the end of a list");
    default:
      return take_word(json, "true") || take_word(json, "false") ||
             take_word(json, "null") || skip_number(json);
  }
}

/* Reads a whole number of at most 9 digits. */
static bool read_whole(reader *json, long *value) {
  skip_space(json);
  const char *start = json->next;
  skip_digits(json);
  const ptrdiff_t digits = json->next - start;
  if (digits < 1 || digits > 9 || (*start == '0' && digits > 1)) {
    return fail(json, "a whole number");
  }
  *value = 0;
  for (; start < json->next; start++) {
    *value = 10 * *value + (*start - '0');
  }
  return true;
}

/*
 * Reads a number above 0. Not with strtod(), to which a program's locale may
 * say that the point is a comma.
 */
static bool read_rate(reader *json, float *value) {
  skip_space(json);
  const char *start = json->next;
  if (!skip_number(json)) {
    return false;
  }
  double digits = 0;
  long exponent = 0;
  bool decimals = false;
  for (; start < json->next && *start != 'e' && *start != 'E'; start++) {
    if (*start == '.') {
      decimals = true;
    } else if (*start >= '0' && *start <= '9') {
      digits = 10 * digits + (*start - '0');
      exponent -= decimals;
    } else {
      return fail(json, "a number above 0");
    }
  }
  if (start < json->next) {
    const bool negative = *++start == '-';
    start += *start == '-' || *start == '+';
    long power = 0;
    for (; start < json->next && power < MAX_POWER; start++) {
      power = 10 * power + (*start - '0');
    }
    exponent += negative ? -power : power;
  }
  double scale = 1;
  for (long i = labs(exponent); i > 0 && scale < DBL_MAX; i--) {
    scale *= 10;
  }
  const double rate = exponent < 0 ? digits / scale : digits * scale;
  *value = (float)rate;
  return (rate > 0 && rate <= FLT_MAX && *value > 0) ||
         fail(json, "a number above 0");
}

static bool read_bool(reader *json, bool *value) {
  *value = take_word(json, "true");
  return *value || take_word(json, "false") || fail(json, "true or false");
}

static bool read_labels(reader *json, tinytl_description *description) {
  if (!take(json, '[')) {
    return fail(json, "a list");
  }
  size_t room = 0;
  do {
    if (description->label_count == MAX_LABELS) {
      return fail(json, "fewer names");
    }
    if (description->label_count == room) {
      room = room == 0 ? 16 : 2 * room;
      char **labels = realloc(description->labels, room * sizeof *labels);
      if (labels == NULL) {
        json->no_memory = true;
        return fail(json, "memory");
      }
      description->labels = labels;
    }
    char *label = NULL;
    if (!read_string(json, &label)) {
      return false;
    }
    description->labels[description->label_count++] = label;
    if (label[0] == '\0') {
      return fail(json, "a name that is not empty");
    }
  } while (take(json, ','));
  return take(json, ']') || fail(json, "a comma or the end of a list");
}

/* Reads a list of sizes; returns their product. */
static bool read_shape(reader *json, size_t *count) {
  *count = 1;
  if (!take(json, '[')) {
    return fail(json, "a list");
  }
  if (take(json, ']')) {
    return true;
  }
  do {
    long size = 0;
    if (!read_whole(json, &size)) {
      return false;
    }
    if (size < 1 || *count > MAX_VALUES / (size_t)size) {
      return fail(json, "a smaller shape");
    }
    *count *= (size_t)size;
  } while (take(json, ','));
  return take(json, ']') || fail(json, "a comma or the end of a list");
}

/* What is read of one entry of `state`. */
typedef struct {
  char *name;
  char *slot;
  long offset;
  size_t count;
} state_entry;

static bool read_entry_fields(reader *json, state_entry *entry) {
  if (!take(json, '{')) {
    return fail(json, "an object");
  }
  do {
    char *name = NULL;
    if (!read_string(json, &name)) {
      return false;
    }
    bool good = take(json, ':') || fail(json, "a colon");
    if (!good) {
      /* Nothing of the field is read. */
    } else if (strcmp(name, "name") == 0 && entry->name == NULL) {
      good = read_string(json, &entry->name);
    } else if (strcmp(name, "slot") == 0 && entry->slot == NULL) {
      good = read_string(json, &entry->slot);
    } else if (strcmp(name, "offset") == 0) {
      good = read_whole(json, &entry->offset);
    } else if (strcmp(name, "shape") == 0) {
      good = read_shape(json, &entry->count);
    } else {
      good = skip_value(json, 2);
    }
    free(name);
    if (!good) {
      return false;
    }
  } while (take(json, ','));
  return take(json, '}') || fail(json, "a comma or the end of an object");
}

/* Reads where the classifier lies in the state. */
static bool read_state(reader *json, tinytl_description *description) {
  if (!take(json, '[')) {
    return fail(json, "a list");
  }
  if (take(json, ']')) {
    return true;
  }
  do {
    state_entry entry = {NULL, NULL, 0, 0};
    const bool good = read_entry_fields(json, &entry);
    if (good && entry.name != NULL && entry.slot != NULL &&
        entry.slot[0] == '\0') {
      const tinytl_part part = {(size_t)entry.offset, entry.count};
      if (strcmp(entry.name, "classifier/bias") == 0) {
        description->bias = part;
      } else if (strcmp(entry.name, "classifier/kernel") == 0) {
        description->kernel = part;
      }
    }
    free(entry.name);
    free(entry.slot);
    if (!good) {
      return false;
    }
  } while (take(json, ','));
  return take(json, ']') || fail(json, "a comma or the end of a list");
}

static bool read_field(reader *json, const char *name,
                       tinytl_description *description, unsigned *seen) {
  static const char *const kNames[] = {
      "format_version", "contract",      "sha256", "task",         "labels",
      "xnnpack",        "spare_classes", "state",  "learning_rate"};
  unsigned field = 0;
  while (field < sizeof kNames / sizeof kNames[0] &&
         strcmp(name, kNames[field]) != 0) {
    field++;
  }
  if (field < sizeof kNames / sizeof kNames[0]) {
    if ((*seen & 1U << field) != 0) {
      return fail(json, "each field once");
    }
    *seen |= 1U << field;
  }
  switch (field) {
    case 0:
      return read_whole(json, &description->format_version);
    case 1:
      return read_whole(json, &description->contract);
    case 2:
      return read_string(json, &description->sha256);
    case 3:
      return read_string(json, &description->task);
    case 4:
      return read_labels(json, description);
    case 5:
      return read_bool(json, &description->xnnpack);
    case 6:
      return read_whole(json, &description->spare_classes);
    case 7:
      return read_state(json, description);
    case 8:
      return read_rate(json, &description->learning_rate);
    default:
      return skip_value(json, 1);
  }
}

static bool read_fields(reader *json, tinytl_description *description) {
  if (!take(json, '{')) {
    return fail(json, "an object");
  }
  unsigned seen = 0;
  if (!take(json, '}')) {
    do {
      char *name = NULL;
      if (!read_string(json, &name)) {
        return false;
      }
      const bool good = (take(json, ':') || fail(json, "a colon")) &&
                        read_field(json, name, description, &seen);
      free(name);
      if (!good) {
        return false;
      }
    } while (take(json, ','));
    if (!take(json, '}')) {
      return fail(json, "a comma or the end of an object");
    }
  }
  skip_space(json);
  return json->next == json->end || fail(json, "the end of the text");
}

tinytl_status tinytl_parse_description(const char *text, size_t length,
                                       const char *what,
                                       tinytl_description *description,
                                       tinytl_error *error) {
  reader json = {text, text + length, NULL, false};
  *description = (tinytl_description){.xnnpack = true,
                                      .learning_rate = TINYTL_LEARNING_RATE};
  if (read_fields(&json, description)) {
    return TINYTL_OK;
  }
  tinytl_free_description(description);
  if (json.no_memory) {
    return tinytl_fail_memory(error, length);
  }
  return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                     "cannot read %s: expected %s at byte %td; copy or export "
                     "the model again",
                     what, json.problem, json.next - text);
}

void tinytl_free_description(tinytl_description *description) {
  for (size_t i = 0; i < description->label_count; i++) {
    free(description->labels[i]);
  }
  free(description->labels);
  free(description->sha256);
  free(description->task);
  *description = (tinytl_description){0};
}
