#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* Replaces control characters, which paths and names can have, and removes
   a character that was cut. */
static void make_line(char *text, bool cut) {
  size_t length = strlen(text);
  while (cut && length > 0 && (text[length - 1] & 0xc0) == 0x80) {
    length--;
  }
  if (cut && length > 0 && (text[length - 1] & 0x80) != 0) {
    length--;
  }
  text[length] = '\0';
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < ' ' || *text == 0x7f) {
      *text = '?';
    }
  }
}

tinytl_status tinytl_fail(tinytl_error *error, tinytl_status status,
                          const char *format, ...) {
  if (error != NULL) {
    va_list arguments;
    va_start(arguments, format);
    const int length =
        vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    make_line(error->text, length >= (int)sizeof error->text);
    error->status = status;
  }
  return status;
}

tinytl_status tinytl_succeed(tinytl_error *error) {
  if (error != NULL) {
    error->status = TINYTL_OK;
    error->text[0] = '\0';
  }
  return TINYTL_OK;
}

tinytl_status tinytl_fail_memory(tinytl_error *error, size_t bytes) {
  return tinytl_fail(error, TINYTL_ERROR_MEMORY,
                     "expected %zu bytes of memory, got none; close other "
                     "programs or export a smaller model",
                     bytes);
}

tinytl_status tinytl_fail_runtime(const char *what, int status,
                                  tinytl_error *error) {
  return tinytl_fail(error, TINYTL_ERROR_RUNTIME,
                     "LiteRT cannot %s: status %d; open the model again, or "
                     "export it again for this version",
                     what, status);
}

tinytl_status tinytl_fail_null(tinytl_error *error) {
  return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                     "expected a model and all arrays, got NULL; pass them");
}

tinytl_status tinytl_check_size(const char *what, size_t got, size_t expected,
                                tinytl_error *error) {
  if (got != expected) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected %s of %zu, got %zu; see tinytl_get_info()",
                       what, expected, got);
  }
  return TINYTL_OK;
}

const char *tinytl_status_name(tinytl_status status) {
  switch (status) {
    case TINYTL_OK:
      return "TINYTL_OK";
    case TINYTL_ERROR_ARGUMENT:
      return "TINYTL_ERROR_ARGUMENT";
    case TINYTL_ERROR_MEMORY:
      return "TINYTL_ERROR_MEMORY";
    case TINYTL_ERROR_FILE:
      return "TINYTL_ERROR_FILE";
    case TINYTL_ERROR_LIBRARY:
      return "TINYTL_ERROR_LIBRARY";
    case TINYTL_ERROR_RUNTIME:
      return "TINYTL_ERROR_RUNTIME";
    case TINYTL_ERROR_MODEL:
      return "TINYTL_ERROR_MODEL";
    case TINYTL_ERROR_MANIFEST:
      return "TINYTL_ERROR_MANIFEST";
    case TINYTL_ERROR_MAGIC:
      return "TINYTL_ERROR_MAGIC";
    case TINYTL_ERROR_VERSION:
      return "TINYTL_ERROR_VERSION";
    case TINYTL_ERROR_LENGTH:
      return "TINYTL_ERROR_LENGTH";
    case TINYTL_ERROR_CHECKSUM:
      return "TINYTL_ERROR_CHECKSUM";
    case TINYTL_ERROR_FINGERPRINT:
      return "TINYTL_ERROR_FINGERPRINT";
    case TINYTL_ERROR_COUNT:
      return "TINYTL_ERROR_COUNT";
    case TINYTL_ERROR_NAMES:
      return "TINYTL_ERROR_NAMES";
    case TINYTL_ERROR_OUTPUTS:
      return "TINYTL_ERROR_OUTPUTS";
    case TINYTL_ERROR_NOT_FINITE:
      return "TINYTL_ERROR_NOT_FINITE";
    case TINYTL_ERROR_REFUSED:
      return "TINYTL_ERROR_REFUSED";
  }
  return "an unknown tinytl_status";
}
