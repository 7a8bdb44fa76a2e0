/*
 * Splits photos into those to train and those to test; see "Photos that are
 * held out" in docs/formats.md.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapt.h"
#include "internal.h"

#define QUARTER (UINT32_C(1) << 30)
#define MOST_SHOWN 20 /* Number of copies that are named. */

/* ---- Held out by content ---- */

/* Whether a photo is held out; this depends only on its content. */
static bool is_held_out(const adapt_photo *photo, uint64_t seed) {
  char text[24 + 2 * TINYTL_FINGERPRINT_SIZE];
  int length = snprintf(text, sizeof text, "%" PRIu64 "/", seed);
  for (size_t i = 0; i < sizeof photo->digest; i++) {
    length += snprintf(text + length, 3, "%02x", photo->digest[i]);
  }
  uint8_t digest[TINYTL_FINGERPRINT_SIZE];
  tinytl_sha256(text, (size_t)length, digest);
  const uint32_t start = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
                         (uint32_t)digest[2] << 8 | digest[3];
  return start < QUARTER;
}

/* Moves the held-out photos to the test photos; both keep their order.
 */
static int hold_out(adapt_split *split, uint64_t seed) {
  adapt_photos *train = &split->train;
  adapt_photo *test = malloc((train->count + 1) * sizeof *test);
  if (test == NULL) {
    return complain_memory();
  }
  size_t kept = 0;
  size_t held = 0;
  for (size_t i = 0; i < train->count; i++) {
    const adapt_photo photo = train->photos[i];
    if (is_held_out(&photo, seed)) {
      test[held++] = photo;
    } else {
      train->photos[kept++] = photo;
    }
  }
  split->test = (adapt_photos){test, held, train->count + 1};
  train->count = kept;
  return 0;
}

/* ---- Copies ---- */

static int compare_photos(const void *one, const void *other) {
  return memcmp((*(const adapt_photo *const *)one)->digest,
                (*(const adapt_photo *const *)other)->digest,
                TINYTL_FINGERPRINT_SIZE);
}

/* Reports test photos that are copies of training photos; refuses them if the
   user wants that. */
static int report_copies(const adapt_split *split, const char *noun,
                         bool strict) {
  const size_t count = split->train.count;
  const adapt_photo **sorted = malloc((count + 1) * sizeof *sorted);
  if (sorted == NULL) {
    return complain_memory();
  }
  for (size_t i = 0; i < count; i++) {
    sorted[i] = &split->train.photos[i];
  }
  qsort(sorted, count, sizeof *sorted, compare_photos);
  size_t copies = 0;
  for (size_t i = 0; i < split->test.count; i++) {
    const adapt_photo *photo = &split->test.photos[i];
    const adapt_photo *const *twin =
        bsearch(&photo, sorted, count, sizeof *sorted, compare_photos);
    if (twin != NULL && copies++ < MOST_SHOWN) {
      warn("the test %s %s is a copy of the training %s %s", noun, photo->path,
           noun, (*twin)->path);
    }
  }
  free(sorted);
  if (copies > 0 && strict) {
    return complain(BAD_INPUT,
                    "expected test %ss that are not trained on, got %zu of %zu "
                    "that are; remove the copies, or leave out --strict",
                    noun, copies, split->test.count);
  }
  if (copies > 0) {
    warn(
        "%zu of %zu test %ss are trained on, so that the accuracy is too "
        "high",
        copies, split->test.count, noun);
  }
  return 0;
}

/* ---- Counts ---- */

/* Returns the names of the classes whose `wanted` is true, separated by
   commas, to be freed, or NULL; counts them. */
static char *name_classes(const adapt_classes *classes, const size_t *train,
                          const size_t *test,
                          bool (*wanted)(size_t train, size_t test),
                          size_t *count) {
  size_t size = 1;
  *count = 0;
  for (size_t i = 0; i < classes->count; i++) {
    size += wanted(train[i], test[i]) ? strlen(classes->names[i]) + 2 : 0;
  }
  char *text = malloc(size);
  size_t used = 0;
  for (size_t i = 0; text != NULL && i < classes->count; i++) {
    if (wanted(train[i], test[i])) {
      used += (size_t)snprintf(text + used, size - used, "%s%s",
                               *count == 0 ? "" : ", ", classes->names[i]);
      (*count)++;
    }
  }
  if (text != NULL) {
    text[used] = '\0';
  }
  return text;
}

static bool is_untrained(size_t train, size_t test) {
  return train == 0 && test > 0;
}

