/*
 * The fields that the library reads from a manifest, or from the metadata entry
 * TINYTL of a `.tflite`, and their ranges.
 */

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "json.h"

#define LARGEST_WHOLE 999999999 /* Largest version, count or size. */
#define MAX_LABELS 65536
#define MAX_VALUES 0x7fffffffU /* Of a part of the state, or of an array. */
#define MAX_RATE (1 << 24)     /* Samples per second. */

/* ---- Objects by tables of fields ---- */

typedef struct {
  const char *name;
  bool (*read)(tinytl_json *json, void *target);
  size_t offset; /* Offset of the target in the struct. */
} field;

typedef struct {
  const field *fields;
  size_t count;
  char *target;
  unsigned seen; /* A bit for each field that was found. */
} object;

static bool read_field(tinytl_json *json, const char *name, void *context) {
  object *into = context;
  for (size_t i = 0; i < into->count; i++) {
    if (strcmp(name, into->fields[i].name) == 0) {
      if ((into->seen & 1U << i) != 0) {
        return tinytl_json_fail(json, "each field once");
      }
      into->seen |= 1U << i;
      return into->fields[i].read(json, into->target + into->fields[i].offset);
    }
  }
  return tinytl_json_skip(json);
}

/* Reads an object into `target`; fields that the table lacks are skipped.
   `seen`, unless it is NULL, gets a bit for each field that was found. */
