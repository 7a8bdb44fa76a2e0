/*
 * Internal declarations of the library. For users: tinytl.h.
 */

#ifndef TINYTL_INTERNAL_H
#define TINYTL_INTERNAL_H

#include "tinytl.h"

/* ---- Errors: error.c ---- */

/*
 * Fills `error`, unless it is NULL, with the status and the text, which is cut
 * if it is too long. Returns the status.
 */
__attribute__((format(printf, 3, 4))) tinytl_status
tinytl_fail(tinytl_error *error, tinytl_status status, const char *format, ...);

/* Fills `error` for a success. Returns TINYTL_OK. */
tinytl_status tinytl_succeed(tinytl_error *error);

/* Fills `error` for a failed malloc(). */
tinytl_status tinytl_fail_memory(tinytl_error *error, size_t bytes);

/* Fills `error` for a call of LiteRT; LiteRT itself prints the reason. */
tinytl_status tinytl_fail_runtime(const char *what, int status,
                                  tinytl_error *error);

/* Fills `error` for a pointer that is NULL. */
tinytl_status tinytl_fail_null(tinytl_error *error);

/* Checks the size of an array from the caller. */
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

#define TINYTL_SHA256_BLOCK 64 /* Bytes of a block of SHA-256. */

/* The SHA-256 (FIPS 180-4) of the bytes added so far. */
typedef struct {
  uint32_t hash[8];
  uint64_t length; /* Number of bytes; the last `used` are in `block`. */
  size_t used;
  uint8_t block[TINYTL_SHA256_BLOCK];
} tinytl_sha256_sum;

tinytl_sha256_sum tinytl_sha256_start(void);

void tinytl_sha256_add(tinytl_sha256_sum *sum, const void *bytes,
                       size_t length);

/* Computes the digest; then the sum cannot be used any more. */
void tinytl_sha256_end(tinytl_sha256_sum *sum,
                       uint8_t digest[TINYTL_FINGERPRINT_SIZE]);

/* The SHA-256 of all bytes at once. */
void tinytl_sha256(const void *bytes, size_t length,
                   uint8_t digest[TINYTL_FINGERPRINT_SIZE]);

/* The CRC-32 of zlib. `crc` is 0, or the result for the preceding bytes. */
uint32_t tinytl_crc32(uint32_t crc, const uint8_t *bytes, size_t length);

/* ---- State files: state_file.c ---- */

/*
 * Returns the index of the first value that is infinite or NaN, or `count`.
 */
size_t tinytl_find_not_finite(const float *values, size_t count);

/* ---- Names of classes: names.c ---- */

#define TINYTL_LONGEST_NAME 255 /* Bytes. */
#define TINYTL_LONGEST_NAMES                      \
  (1 << 20) /* Of a state, with their line feeds. \
             */

/*
 * Returns NULL, or the rule that a name breaks: UTF-8 of 1 to 255 bytes,
 * without control characters and line breaks, and visible.
 */
const char *tinytl_check_name(const char *name, size_t length);

/*
 * Checks names, one on each line: each name, that they differ, and their total
 * length. Returns TINYTL_OK; TINYTL_ERROR_NAMES with the broken rule in
 * `problem`; or TINYTL_ERROR_MEMORY.
 */
tinytl_status tinytl_check_names(const char *names, size_t length,
                                 const char **problem);

/* ---- Content of a manifest or a metadata entry: description.c ---- */

/* Position of a variable in the state. */
typedef struct {
  size_t offset; /* In elements. */
  size_t count;  /* In elements; 0 if the variable is missing. */
} tinytl_part;

/* A trained variable in the state. */
typedef struct {
  char *name;
  char *shape; /* Its sizes as text, which is equal for equal shapes. */
  tinytl_part part;
} tinytl_variable;

/* The inputs that a file can have. */
typedef enum {
  TINYTL_INPUT_NONE = 0, /* Missing: images. */
  TINYTL_INPUT_IMAGE,
  TINYTL_INPUT_FEATURES, /* Features of a prefix on a Coral board. */
  TINYTL_INPUT_ARRAY
} tinytl_input;

/* The field `inputs`; all zeros if it is missing. */
typedef struct {
  tinytl_input kind;
  size_t rank; /* Rank of `shape`, which is without the batch. */
  int32_t shape[TINYTL_MOST_AXES];
  long sample_rate; /* Of a waveform, otherwise 0. */
} tinytl_input_facts;

/* The parsed fields. Missing fields have their defaults. */
typedef struct {
  long format_version;
  long contract;
  char *sha256;  /* Or NULL. */
  char *task;    /* Or NULL. */
  char **labels; /* `label_count` names, or NULL. */
  size_t label_count;
  long spare_classes;
  char *frozen_sha256;        /* Or NULL. */
  tinytl_variable *variables; /* `variable_count` of them, or NULL. */
  size_t variable_count;
  size_t state_size;  /* Sum of the sizes of the entries of `state`. */
  bool has_gaps;      /* Whether `state` has an entry at another offset, or one
                         without a name, a slot or a shape. */
  tinytl_part bias;   /* Bias of the classifier. */
  tinytl_part kernel; /* Kernel of the classifier. */
  bool xnnpack;       /* True by default. */
  tinytl_settings settings;
  tinytl_input_facts inputs;
  unsigned image_fields; /* A bit for each field of images that was found. */
} tinytl_description;

/* Defaults of a file without a description. */
tinytl_description tinytl_default_description(void);

/*
 * Reads the fields above from the JSON text of a manifest, or of the metadata
 * entry TINYTL of a `.tflite`; all other fields are skipped, but must be valid
 * JSON. `what` names the text in errors.
 */
tinytl_status tinytl_parse_description(const char *text, size_t length,
                                       const char *what,
                                       tinytl_description *description,
                                       tinytl_error *error);

/* Returns the first field that only manifests of images have and that is in
   the description or is not, or NULL. */
const char *tinytl_find_image_field(const tinytl_description *description,
                                    bool there);

/* Frees the content of a description, which may be all zeros. */
void tinytl_free_description(tinytl_description *description);

/* Finds a color change by its name in a manifest, "none", "tf" or "torch".
   Returns false for an unknown name. */
bool tinytl_find_color(const char *name, tinytl_color *color);

/* Finds a schedule by its name, "cosine" or "constant". */
bool tinytl_find_schedule(const char *name, tinytl_schedule *schedule);

#endif /* TINYTL_INTERNAL_H */
