/*
 * The manifest of a `.tflite`: finds it, and checks that it belongs to the
 * file.
 */

#define _DEFAULT_SOURCE /* lstat() in C11. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "model.h"

#define FORMAT_VERSION 2
#define LARGEST_MANIFEST (16 * 1024 * 1024)

/* Returns the path with `.manifest.json` in place of `.tflite`, or NULL. */
static char *manifest_path(const char *path) {
  static const char kSuffix[] = ".manifest.json";
  const char *slash = strrchr(path, '/');
  const char *name = slash == NULL ? path : slash + 1;
  const char *dot = strrchr(name, '.');
  /* As in Python, a dot at the start of a name does not start a suffix. */
  const size_t stem =
      dot == NULL || dot == name ? strlen(path) : (size_t)(dot - path);
  char *result = malloc(stem + sizeof kSuffix);
  if (result != NULL) {
    memcpy(result, path, stem);
    memcpy(result + stem, kSuffix, sizeof kSuffix);
  }
  return result;
}

/* Refuses fields of images in a manifest of arrays, missing fields, and files
   for a Coral board. */
static tinytl_status check_input(const tinytl_description *manifest,
                                 const char *path, tinytl_error *error) {
  const bool arrays = manifest->inputs.kind == TINYTL_INPUT_ARRAY;
  const char *field = tinytl_find_image_field(manifest, arrays);
  if (field != NULL && arrays) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected none of the fields of images in a manifest of "
                       "arrays, got %s in %s; export the model again",
                       field, path);
  }
  if (field != NULL) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "%s has no field %s; export the model again", path,
                       field);
  }
  if (manifest->inputs.kind == TINYTL_INPUT_FEATURES) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected a model of images or arrays, got one of the "
                       "features of a Coral prefix in %s; use the Python "
                       "client",
                       path);
  }
  return TINYTL_OK;
}

/* Refuses other versions, and manifests without the most important fields. */
static tinytl_status check_version(const tinytl_description *manifest,
                                   const char *path, tinytl_error *error) {
  if (manifest->format_version != FORMAT_VERSION ||
      manifest->contract < CONTRACT || manifest->contract > ARRAY_CONTRACT) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "%s has format version %ld and contract %ld, expected "
                       "%d and %d or %d; export the model again",
                       path, manifest->format_version, manifest->contract,
                       FORMAT_VERSION, CONTRACT, ARRAY_CONTRACT);
  }
  if (manifest->sha256 == NULL || manifest->task == NULL ||
      manifest->labels == NULL) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected the fields sha256, task and labels in %s, got "
                       "fewer; copy or export the model again",
                       path);
  }
  return TINYTL_OK;
}

/* Refuses other versions, and the manifest of another file. */
static tinytl_status check_manifest(const tinytl_model *model,
                                    const tinytl_description *manifest,
                                    const char *path, tinytl_error *error) {
  const tinytl_status status = check_version(manifest, path, error);
  if (status != TINYTL_OK) {
    return status;
  }
  char digest[2 * TINYTL_FINGERPRINT_SIZE + 1];
  for (size_t i = 0; i < TINYTL_FINGERPRINT_SIZE; i++) {
    (void)snprintf(digest + 2 * i, 3, "%02x", model->info.fingerprint[i]);
  }
  if (strcmp(manifest->sha256, digest) != 0) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "%s is for a .tflite with SHA-256 %.16s..., got %.16s..."
                       "; one of the files is damaged: copy both files of one "
                       "export",
                       path, manifest->sha256, digest);
  }
  return check_input(manifest, path, error);
}

static tinytl_status parse_manifest(const char *path,
                                    tinytl_description *manifest,
                                    tinytl_error *error) {
  void *text = NULL;
  size_t size = 0;
  tinytl_status status = tinytl_map_file(path, "a manifest", LARGEST_MANIFEST,
                                         &text, &size, error);
  if (status != TINYTL_OK) {
    return status;
  }
  status = tinytl_parse_description(text, size, path, manifest, error);
  (void)munmap(text, size);
  return status;
}

tinytl_status tinytl_read_manifest(const char *path,
                                   tinytl_description *manifest,
                                   tinytl_error *error) {
  *manifest = (tinytl_description){0};
  const tinytl_status status = parse_manifest(path, manifest, error);
  return status == TINYTL_OK ? check_version(manifest, path, error) : status;
}

static tinytl_status read_manifest(tinytl_model *model, const char *path,
                                   tinytl_error *error) {
  tinytl_status status = parse_manifest(path, &model->description, error);
  if (status == TINYTL_OK) {
    status = check_manifest(model, &model->description, path, error);
  }
  model->info.has_manifest = status == TINYTL_OK;
  return status;
}

tinytl_status tinytl_find_manifest(tinytl_model *model, const char *path,
                                   const tinytl_options *options,
                                   tinytl_error *error) {
  model->description = tinytl_default_description();
  if (options->manifest != NULL) {
    return read_manifest(model, options->manifest, error);
  }
  char *file = manifest_path(path);
  if (file == NULL) {
    return tinytl_fail_memory(error, strlen(path));
  }
  struct stat about;
  tinytl_status status = TINYTL_OK;
  /* A manifest that exists but cannot be read is not treated as missing. */
  if (lstat(file, &about) == 0 || errno != ENOENT) {
    status = read_manifest(model, file, error);
  } else if (!options->trust) {
    status = tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                         "expected the manifest %s, whose checksum shows that "
                         "the .tflite is not damaged, got none; copy both "
                         "files of the export, or set `trust` (adapt: "
                         "--trust)",
                         file);
  }
  free(file);
  return status;
}