static bool read_object(tinytl_json *json, const field *fields, size_t count,
                        void *target, unsigned *seen) {
  object into = {fields, count, target, 0};
  const bool good = tinytl_json_object(json, read_field, &into);
  if (seen != NULL) {
    *seen = into.seen;
  }
  return good;
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- Plain values ---- */

static bool read_long(tinytl_json *json, void *target) {
  uint64_t value = 0;
  if (!tinytl_json_whole(json, LARGEST_WHOLE, &value)) {
    return false;
  }
  *(long *)target = (long)value;
  return true;
}

static bool read_seed(tinytl_json *json, void *target) {
  return tinytl_json_whole(json, UINT64_MAX, target);
}

static bool read_bool(tinytl_json *json, void *target) {
  return tinytl_json_bool(json, target);
}

static bool read_text(tinytl_json *json, void *target) {
  return tinytl_json_string(json, target);
}

static bool read_rate(tinytl_json *json, void *target) {
  double rate = 0;
  if (!tinytl_json_number(json, &rate)) {
    return false;
  }
  *(double *)target = rate;
  return (rate > 0 && rate <= (double)FLT_MAX && (float)rate > 0) ||
         tinytl_json_fail(json, "a number above 0");
}

/* ---- Names ---- */

static bool read_label(tinytl_json *json, void *target) {
  tinytl_description *description = target;
  const size_t count = description->label_count;
  if (count == MAX_LABELS) {
    return tinytl_json_fail(json, "fewer names");
  }
  /* Room for 16, 32, 64, ... names: grows when a power of two is full. */
  if (count == 0 || (count >= 16 && (count & (count - 1)) == 0)) {
    const size_t room = count == 0 ? 16 : 2 * count;
    char **labels = realloc(description->labels, room * sizeof *labels);
    if (labels == NULL) {
      json->no_memory = true;
      return tinytl_json_fail(json, "memory");
    }
    description->labels = labels;
  }
  char *label = NULL;
  if (!tinytl_json_string(json, &label)) {
    return false;
  }
  description->labels[description->label_count++] = label;
  return label[0] != '\0' || tinytl_json_fail(json, "a name that is not empty");
}

static bool read_labels(tinytl_json *json, void *target) {
  const tinytl_description *description = target;
  return tinytl_json_list(json, read_label, target) &&
         (description->label_count > 0 || tinytl_json_fail(json, "a string"));
}

/* ---- Position of the classifier in the state ---- */

/* An entry of `state`. */
typedef struct {
  char *name;
  char *slot;
  char *shape;
  long offset;
  size_t count;
} state_entry;

/* Adds a size to the text of a shape. */
static bool add_size(tinytl_json *json, char **shape, long size) {
  const size_t used = *shape == NULL ? 0 : strlen(*shape);
  const size_t room = used + 24; /* Any long fits, with a space. */
  char *longer = realloc(*shape, room);
  if (longer == NULL) {
    json->no_memory = true;
    return tinytl_json_fail(json, "memory");
  }
  (void)snprintf(longer + used, room - used, " %ld", size);
  *shape = longer;
  return true;
}

static bool read_size(tinytl_json *json, void *target) {
  state_entry *entry = target;
  long size = 0;
  if (!read_long(json, &size)) {
    return false;
  }
  if (size < 1 || entry->count > MAX_VALUES / (size_t)size) {
    return tinytl_json_fail(json, "a smaller shape");
  }
  entry->count *= (size_t)size;
  return add_size(json, &entry->shape, size);
}

/* Reads a list of sizes; the entry gets them and their product. */
static bool read_shape(tinytl_json *json, void *target) {
  ((state_entry *)target)->count = 1;
  return tinytl_json_list(json, read_size, target);
}

/* Adds a trained variable; owns name and shape of the entry then. */
static bool add_variable(tinytl_json *json, tinytl_description *description,
                         state_entry *entry) {
  const size_t count = description->variable_count;
  /* Room for 16, 32, 64, ...: grows when a power of two is full. */
  if (count == 0 || (count >= 16 && (count & (count - 1)) == 0)) {
    const size_t room = count == 0 ? 16 : 2 * count;
    tinytl_variable *variables =
        realloc(description->variables, room * sizeof *variables);
    if (variables == NULL) {
      json->no_memory = true;
      return tinytl_json_fail(json, "memory");
    }
    description->variables = variables;
  }
  description->variables[count] = (tinytl_variable){
      entry->name, entry->shape, {(size_t)entry->offset, entry->count}};
  description->variable_count++;
  entry->name = NULL;
  entry->shape = NULL;
  return true;
}

static bool read_entry(tinytl_json *json, void *target) {
  static const field kFields[] = {
      {"name", read_text, offsetof(state_entry, name)},
      {"slot", read_text, offsetof(state_entry, slot)},
      {"offset", read_long, offsetof(state_entry, offset)},
      {"shape", read_shape, 0}};
  tinytl_description *description = target;
  state_entry entry = {NULL, NULL, NULL, 0, 0};
  bool good = read_object(json, kFields, COUNT(kFields), &entry, NULL);
  const bool complete =
      entry.name != NULL && entry.slot != NULL && entry.shape != NULL;
  description->has_gaps = description->has_gaps || !complete ||
                          (size_t)entry.offset != description->state_size ||
                          entry.count > MAX_VALUES - description->state_size;
  description->state_size += description->has_gaps ? 0 : entry.count;
  if (good && entry.name != NULL && entry.slot != NULL &&
      entry.slot[0] == '\0') {
    const tinytl_part part = {(size_t)entry.offset, entry.count};
    if (strcmp(entry.name, "classifier/bias") == 0) {
      description->bias = part;
    } else if (strcmp(entry.name, "classifier/kernel") == 0) {
      description->kernel = part;
    }
    good = !complete || add_variable(json, description, &entry);
  }
  free(entry.name);
  free(entry.slot);
  free(entry.shape);
  return good;
}

static bool read_state(tinytl_json *json, void *target) {
  return tinytl_json_list(json, read_entry, target);
}

/* ---- Settings ---- */

bool tinytl_find_color(const char *name, tinytl_color *color) {
  static const char *const kNames[] = {"none", "tf", "torch"};
  for (size_t i = 0; i < COUNT(kNames); i++) {
    if (strcmp(name, kNames[i]) == 0) {
      *color = (tinytl_color)i;
      return true;
    }
  }
  return false;
}

bool tinytl_find_schedule(const char *name, tinytl_schedule *schedule) {
  const bool constant = strcmp(name, "constant") == 0;
  *schedule = constant ? TINYTL_SCHEDULE_CONSTANT : TINYTL_SCHEDULE_COSINE;
  return constant || strcmp(name, "cosine") == 0;
}

static bool read_color(tinytl_json *json, void *target) {
  char *name = NULL;
  const bool good =
      tinytl_json_string(json, &name) &&
      (tinytl_find_color(name, target) ||
       tinytl_json_fail(json, "the color none, tf or torch before this"));
  free(name);
  return good;
}

static bool read_schedule(tinytl_json *json, void *target) {
  char *name = NULL;
  const bool good =
      tinytl_json_string(json, &name) &&
      (tinytl_find_schedule(name, target) ||
       tinytl_json_fail(json, "the schedule cosine or constant before this"));
  free(name);
  return good;
}

static bool read_split(tinytl_json *json, void *target) {
  char *name = NULL;
  const bool good = tinytl_json_string(json, &name);
  *(bool *)target = good && strcmp(name, "content") == 0;
  free(name);
  return good;
}

static bool read_fraction(tinytl_json *json, void *target) {
  double fraction = 0;
  if (!tinytl_json_number(json, &fraction)) {
    return false;
  }
  *(double *)target = fraction;
  return (fraction > 0 && fraction <= 1) ||
         tinytl_json_fail(json, "a fraction above 0 and at most 1");
}

/* Reads two numbers with 0 < first <= second <= most. */
static bool read_range(tinytl_json *json, double most, double range[2]) {
  const bool good =
      (tinytl_json_take(json, '[') || tinytl_json_fail(json, "a list")) &&
      tinytl_json_number(json, &range[0]) &&
      (tinytl_json_take(json, ',') || tinytl_json_fail(json, "two numbers")) &&
      tinytl_json_number(json, &range[1]) &&
      (tinytl_json_take(json, ']') || tinytl_json_fail(json, "two numbers"));
  return good && ((range[0] > 0 && range[0] <= range[1] && range[1] <= most) ||
                  tinytl_json_fail(json, "two rising numbers in their range"));
}

static bool read_area(tinytl_json *json, void *target) {
  return read_range(json, 1, target);
}

static bool read_aspect(tinytl_json *json, void *target) {
  return read_range(json, DBL_MAX, target);
}

#define AT(member) offsetof(tinytl_description, member)

/* The fields that only manifests of images have: `input`, then fields of `data`
   in the order of its table. */
static const char *const kImageFields[] = {"input",          "data.crop",
                                           "data.crop_area", "data.crop_aspect",
                                           "data.flip",      "data.color"};
#define IMAGE_DATA (COUNT(kImageFields) - 1)

const char *tinytl_find_image_field(const tinytl_description *description,
                                    bool there) {
  for (size_t i = 0; i < COUNT(kImageFields); i++) {
    if (((description->image_fields & 1U << i) != 0) == there) {
      return kImageFields[i];
    }
  }
  return NULL;
}

static bool read_input(tinytl_json *json, void *target) {
  static const field kFields[] = {
      {"central_fraction", read_fraction, AT(settings.central_fraction)}};
  tinytl_description *description = target;
  description->image_fields |= 1;
  return read_object(json, kFields, COUNT(kFields), target, NULL);
}

static bool read_data(tinytl_json *json, void *target) {
  static const field kFields[] = {
      {"crop", read_bool, AT(settings.crop)},
      {"crop_area", read_area, AT(settings.crop_area)},
      {"crop_aspect", read_aspect, AT(settings.crop_aspect)},
      {"flip", read_bool, AT(settings.flip)},
      {"color", read_color, AT(settings.color)},
      {"split", read_split, AT(settings.split_by_content)},
      {"split_seed", read_seed, AT(settings.split_seed)}};
  tinytl_description *description = target;
  unsigned seen = 0;
  const bool good = read_object(json, kFields, COUNT(kFields), target, &seen);
  description->image_fields |= (seen & ((1U << IMAGE_DATA) - 1)) << 1;
  return good;
}

/* ---- Input of the file ---- */

static bool read_axis(tinytl_json *json, void *target) {
  tinytl_input_facts *facts = target;
  uint64_t size = 0;
  size_t all = 1;
  if (facts->rank == TINYTL_MOST_AXES) {
    return tinytl_json_fail(json, "1 to 3 sizes");
  }
  if (!tinytl_json_whole(json, MAX_VALUES, &size)) {
    return false;
  }
  for (size_t i = 0; i < facts->rank; i++) {
    all *= (size_t)facts->shape[i];
  }
  if (size < 1 || all > MAX_VALUES / size) {
    return tinytl_json_fail(json, "sizes above 0 of an array that fits");
  }
  facts->shape[facts->rank++] = (int32_t)size;
  return true;
}

static bool read_axes(tinytl_json *json, void *target) {
  return tinytl_json_list(json, read_axis, target);
}

/* The input. */
typedef struct {
  tinytl_input_facts facts;
  char *dtype;
  char *meaning; /* For people. */
} input_entry;

static bool read_facts(tinytl_json *json, const char *dtype,
                       tinytl_input_facts *facts) {
  static const field kFields[] = {
      {"dtype", read_text, offsetof(input_entry, dtype)},
      {"meaning", read_text, offsetof(input_entry, meaning)},
      {"sample_rate", read_long, offsetof(input_entry, facts.sample_rate)},
      {"shape", read_axes, offsetof(input_entry, facts)}};
  input_entry entry = {{TINYTL_INPUT_NONE, 0, {0}, 0}, NULL, NULL};
  const bool good = read_object(json, kFields, COUNT(kFields), &entry, NULL);
  const bool fits = good && entry.dtype != NULL && entry.meaning != NULL &&
                    strcmp(entry.dtype, dtype) == 0 && entry.facts.rank > 0;
  free(entry.dtype);
  free(entry.meaning);
  if (good && !fits) {
    return tinytl_json_fail(
        json, "dtype, shape and meaning of the input before this");
  }
  entry.facts.kind = facts->kind;
  *facts = entry.facts;
  return good;
}

static bool read_kind(tinytl_json *json, const char *name, void *context) {
  static const struct {
    const char *name;
    const char *dtype;
  } kInputs[] = {[TINYTL_INPUT_IMAGE] = {"image", "uint8"},
                 [TINYTL_INPUT_FEATURES] = {"features", "int8"},
                 [TINYTL_INPUT_ARRAY] = {"array", "float32"}};
  tinytl_input_facts *facts = context;
  if (facts->kind != TINYTL_INPUT_NONE) {
    return tinytl_json_fail(json, "one input");
  }
  for (size_t i = TINYTL_INPUT_IMAGE; i < COUNT(kInputs); i++) {
    if (strcmp(name, kInputs[i].name) == 0) {
      facts->kind = (tinytl_input)i;
    }
  }
  if (facts->kind == TINYTL_INPUT_NONE) {
    return tinytl_json_fail(json, "the input image, features or array");
  }
  if (!read_facts(json, kInputs[facts->kind].dtype, facts)) {
    return false;
  }
  if (facts->sample_rate > MAX_RATE ||
      (facts->sample_rate > 0 && facts->kind != TINYTL_INPUT_ARRAY)) {
    return tinytl_json_fail(
        json, "a sample_rate of arrays, of at most 16777216, before this");
  }
  return true;
}

static bool read_inputs(tinytl_json *json, void *target) {
  return tinytl_json_object(json, read_kind, target);
}

/* ---- The description ---- */

static bool read_description(tinytl_json *json,
                             tinytl_description *description) {
  static const field kFields[] = {
      {"format_version", read_long, AT(format_version)},
      {"contract", read_long, AT(contract)},
      {"sha256", read_text, AT(sha256)},
      {"frozen_sha256", read_text, AT(frozen_sha256)},
      {"task", read_text, AT(task)},
      {"labels", read_labels, 0},
      {"spare_classes", read_long, AT(spare_classes)},
      {"state", read_state, 0},
      {"xnnpack", read_bool, AT(xnnpack)},
      {"learning_rate", read_rate, AT(settings.learning_rate)},
      {"schedule", read_schedule, AT(settings.schedule)},
      {"input", read_input, 0},
      {"data", read_data, 0},
      {"inputs", read_inputs, AT(inputs)}};
  return read_object(json, kFields, COUNT(kFields), description, NULL) &&
         tinytl_json_end(json);
}

tinytl_description tinytl_default_description(void) {
  return (tinytl_description){
      .xnnpack = true,
      .settings = {.learning_rate = 1e-3,
                   .central_fraction = 0.875,
                   .crop_area = {0.22, 1},
                   .crop_aspect = {3.0 / 4.0, 4.0 / 3.0}}};
}

tinytl_status tinytl_parse_description(const char *text, size_t length,
                                       const char *what,
                                       tinytl_description *description,
                                       tinytl_error *error) {
  tinytl_json json = {text, text + length, NULL, false};
  *description = tinytl_default_description();
  if (read_description(&json, description)) {
    return TINYTL_OK;
  }
  tinytl_free_description(description);
  if (json.no_memory) {
    return tinytl_fail_memory(error, length);
  }
  return tinytl_fail(
      error, TINYTL_ERROR_MANIFEST,
      "cannot read %s: expected %s at byte %td; copy or export the model again",
      what, json.problem, json.next - text);
}

void tinytl_free_description(tinytl_description *description) {
  for (size_t i = 0; i < description->label_count; i++) {
    free(description->labels[i]);
  }
  free(description->labels);
  for (size_t i = 0; i < description->variable_count; i++) {
    free(description->variables[i].name);
    free(description->variables[i].shape);
  }
  free(description->variables);
  free(description->frozen_sha256);
  free(description->sha256);
  free(description->task);
  *description = (tinytl_description){0};
}
