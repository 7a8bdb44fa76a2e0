/*
 * The command line of `adapt`.
 */

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapt.h"
#include "internal.h"
#include "plan.h"

static const char kUsage[] =
    "usage: adapt --model=FILE --data=DIR --state_out=FILE [options]\n"
    "  --model=FILE          the exported .tflite, next to its manifest\n"
    "  --data=DIR            a folder of images for each class, of which some\n"
    "                        are held out to test; or train/ and test/ (or\n"
    "                        val/) with such folders; .raw files of float32\n"
    "                        for a model that takes arrays\n"
    "  --state_out=FILE      the state file to write\n"
    "  --state_in=FILE       a state file to start from\n"
    "  --overwrite           replace --state_out if it exists\n"
    "  --epochs=5            passes over the training images\n"
    "  --seed=0              seed of the order and the changes of images\n"
    "  --strict              refuse test images that are copies of training\n"
    "                        images\n"
    "  --trust               open a model that has no manifest\n"
    "  --labels=A,B,C        names of the classes, in the order of the\n"
    "                        outputs; default: those in the model, else the\n"
    "                        sorted names of the folders\n"
    "  --library=FILE        libLiteRt.so\n"
    "  --threads=2           threads of LiteRT's kernels\n"
    "The defaults of these options are in the model's manifest; options for\n"
    "cropping, mirroring and colors are refused for a model of arrays:\n"
    "  --learning_rate=RATE  learning rate of the first step\n"
    "  --schedule=NAME       cosine or constant\n"
    "  --central_fraction=F  fraction of an image's side to use, up to 1\n"
    "  --crop, --nocrop      crop training images at random, or not\n"
    "  --flip, --noflip      mirror half of the training images, or not\n"
    "  --color=NAME          change their colors: none, tf or torch\n"
    "  --split_seed=N        chooses the images that are held out\n"
    "  --xnnpack=MODE        on, off or as_exported\n";

/* ---- Values; each function returns whether the text is valid ---- */

/* Reads an integer: only digits, no sign and no space. */
static bool parse_whole(const char *text, uint64_t least, uint64_t most,
                        uint64_t *value) {
  if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text)) {
    return false;
  }
  errno = 0;
  *value = strtoull(text, NULL, 10);
  return errno == 0 && *value >= least && *value <= most;
}

static bool parse_number(const char *text, double most, double *value) {
  char *end = NULL;
  *value = strtod(text, &end);
  return end != text && *end == '\0' && *value >= 0 && *value <= most;
}

static bool parse_epochs(const char *text, adapt_options *into) {
  return parse_whole(text, 1, 1000000, &into->epochs);
}

static bool parse_seed(const char *text, adapt_options *into) {
  return parse_whole(text, 0, PLAN_LARGEST, &into->seed);
}

static bool parse_threads(const char *text, adapt_options *into) {
  uint64_t threads = 0;
  const bool good = parse_whole(text, 1, 64, &threads);
  into->open.threads = (int)threads;
  return good;
}

static bool parse_xnnpack(const char *text, adapt_options *into) {
  static const char *const kModes[] = {
      [TINYTL_XNNPACK_AS_EXPORTED] = "as_exported",
      [TINYTL_XNNPACK_ON] = "on",
      [TINYTL_XNNPACK_OFF] = "off"};
  for (size_t i = 0; i < sizeof kModes / sizeof kModes[0]; i++) {
    if (strcmp(text, kModes[i]) == 0) {
      into->open.xnnpack = (tinytl_xnnpack)i;
      return true;
    }
  }
  return false;
}

static bool parse_rate(const char *text, adapt_options *into) {
  into->over.has_rate = true;
  return parse_number(text, (double)FLT_MAX, &into->over.values.learning_rate);
}

static bool parse_fraction(const char *text, adapt_options *into) {
  double *fraction = &into->over.values.central_fraction;
  into->over.has_fraction = true;
  return parse_number(text, 1, fraction) && *fraction > 0;
}

static bool parse_schedule(const char *text, adapt_options *into) {
  into->over.has_schedule = true;
  return tinytl_find_schedule(text, &into->over.values.schedule);
}

static bool parse_color(const char *text, adapt_options *into) {
  into->over.has_color = true;
  return tinytl_find_color(text, &into->over.values.color);
}

static bool parse_split_seed(const char *text, adapt_options *into) {
  into->over.has_split_seed = true;
  return parse_whole(text, 0, UINT64_MAX, &into->over.values.split_seed);
}

/* ---- Arguments ---- */

