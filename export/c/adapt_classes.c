/*
 * Names of the classes, and the search for a label by its name.
 */

#include <stdlib.h>
#include <string.h>

#include "adapt.h"
#include "internal.h"

/* Adds a name; checks names from the user. */
static int add_name(adapt_classes *classes, const char *name, size_t length) {
  const size_t count = classes->count;
  /* Room for 16, 32, 64, ... names: grows when a power of two is full. */
  if (count == 0 || (count >= 16 && (count & (count - 1)) == 0)) {
    const size_t room = count == 0 ? 16 : 2 * count;
    char **names = realloc(classes->names, room * sizeof *names);
    if (names == NULL) {
      return complain_memory();
    }
    classes->names = names;
  }
  char *copy = malloc(length + 1);
  if (copy == NULL) {
    return complain_memory();
  }
  memcpy(copy, name, length);
  copy[length] = '\0';
  classes->names[classes->count++] = copy;
  return 0;
}

static int add_checked(adapt_classes *classes, const char *name, size_t length,
                       const char *where) {
  const char *problem = tinytl_check_name(name, length);
  if (problem != NULL) {
    return complain(BAD_INPUT, "expected %s in %s, got '%.*s'; rename it",
                    problem, where, (int)length, name);
  }
  return add_name(classes, name, length);
}

/* Adds names from the user, separated by commas. */
static int add_list(adapt_classes *classes, const char *list) {
  for (;;) {
    const size_t length = strcspn(list, ",");
    const int status = add_checked(classes, list, length, "--labels");
    if (status != 0 || list[length] == '\0') {
      return status;
    }
    list += length + 1;
  }
}

/* Adds the name of a folder; skips files, which photos_list() refuses. */
static int add_folder(const char *folder, const char *name, void *context) {
  char *path = photos_join(folder, name);
  if (path == NULL) {
    return complain_memory();
  }
  const int status = photos_is_folder(path)
                         ? add_checked(context, name, strlen(name), folder)
                         : 0;
  free(path);
  return status;
}

static int add_all(const adapt_options *options, const tinytl_info *info,
                   const char *folder, adapt_classes *classes) {
  if (options->labels != NULL) {
    return add_list(classes, options->labels);
  }
  if (info->labels == NULL) {
    return photos_each(folder, add_folder, classes);
  }
  int status = 0;
  for (int32_t i = 0; status == 0 && i < info->classes; i++) {
    status = add_name(classes, info->labels[i], strlen(info->labels[i]));
  }
  return status;
}

static int compare_names(const void *one, const void *other) {
  return strcmp(**(char **const *)one, **(char **const *)other);
}

/* Sorts the names; refuses names that occur twice. */
static int sort_names(adapt_classes *classes) {
  classes->sorted = malloc(classes->count * sizeof *classes->sorted);
  if (classes->sorted == NULL) {
    return complain_memory();
  }
  for (size_t i = 0; i < classes->count; i++) {
    classes->sorted[i] = &classes->names[i];
  }
  qsort(classes->sorted, classes->count, sizeof *classes->sorted,
        compare_names);
  for (size_t i = 1; i < classes->count; i++) {
    if (compare_names(&classes->sorted[i - 1], &classes->sorted[i]) == 0) {
      return complain(BAD_INPUT,
                      "expected different names in --labels, got %s twice; "
                      "give each output a name of its own",
                      *classes->sorted[i]);
    }
  }
  return 0;
}

int classes_find(const adapt_options *options, const tinytl_info *info,
                 const char *folder, adapt_classes *classes) {
  const int status = add_all(options, info, folder, classes);
  if (status != 0) {
    return status;
  }
  if (classes->count != (size_t)info->classes) {
    return complain(
        BAD_INPUT,
        "expected %d classes, got %zu from %s; give --labels with "
        "a name for each output",
        (int)info->classes, classes->count,
        options->labels != NULL ? "--labels" : "the names of the folders");
  }
  return sort_names(classes);
}

int32_t classes_label(const adapt_classes *classes, const char *name) {
  char *key = (char *)name;
  char **place = &key;
  char ***found = bsearch(&place, classes->sorted, classes->count,
                          sizeof *classes->sorted, compare_names);
  return found == NULL ? -1 : (int32_t)(*found - classes->names);
}

void classes_free(adapt_classes *classes) {
  for (size_t i = 0; i < classes->count; i++) {
    free(classes->names[i]);
  }
  free(classes->names);
  free(classes->sorted);
  *classes = (adapt_classes){0};
}
