/*
 * A JSON reader with callbacks for fields and items. A function that returns
 * false has stored the expected text and its position in the reader.
 */

#ifndef TINYTL_JSON_H
#define TINYTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  const char *next;
  const char *end;
  const char *problem; /* Expected text at `next`, or NULL. */
  bool no_memory;
} tinytl_json;

/* Stores the first problem. Returns false. */
bool tinytl_json_fail(tinytl_json *json, const char *expected);

/* Reads the character after any white space if it is `wanted`. */
bool tinytl_json_take(tinytl_json *json, char wanted);

/* Reads `true`, `false` or `null` after any white space. */
bool tinytl_json_word(tinytl_json *json, const char *word);

/*
 * Reads a string. `value`, unless it is NULL, gets a null-terminated copy, to
 * be freed; a null character inside is refused.
 */
bool tinytl_json_string(tinytl_json *json, char **value);

/* Reads an integer of 0 to `most`, without fraction or exponent. */
bool tinytl_json_whole(tinytl_json *json, uint64_t most, uint64_t *value);

/* Reads a number, rounded to the nearest double; it may be infinite. */
bool tinytl_json_number(tinytl_json *json, double *value);

bool tinytl_json_bool(tinytl_json *json, bool *value);

/* Skips a value of any kind. */
bool tinytl_json_skip(tinytl_json *json);

/* Reads the value of the field called `name`. */
typedef bool (*tinytl_json_field)(tinytl_json *json, const char *name,
                                  void *context);

/* Reads an object: calls `read` for each field. */
bool tinytl_json_object(tinytl_json *json, tinytl_json_field read,
                        void *context);

/* Reads one item of a list. */
typedef bool (*tinytl_json_item)(tinytl_json *json, void *context);

/* Reads a list: calls `read` for each item. */
bool tinytl_json_list(tinytl_json *json, tinytl_json_item read, void *context);

/* Whether only white space is left. */
bool tinytl_json_end(tinytl_json *json);

#endif /* TINYTL_JSON_H */