static bool is_untested(size_t train, size_t test) {
  return train > 0 && test == 0;
}

/* Reports the photos of each class, and classes with too few. */
static int report_counts(const adapt_classes *classes, const adapt_split *split,
                         const char *noun, bool by_content, uint64_t seed) {
  size_t *train = photos_by_class(&split->train, classes->count);
  size_t *test = photos_by_class(&split->test, classes->count);
  size_t untrained = 0;
  size_t untested = 0;
  char *first = NULL;
  char *second = NULL;
  if (train != NULL && test != NULL) {
    first = name_classes(classes, train, test, is_untrained, &untrained);
    second = name_classes(classes, train, test, is_untested, &untested);
  }
  int status = 0;
  if (first == NULL || second == NULL) {
    status = complain_memory();
  } else if (by_content && untrained > 0) {
    status = complain(
        BAD_INPUT,
        "expected %ss of each class to train, got none of %zu classes, since "
        "all are held out: %s; add %ss, sort them into train/ and test/, "
        "or give another --split_seed",
        noun, untrained, first, noun);
  } else {
    for (size_t i = 0; i < classes->count; i++) {
      if (test[i] > 0) {
        say("class %zu: %s, %zu %ss, %zu to test", i, classes->names[i],
            train[i], noun, test[i]);
      } else {
        say("class %zu: %s, %zu %ss", i, classes->names[i], train[i], noun);
      }
    }
    if (split->test.count == 0) {
      say("%zu %ss to train; nothing is held out, so that the accuracy is "
          "unknown",
          split->train.count, noun);
    } else if (by_content) {
      say("%zu %ss to train, %zu to test, held out by their content with "
          "split seed %" PRIu64,
          split->train.count, noun, split->test.count, seed);
    } else {
      say("%zu %ss to train, %zu to test", split->train.count, noun,
          split->test.count);
    }
    if (split->test.count > 0 && untested > 0) {
      say("no %ss to test of %zu classes, whose accuracy is unknown: %s", noun,
          untested, second);
    }
  }
  free(first);
  free(second);
  free(train);
  free(test);
  return status;
}

/* ---- The folders ---- */

/* Paths in --data; NULL if the folder does not exist. */
typedef struct {
  char *train;
  char *test;
} folders;

/* Returns the path of a folder in --data, to be freed, or NULL. */
static char *find_folder(const char *data, const char *name) {
  char *path = photos_join(data, name);
  if (path != NULL && !photos_is_folder(path)) {
    free(path);
    path = NULL;
  }
  return path;
}

static int list_all(const adapt_options *options,
                    const tinytl_settings *settings, const tinytl_info *info,
                    const folders *given, adapt_classes *classes,
                    adapt_split *split) {
  const bool by_content = given->train == NULL;
  const char *train = by_content ? options->data : given->train;
  const char *noun = inputs_noun(info);
  if (!by_content && options->over.has_split_seed) {
    return complain(BAD_INPUT,
                    "expected --split_seed with a folder that has no train/, "
                    "got %s; leave it out",
                    options->data);
  }
  int status = classes_find(options, info, train, classes);
  if (status == 0) {
    status = photos_list(train, classes, info, &split->train);
  }
  if (status == 0 && split->train.count == 0) {
    status = complain(BAD_INPUT, "expected %ss in %s, got none; add some", noun,
                      train);
  }
  if (status == 0 && by_content) {
    status = hold_out(split, settings->split_seed);
  } else if (status == 0 && given->test != NULL) {
    status = photos_list(given->test, classes, info, &split->test);
  }
  if (status == 0) {
    status =
        report_counts(classes, split, noun, by_content, settings->split_seed);
  }
  if (status == 0 && by_content && split->test.count > 0 &&
      !settings->split_by_content) {
    warn(
        "the manifest does not say that %ss were held out by their "
        "content: the model may have been trained on those that are held out "
        "now",
        noun);
  }
  return status == 0 ? report_copies(split, noun, options->strict) : status;
}

int split_find(const adapt_options *options, const tinytl_settings *settings,
               const tinytl_info *info, adapt_classes *classes,
               adapt_split *split) {
  folders given = {find_folder(options->data, "train"),
                   find_folder(options->data, "test")};
  if (given.test == NULL) {
    given.test = find_folder(options->data, "val");
  }
  const int status = list_all(options, settings, info, &given, classes, split);
  free(given.train);
  free(given.test);
  return status;
}

void split_free(adapt_split *split) {
  photos_free(&split->train);
  photos_free(&split->test);
}