static const struct {
  const char *name;
  size_t offset;
} kTexts[] = {{"model", offsetof(adapt_options, model)},
              {"data", offsetof(adapt_options, data)},
              {"state_out", offsetof(adapt_options, state_out)},
              {"state_in", offsetof(adapt_options, state_in)},
              {"labels", offsetof(adapt_options, labels)},
              {"library", offsetof(adapt_options, open.library)}};

static const struct {
  const char *name;
  bool (*parse)(const char *text, adapt_options *into);
} kValues[] = {
    {"epochs", parse_epochs},        {"seed", parse_seed},
    {"threads", parse_threads},      {"xnnpack", parse_xnnpack},
    {"learning_rate", parse_rate},   {"central_fraction", parse_fraction},
    {"schedule", parse_schedule},    {"color", parse_color},
    {"split_seed", parse_split_seed}};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Whether a name ends at `end`. */
static bool is_named(const char *argument, const char *end, const char *name) {
  const size_t length = (size_t)(end - argument);
  return strlen(name) == length && strncmp(argument, name, length) == 0;
}

/* Reads an argument without a value; returns whether it is such an argument. */
static bool parse_word(const char *word, adapt_options *into) {
  if (strcmp(word, "overwrite") == 0) {
    into->overwrite = true;
  } else if (strcmp(word, "strict") == 0) {
    into->strict = true;
  } else if (strcmp(word, "trust") == 0) {
    into->open.trust = true;
  } else if (strcmp(word, "crop") == 0 || strcmp(word, "nocrop") == 0) {
    into->over.crop = word[0] == 'n' ? OFF : ON;
  } else if (strcmp(word, "flip") == 0 || strcmp(word, "noflip") == 0) {
    into->over.flip = word[0] == 'n' ? OFF : ON;
  } else {
    return false;
  }
  return true;
}

static bool parse_argument(const char *argument, adapt_options *into) {
  if (strncmp(argument, "--", 2) != 0) {
    return false;
  }
  const char *name = argument + 2;
  const char *equals = strchr(name, '=');
  if (equals == NULL) {
    return parse_word(name, into);
  }
  for (size_t i = 0; i < COUNT(kTexts); i++) {
    if (is_named(name, equals, kTexts[i].name)) {
      *(const char **)(void *)((char *)into + kTexts[i].offset) = equals + 1;
      return true;
    }
  }
  for (size_t i = 0; i < COUNT(kValues); i++) {
    if (is_named(name, equals, kValues[i].name)) {
      return kValues[i].parse(equals + 1, into);
    }
  }
  return false;
}

int options_parse(int count, char **arguments, adapt_options *options) {
  *options = (adapt_options){.epochs = 5};
  for (int i = 1; i < count; i++) {
    if (!parse_argument(arguments[i], options)) {
      (void)fputs(kUsage, stderr);
      return complain(
          BAD_INPUT,
          "expected the options above with values in their range, got %s",
          arguments[i]);
    }
  }
  if (options->model == NULL || options->data == NULL ||
      options->state_out == NULL) {
    (void)fputs(kUsage, stderr);
    return complain(BAD_INPUT,
                    "expected --model, --data and --state_out, got fewer");
  }
  return 0;
}

int options_check(const adapt_options *options, const tinytl_info *info) {
  const adapt_overrides *over = &options->over;
  const char *given = over->has_fraction          ? "--central_fraction"
                      : over->has_color           ? "--color"
                      : over->crop != AS_EXPORTED ? "--crop or --nocrop"
                      : over->flip != AS_EXPORTED ? "--flip or --noflip"
                                                  : NULL;
  if (given == NULL || info->array_size == 0) {
    return 0;
  }
  return complain(BAD_INPUT,
                  "expected no options for images with a model of arrays, got "
                  "%s; leave it out",
                  given);
}

void options_override(const adapt_options *options, tinytl_settings *settings) {
  const adapt_overrides *over = &options->over;
  if (over->has_rate) {
    settings->learning_rate = over->values.learning_rate;
  }
  if (over->has_schedule) {
    settings->schedule = over->values.schedule;
  }
  if (over->has_fraction) {
    settings->central_fraction = over->values.central_fraction;
  }
  if (over->has_split_seed) {
    settings->split_seed = over->values.split_seed;
  }
  if (over->has_color) {
    settings->color = over->values.color;
  }
  if (over->crop != AS_EXPORTED) {
    settings->crop = over->crop == ON;
  }
  if (over->flip != AS_EXPORTED) {
    settings->flip = over->flip == ON;
  }
}
