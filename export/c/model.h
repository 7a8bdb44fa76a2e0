/*
 * An open model: internal declarations.
 */

#ifndef TINYTL_MODEL_H
#define TINYTL_MODEL_H

#include "internal.h"
#include "litert.h"

#define CONTRACT 2
#define ARRAY_CONTRACT 3        /* Minimum of arrays and of regression. */
#define UNUSED_BIAS (-10000.0F) /* Of an output without a class. */
#define MOST_TENSORS 3          /* Inputs or outputs of a signature. */

enum { INFER, TRAIN, SAVE, RESTORE, RESET, SIGNATURES };

typedef struct {
  size_t place; /* Index among the signature's inputs or outputs in the file. */
  LiteRtRankedTensorType type;
  size_t bytes;
} tinytl_tensor;

typedef struct {
  bool exists;
  size_t index;
  size_t input_count;
  size_t output_count;
  tinytl_tensor inputs[MOST_TENSORS]; /* In the order of the rule. */
  tinytl_tensor outputs[MOST_TENSORS];
} tinytl_signature;

/* Classes that were added on the device; all zeros without added classes. */
typedef struct {
  char *lines; /* Their names, one on each line, as in a state file. */
  char *names; /* The same names, each null-terminated. */
  size_t count;
} tinytl_added;

struct tinytl_model {
  tinytl_info info;
  tinytl_description description; /* Owns the exported labels. */
  tinytl_added added;
  const char **labels; /* Of all classes in use, or NULL; room for C. */
  void *file;          /* The mapped `.tflite`, or NULL. */
  size_t file_size;
  tinytl_litert litert;
  LiteRtEnvironment environment;
  LiteRtModel model;
  LiteRtCompiledModel compiled;
  tinytl_signature signatures[SIGNATURES];
  float *exported; /* The exported state, if `reset` is missing. */
};

/* ---- The manifest: manifest.c ---- */

/* Reads the manifest that the options name, or that is next to the file. */
tinytl_status tinytl_find_manifest(tinytl_model *model, const char *path,
                                   const tinytl_options *options,
                                   tinytl_error *error);

/*
 * Reads a manifest without its model. The result must be freed with
 * tinytl_free_description(), also after an error.
 */
tinytl_status tinytl_read_manifest(const char *path,
                                   tinytl_description *manifest,
                                   tinytl_error *error);

/* ---- Signatures: contract.c ---- */

/* Checks all signatures before the file runs. */
tinytl_status tinytl_check_contract(tinytl_model *model, tinytl_error *error);

/* Returns the name of a signature. */
const char *tinytl_signature_name(int which);

/* ---- Calls: call.c ---- */

/*
 * Calls a signature. `values` and `results` are in the order of its rule, each
 * of the size of its tensor; a result that is NULL is skipped. Buffers are
 * freed after each call, since those of a state can take megabytes.
 */
tinytl_status tinytl_call(tinytl_model *model, int which,
                          const void *const *values, void *const *results,
                          tinytl_error *error);

/* ---- Classes of the outputs: classes.c ---- */

/* Reads task and names from the `.tflite`, and compares them with the manifest.
 */
tinytl_status tinytl_read_names(tinytl_model *model, tinytl_error *error);

/* Checks names, spare classes and the classifier's parts of the state against
   the outputs. */
tinytl_status tinytl_check_outputs(tinytl_model *model, tinytl_error *error);

/*
 * Makes the added classes from the names in a state file, one on each line.
 * Takes ownership of `lines`, which may be NULL. Refuses more classes than are
 * spare, and names of exported classes.
 */
tinytl_status tinytl_make_added(const tinytl_description *file, char *lines,
                                tinytl_added *added, tinytl_error *error);

/* Replaces the added classes, and takes ownership of the new ones. */
void tinytl_put_added(tinytl_model *model, const tinytl_added *added);

void tinytl_free_added(tinytl_added *added);

/*
 * Refuses a state whose outputs in use are not those that have a name. Needs a
 * manifest, which has their positions.
 */
tinytl_status tinytl_check_used(const tinytl_description *file,
                                const float *state, size_t added,
                                tinytl_error *error);

/* ---- State: state.c ---- */

/* Sets a state and its added classes, or neither; owns the lines. */
tinytl_status tinytl_set_classes(tinytl_model *model, const float *state,
                                 char *lines, tinytl_error *error);

#endif /* TINYTL_MODEL_H */
