/*
 * Lists of photos. Each file is checked when it is listed, so that an invalid
 * file does not end a training halfway.
 */

#define _DEFAULT_SOURCE /* scandir() in C11. */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "adapt.h"
#include "internal.h"

char *photos_join(const char *folder, const char *name) {
  const size_t size = strlen(folder) + strlen(name) + 2;
  char *path = malloc(size);
  if (path != NULL) {
    (void)snprintf(path, size, "%s/%s", folder, name);
  }
  return path;
}

bool photos_is_folder(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static int not_hidden(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

int photos_each(const char *folder,
                int (*use)(const char *folder, const char *name, void *context),
                void *context) {
  struct dirent **entries = NULL;
  const int count = scandir(folder, &entries, not_hidden, alphasort);
  if (count < 0) {
    return complain(BAD_INPUT,
                    "expected a folder at %s, got: %s; check the path", folder,
                    strerror(errno));
  }
  int status = 0;
  for (int i = 0; i < count; i++) {
    if (status == 0) {
      status = use(folder, entries[i]->d_name, context);
    }
    free(entries[i]);
  }
  free(entries);
  return status;
}

static bool ends_with(const char *text, const char *end) {
  const size_t length = strlen(text);
  const size_t tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

bool photos_is_raw(const adapt_photo *photo) {
  return ends_with(photo->path, ".raw");
}

/* Context for reading a folder of classes, or the folder of one class. */
typedef struct {
  const adapt_classes *classes;
  const tinytl_info *info;
  int32_t label;
  adapt_photos *photos;
} listing;

static bool make_room(adapt_photos *list) {
  if (list->count < list->room) {
    return true;
  }
  const size_t room = list->room == 0 ? 64 : 2 * list->room;
  adapt_photo *photos = realloc(list->photos, room * sizeof *photos);
  if (photos != NULL) {
    list->photos = photos;
    list->room = room;
  }
  return photos != NULL;
}

static int list_photo(const char *folder, const char *name, void *context) {
  const listing *into = context;
  const bool arrays = into->info->array_size > 0;
  if ((arrays || !ends_with(name, ".ppm")) && !ends_with(name, ".raw")) {
    return complain(BAD_INPUT,
                    "expected %s files in %s, got %s; convert it, or move it "
                    "away",
                    arrays ? ".raw" : ".ppm or .raw", folder, name);
  }
  adapt_photo photo = {photos_join(folder, name), into->label, {0}};
  if (photo.path == NULL || !make_room(into->photos)) {
    free(photo.path);
    return complain_memory();
  }
  const int status = inputs_check(&photo, into->info);
  if (status != 0) {
    free(photo.path);
    return status;
  }
  into->photos->photos[into->photos->count++] = photo;
  return 0;
}

static int list_class(const char *folder, const char *name, void *context) {
  listing *into = context;
  char *path = photos_join(folder, name);
  if (path == NULL) {
    return complain_memory();
  }
  int status = 0;
  const char *problem = tinytl_check_name(name, strlen(name));
  into->label = classes_label(into->classes, name);
  if (!photos_is_folder(path)) {
    status = complain(BAD_INPUT,
                      "expected folders of classes in %s, got the file %s; "
                      "move it away",
                      folder, name);
  } else if (problem != NULL) {
    status = complain(BAD_INPUT, "expected %s in %s, got '%s'; rename it",
                      problem, folder, name);
  } else if (into->label < 0) {
    status = complain(BAD_INPUT,
                      "the model has no class %s (folder %s); rename the "
                      "folder, or give --labels",
                      name, path);
  } else {
    status = photos_each(path, list_photo, into);
  }
  free(path);
  return status;
}

int photos_list(const char *folder, const adapt_classes *classes,
                const tinytl_info *info, adapt_photos *photos) {
  listing into = {classes, info, 0, photos};
  return photos_each(folder, list_class, &into);
}

size_t *photos_by_class(const adapt_photos *photos, size_t classes) {
  size_t *counts = calloc(classes, sizeof *counts);
  for (size_t i = 0; counts != NULL && i < photos->count; i++) {
    counts[photos->photos[i].label]++;
  }
  return counts;
}

void photos_free(adapt_photos *photos) {
  for (size_t i = 0; i < photos->count; i++) {
    free(photos->photos[i].path);
  }
  free(photos->photos);
  *photos = (adapt_photos){0};
}
