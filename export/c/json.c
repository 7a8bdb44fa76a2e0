/*
 * A JSON reader: RFC 8259, in UTF-8.
 *
 * It reads the text in one pass without a tree, reads no bytes beyond the end,
 * and accepts at most MAX_DEPTH levels.
 */

#define _DEFAULT_SOURCE /* newlocale() in C11. */

#include "json.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 32

bool tinytl_json_fail(tinytl_json *json, const char *expected) {
  if (json->problem == NULL) {
    json->problem = expected;
  }
  return false;
}

static void skip_space(tinytl_json *json) {
  while (json->next < json->end &&
         (*json->next == ' ' || *json->next == '\t' || *json->next == '\n' ||
          *json->next == '\r')) {
    json->next++;
  }
}

/* Reads the character after any white space if it is `wanted`. */
bool tinytl_json_take(tinytl_json *json, char wanted) {
  skip_space(json);
  if (json->next < json->end && *json->next == wanted) {
    json->next++;
    return true;
  }
  return false;
}

bool tinytl_json_word(tinytl_json *json, const char *word) {
  const size_t length = strlen(word);
  skip_space(json);
  if ((size_t)(json->end - json->next) >= length &&
      memcmp(json->next, word, length) == 0) {
    json->next += length;
    return true;
  }
  return false;
}

static bool read_hex(tinytl_json *json, uint32_t *value) {
  *value = 0;
  for (int i = 0; i < 4; i++) {
    if (json->next == json->end) {
      return tinytl_json_fail(json, "four hexadecimal digits");
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
      return tinytl_json_fail(json, "four hexadecimal digits");
    }
    *value = *value << 4 | number;
    json->next++;
  }
  return true;
}

/* Reads the digits after `\u`, and both halves of a surrogate pair. */
static bool read_code_point(tinytl_json *json, uint32_t *code) {
  if (!read_hex(json, code)) {
    return false;
  }
  if (*code >= 0xd800 && *code < 0xdc00) {
    uint32_t low = 0;
    if (json->end - json->next < 2 || json->next[0] != '\\' ||
        json->next[1] != 'u') {
      return tinytl_json_fail(json, "the second half of a surrogate pair");
    }
    json->next += 2;
    if (!read_hex(json, &low)) {
      return false;
    }
    if (low < 0xdc00 || low > 0xdfff) {
      return tinytl_json_fail(json, "the second half of a surrogate pair");
    }
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
  } else if (*code >= 0xdc00 && *code <= 0xdfff) {
    return tinytl_json_fail(json, "the first half of a surrogate pair");
  }
  return true;
}

/* Writes a code point as 1 to 4 bytes of UTF-8; returns their number. */
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
 * Reads a string. `value`, unless it is NULL, gets a null-terminated copy, to
 * be freed; a null character inside is refused.
 */
