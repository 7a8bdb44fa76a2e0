/*
 * Internal declarations of the library. For users: tinytl.h.
 */

#ifndef TINYTL_INTERNAL_H
#define TINYTL_INTERNAL_H

#include "tinytl.h"

/* ---- Errors: error.c ---- */

/*
 * Fills `error`, unless it is NULL, with the status and the text, which is cut
 * where it is too long. Returns the status.
 */
__attribute__((format(printf, 3, 4))) tinytl_status tinytl_fail(
    tinytl_error *error, tinytl_status status, const char *format, ...);

/* Sets a success. Returns TINYTL_OK. */
tinytl_status tinytl_succeed(tinytl_error *error);

/* Fills `error` for memory that malloc() did not give. */
tinytl_status tinytl_fail_memory(tinytl_error *error, size_t bytes);

/* Fills `error` for a call of LiteRT; LiteRT itself prints the reason. */
tinytl_status tinytl_fail_runtime(const char *what, int status,
                                  tinytl_error *error);

/* Fills `error` for a pointer that is NULL. */
tinytl_status tinytl_fail_null(tinytl_error *error);

/* Checks the size of an array of the caller. */
tinytl_status tinytl_check_size(const char *what, size_t got, size_t expected,
                                tinytl_error *error);

/* ---- Files: mapped_file.c ---- */

/*
 * Maps a file of 1 to `largest` bytes for reading, to be freed with munmap().
 * `kind` names it in errors: "a manifest".
 */
tinytl_status tinytl_map_file(const char *path, const char *kind,
                              uint64_t largest, void **content, size_t *size,
                              tinytl_error *error);

/* ---- Digests: digest.c ---- */

#define TINYTL_SHA256_BLOCK 64 /* Bytes that SHA-256 takes at a time. */

/* The SHA-256 of FIPS 180-4 of the bytes added so far. */
typedef struct {
  uint32_t hash[8];
  uint64_t length; /* Bytes, of which the last `used` are in `block`. */
  size_t used;
  uint8_t block[TINYTL_SHA256_BLOCK];
} tinytl_sha256_sum;

tinytl_sha256_sum tinytl_sha256_start(void);

void tinytl_sha256_add(tinytl_sha256_sum *sum, const void *bytes,
                       size_t length);

/* Computes the digest; the sum cannot be used any more. */
void tinytl_sha256_end(tinytl_sha256_sum *sum,
                       uint8_t digest[TINYTL_FINGERPRINT_SIZE]);

/* The SHA-256 of all bytes at once. */
void tinytl_sha256(const void *bytes, size_t length,
                   uint8_t digest[TINYTL_FINGERPRINT_SIZE]);

/* The CRC-32 of zlib. `crc` is 0, or the result for the bytes before these. */
uint32_t tinytl_crc32(uint32_t crc, const uint8_t *bytes, size_t length);

/* ---- State files: state_file.c ---- */

/*
 * Returns the index of the first value that is infinite or no number, or
 * `count`.
 */
size_t tinytl_find_not_finite(const float *values, size_t count);

/* ---- Names of classes: names.c ---- */

#define TINYTL_LONGEST_NAME 255 /* Bytes. */
#define TINYTL_LONGEST_NAMES                      \
  (1 << 20) /* Of a state, with their line feeds. \
             */

/*
 * Returns NULL, or the broken rule of a name: UTF-8 of 1 to 255 bytes, without
 * control characters and ends of lines, and visible.
 */
const char *tinytl_check_name(const char *name, size_t length);

/*
 * Checks names, one on each line: each of them, that they differ, and their
 * length. Returns TINYTL_OK; TINYTL_ERROR_NAMES with the broken rule in
 * `problem`; or TINYTL_ERROR_MEMORY.
 */
tinytl_status tinytl_check_names(const char *names, size_t length,
                                 const char **problem);

/* ---- Content of a manifest or a metadata entry: description.c ---- */

/* Where a variable lies in the state. */
typedef struct {
  size_t offset; /* In elements. */
  size_t count;  /* Of elements; 0 where the variable is missing. */
} tinytl_part;

/* The inputs that a file can have. */
typedef enum {
  TINYTL_INPUT_NONE = 0, /* Not given: images. */
  TINYTL_INPUT_IMAGE,
  TINYTL_INPUT_FEATURES, /* Of a prefix on a Coral board. */
  TINYTL_INPUT_ARRAY
} tinytl_input;

/* The field `inputs`; all zero where it is absent. */
typedef struct {
  tinytl_input kind;
  size_t rank; /* Of `shape`, which is without the batch. */
  int32_t shape[TINYTL_MOST_AXES];
  long sample_rate; /* Of a waveform, else 0. */
} tinytl_input_facts;

/* The parsed fields. Absent fields have their defaults. */
typedef struct {
  long format_version;
  long contract;
  char *sha256;  /* Or NULL. */
  char *task;    /* Or NULL. */
  char **labels; /* `label_count` names, or NULL. */
  size_t label_count;
  long spare_classes;
  tinytl_part bias;   /* Of the classifier. */
  tinytl_part kernel; /* The same. */
  bool xnnpack;       /* True by default. */
  tinytl_settings settings;
  tinytl_input_facts inputs;
  unsigned image_fields; /* A bit for each field of images that is there. */
} tinytl_description;

/* Defaults of a file without a description. */
tinytl_description tinytl_default_description(void);

/*
 * Reads the fields above from the JSON text of a manifest, or of the metadata
 * entry TINYTL of a `.tflite`; all other fields are skipped, but have to be
 * JSON. `what` names the text in errors.
 */
tinytl_status tinytl_parse_description(const char *text, size_t length,
                                       const char *what,
                                       tinytl_description *description,
                                       tinytl_error *error);

/* Returns the first field that only manifests of images have, and that is in
   the description or is not, or NULL. */
const char *tinytl_find_image_field(const tinytl_description *description,
                                    bool there);

/* Frees the content of a description; it may be all zero. */
void tinytl_free_description(tinytl_description *description);

/* Finds changes of color by their name in a manifest, "none", "tf" or "torch".
   Returns whether there are such. */
bool tinytl_find_color(const char *name, tinytl_color *color);

/* The same for schedules, "cosine" and "constant". */
bool tinytl_find_schedule(const char *name, tinytl_schedule *schedule);

#endif /* TINYTL_INTERNAL_H */