bool tinytl_json_string(tinytl_json *json, char **value) {
  if (!tinytl_json_take(json, '"')) {
    return tinytl_json_fail(json, "a string");
  }
  /* An escape is at least as long as its character. */
  const char *close = json->next;
  while (close < json->end && *close != '"') {
    close += *close == '\\' && json->end - close > 1 ? 2 : 1;
  }
  if (close >= json->end) {
    return tinytl_json_fail(json, "the end of a string");
  }
  char *text = malloc((size_t)(close - json->next) + 1);
  if (text == NULL) {
    json->no_memory = true;
    return tinytl_json_fail(json, "memory");
  }
  size_t used = 0;
  bool good = true;
  while (good && json->next < close) {
    const char c = *json->next++;
    if ((unsigned char)c < 0x20) {
      good = tinytl_json_fail(json, "no control character in a string");
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
        good = tinytl_json_fail(json, "a known escape in a string");
      } else if (!read_code_point(json, &code)) {
        good = false;
      } else if (code == 0) {
        good = tinytl_json_fail(json, "no null character in a string");
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

static void skip_digits(tinytl_json *json) {
  while (json->next < json->end && *json->next >= '0' && *json->next <= '9') {
    json->next++;
  }
}

static bool skip_number(tinytl_json *json) {
  (void)tinytl_json_take(json, '-');
  const char *start = json->next;
  skip_digits(json);
  if (json->next == start || (*start == '0' && json->next - start > 1)) {
    return tinytl_json_fail(json, "a value");
  }
  if (json->next < json->end && *json->next == '.') {
    start = ++json->next;
    skip_digits(json);
    if (json->next == start) {
      return tinytl_json_fail(json, "digits");
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
      return tinytl_json_fail(json, "digits");
    }
  }
  return true;
}

bool tinytl_json_object(tinytl_json *json, tinytl_json_field read,
                        void *context) {
  if (!tinytl_json_take(json, '{')) {
    return tinytl_json_fail(json, "an object");
  }
  if (tinytl_json_take(json, '}')) {
    return true;
  }
  do {
    char *name = NULL;
    if (!tinytl_json_string(json, &name)) {
      return false;
    }
    const bool good =
        (tinytl_json_take(json, ':') || tinytl_json_fail(json, "a colon")) &&
        read(json, name, context);
    free(name);
    if (!good) {
      return false;
    }
  } while (tinytl_json_take(json, ','));
  return tinytl_json_take(json, '}') ||
         tinytl_json_fail(json, "a comma or the end of an object");
}

bool tinytl_json_list(tinytl_json *json, tinytl_json_item read, void *context) {
  if (!tinytl_json_take(json, '[')) {
    return tinytl_json_fail(json, "a list");
  }
  if (tinytl_json_take(json, ']')) {
    return true;
  }
  do {
    if (!read(json, context)) {
      return false;
    }
  } while (tinytl_json_take(json, ','));
  return tinytl_json_take(json, ']') ||
         tinytl_json_fail(json, "a comma or the end of a list");
}

static bool skip_value(tinytl_json *json, int depth);

static bool skip_field(tinytl_json *json, const char *name, void *depth) {
  (void)name;
  return skip_value(json, *(int *)depth);
}

static bool skip_item(tinytl_json *json, void *depth) {
  return skip_value(json, *(int *)depth);
}

static bool skip_value(tinytl_json *json, int depth) {
  int deeper = depth + 1;
  if (depth > MAX_DEPTH) {
    return tinytl_json_fail(json, "fewer levels");
  }
  skip_space(json);
  if (json->next == json->end) {
    return tinytl_json_fail(json, "a value");
  }
  switch (*json->next) {
    case '"':
      return tinytl_json_string(json, NULL);
    case '{':
      return tinytl_json_object(json, skip_field, &deeper);
    case '[':
      return tinytl_json_list(json, skip_item, &deeper);
    default:
      return tinytl_json_word(json, "true") ||
             tinytl_json_word(json, "false") ||
             tinytl_json_word(json, "null") || skip_number(json);
  }
}

bool tinytl_json_skip(tinytl_json *json) {
  return skip_value(json, 1);
}

bool tinytl_json_whole(tinytl_json *json, uint64_t most, uint64_t *value) {
  skip_space(json);
  const char *start = json->next;
  *value = 0;
  for (; json->next < json->end && *json->next >= '0' && *json->next <= '9';
       json->next++) {
    const uint64_t digit = (uint64_t)(*json->next - '0');
    if (digit > most || *value > (most - digit) / 10) {
      return tinytl_json_fail(json, "a smaller integer");
    }
    *value = 10 * *value + digit;
  }
  if (json->next == start || (*start == '0' && json->next - start > 1) ||
      (json->next < json->end && strchr(".eE", *json->next) != NULL)) {
    return tinytl_json_fail(json, "an integer of 0 or more");
  }
  return true;
}

bool tinytl_json_number(tinytl_json *json, double *value) {
  skip_space(json);
  const char *start = json->next;
  if (!skip_number(json)) {
    return false;
  }
  const size_t length = (size_t)(json->next - start);
  char *text = malloc(length + 1);
  /* The program's locale may have a decimal comma. */
  const locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
  const bool good = text != NULL && c != (locale_t)0;
  if (good) {
    memcpy(text, start, length);
    text[length] = '\0';
    const locale_t before = uselocale(c);
    *value = strtod(text, NULL);
    (void)uselocale(before);
  }
  if (c != (locale_t)0) {
    freelocale(c);
  }
  free(text);
  json->no_memory = json->no_memory || !good;
  return good || tinytl_json_fail(json, "memory");
}

bool tinytl_json_bool(tinytl_json *json, bool *value) {
  *value = tinytl_json_word(json, "true");
  return *value || tinytl_json_word(json, "false") ||
         tinytl_json_fail(json, "true or false");
}

bool tinytl_json_end(tinytl_json *json) {
  skip_space(json);
  return json->next == json->end ||
         tinytl_json_fail(json, "the end of the text");
}
