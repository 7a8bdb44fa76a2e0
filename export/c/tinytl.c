/*
 * An open model: what its file says, and the calls of its signatures.
 */

#define _DEFAULT_SOURCE      /* strdup() in C11. */
#define _FILE_OFFSET_BITS 64 /* Files of over 2 GB on 32-bit machines. */

#include "tinytl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "litert.h"

#define FORMAT_VERSION 2
#define CONTRACT 2
#define LABELS_ENTRY "TINYTL"
#define LARGEST_MANIFEST (16 * 1024 * 1024)
#define LARGEST_ENTRY (1024 * 1024)
#define DEFAULT_THREADS 2
#define MOST_THREADS 64
#define UNUSED_BIAS (-10000.0F) /* Of an output that has no class yet. */

/* ---- What the signatures have to be: contract 2 of docs/formats.md ---- */

enum { INFER, TRAIN, SAVE, RESTORE, RESET, SIGNATURES };

#define MOST_TENSORS 3 /* Inputs of a signature, and outputs. */

typedef struct {
  const char *name; /* NULL where a signature has fewer tensors. */
  int type;
  /* The sizes. A letter stands for a size that the file chooses, and equal
     letters for equal sizes. */
  const char *shape;
} tensor_rule;

typedef struct {
  const char *name;
  tensor_rule inputs[MOST_TENSORS];
  tensor_rule outputs[MOST_TENSORS];
} signature_rule;

static const signature_rule kContract[SIGNATURES] = {
    {"infer",
     {{"image", LITERT_UINT8, "1HW3"}},
     {{"logits", LITERT_FLOAT32, "1C"},
      {"probabilities", LITERT_FLOAT32, "1C"}}},
    {"train",
     {{"image", LITERT_UINT8, "BHW3"},
      {"label", LITERT_INT32, "B"},
      {"learning_rate", LITERT_FLOAT32, "1"}},
     {{"loss", LITERT_FLOAT32, "1"},
      {"accuracy", LITERT_FLOAT32, "1"},
      {"applied", LITERT_INT32, "1"}}},
    {"save", {{NULL, 0, NULL}}, {{"state", LITERT_FLOAT32, "N"}}},
    {"restore",
     {{"state", LITERT_FLOAT32, "N"}},
     {{"restored", LITERT_INT32, "1"}}},
    {"reset", {{NULL, 0, NULL}}, {{"restored", LITERT_INT32, "1"}}},
};
/* What `label` is where an image has several attributes. */
static const tensor_rule kAttributes = {"label", LITERT_FLOAT32, "BC"};

/* ---- The model ---- */

typedef struct {
  size_t place; /* Among the signature's inputs, or its outputs, in the file. */
  LiteRtRankedTensorType type;
  size_t bytes;
} tensor_place;

typedef struct {
  bool exists;
  size_t index;
  size_t input_count;
  size_t output_count;
  tensor_place inputs[MOST_TENSORS]; /* In the order of the rule. */
  tensor_place outputs[MOST_TENSORS];
} signature;

/* Classes that were added on the device; all zero where there are none. */
typedef struct {
  char *lines; /* Their names, one on each line, as in a state file. */
  char *names; /* The same, with a zero behind each. */
  size_t count;
} added_classes;

struct tinytl_model {
  tinytl_info info;
  tinytl_description description; /* Owns the labels of the file. */
  added_classes added;
  const char **labels; /* Of all classes in use, or NULL; room for C. */
  void *file;          /* The mapped `.tflite`, or NULL. */
  size_t file_size;
  tinytl_litert litert;
  LiteRtEnvironment environment;
  LiteRtModel model;
  LiteRtCompiledModel compiled;
  signature signatures[SIGNATURES];
  float *exported; /* The state to go back to, where `reset` is missing. */
};

/* LiteRT itself prints the reason on stderr. */
static tinytl_status fail_runtime(const char *what, int status,
                                  tinytl_error *error) {
  return tinytl_fail(error, TINYTL_ERROR_RUNTIME,
                     "LiteRT cannot %s: status %d; open the model again, or "
                     "export it again for this version",
                     what, status);
}

/* ---- Reading files ---- */

/* Maps a file of at most `largest` bytes; an empty one is refused. */
static tinytl_status map_file(const char *path, const char *kind,
                              uint64_t largest, void **content, size_t *size,
                              tinytl_error *error) {
  /* O_NONBLOCK: open() of a FIFO would wait for whoever writes into it. */
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat about;
  if (file < 0 || fstat(file, &about) != 0) {
    const char *reason = strerror(errno);
    if (file >= 0) {
      (void)close(file);
    }
    return tinytl_fail(error, TINYTL_ERROR_FILE,
                       "expected %s at %s, got: %s; check the path", kind, path,
                       reason);
  }
  tinytl_status status = TINYTL_OK;
  if (!S_ISREG(about.st_mode)) {
    status = tinytl_fail(error, TINYTL_ERROR_FILE,
                         "expected %s at %s, got a folder or device; check the "
                         "path",
                         kind, path);
  } else if (about.st_size == 0 || (uint64_t)about.st_size > largest) {
    status = tinytl_fail(error, TINYTL_ERROR_FILE,
                         "expected %s at %s of 1 to %" PRIu64
                         " bytes, got %jd; copy or export the model again",
                         kind, path, largest, (intmax_t)about.st_size);
  } else {
    *size = (size_t)about.st_size;
    *content = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
    if (*content == MAP_FAILED) {
      *content = NULL;
      status = tinytl_fail_memory(error, *size);
    }
  }
  (void)close(file);
  return status;
}

/* Maps the `.tflite` and computes its fingerprint. */
static tinytl_status open_file(tinytl_model *model, const char *path,
                               tinytl_error *error) {
  const tinytl_status status = map_file(path, "a .tflite file", SIZE_MAX / 2,
                                        &model->file, &model->file_size, error);
  if (status != TINYTL_OK) {
    return status;
  }
  if (model->file_size < 8 ||
      memcmp((const char *)model->file + 4, "TFL3", 4) != 0) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "%s is no .tflite file: expected the mark TFL3 at byte "
                       "4; check the path",
                       path);
  }
  tinytl_sha256(model->file, model->file_size, model->info.fingerprint);
  return TINYTL_OK;
}

/* Returns the path with `.manifest.json` in place of `.tflite`, or NULL. */
static char *manifest_path(const char *path) {
  static const char kSuffix[] = ".manifest.json";
  const char *slash = strrchr(path, '/');
  const char *name = slash == NULL ? path : slash + 1;
  const char *dot = strrchr(name, '.');
  /* As in Python, a dot that begins a name begins no suffix. */
  const size_t stem =
      dot == NULL || dot == name ? strlen(path) : (size_t)(dot - path);
  char *result = malloc(stem + sizeof kSuffix);
  if (result != NULL) {
    memcpy(result, path, stem);
    memcpy(result + stem, kSuffix, sizeof kSuffix);
  }
  return result;
}

/* Refuses what is not of this version, or not of this file. */
static tinytl_status check_manifest(const tinytl_model *model,
                                    const tinytl_description *manifest,
                                    const char *path, tinytl_error *error) {
  if (manifest->format_version != FORMAT_VERSION ||
      manifest->contract != CONTRACT) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "%s has format version %ld and contract %ld, expected "
                       "%d and %d; export the model again",
                       path, manifest->format_version, manifest->contract,
                       FORMAT_VERSION, CONTRACT);
  }
  char digest[2 * TINYTL_FINGERPRINT_SIZE + 1];
  for (size_t i = 0; i < TINYTL_FINGERPRINT_SIZE; i++) {
    (void)snprintf(digest + 2 * i, 3, "%02x", model->info.fingerprint[i]);
  }
  if (manifest->sha256 == NULL || manifest->task == NULL ||
      manifest->labels == NULL) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected the fields sha256, task and labels in %s, got "
                       "fewer; copy or export the model again",
                       path);
  }
  if (strcmp(manifest->sha256, digest) != 0) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "%s is for a .tflite with SHA-256 %.16s..., got %.16s..."
                       "; one of both is damaged: copy both files of one "
                       "export",
                       path, manifest->sha256, digest);
  }
  return TINYTL_OK;
}

static tinytl_status read_manifest(tinytl_model *model, const char *path,
                                   tinytl_error *error) {
  void *text = NULL;
  size_t size = 0;
  tinytl_status status =
      map_file(path, "a manifest", LARGEST_MANIFEST, &text, &size, error);
  if (status != TINYTL_OK) {
    return status;
  }
  status =
      tinytl_parse_description(text, size, path, &model->description, error);
  (void)munmap(text, size);
  if (status == TINYTL_OK) {
    status = check_manifest(model, &model->description, path, error);
  }
  model->info.has_manifest = status == TINYTL_OK;
  return status;
}

/* Reads the manifest that the options name, or that is beside the file. */
static tinytl_status find_manifest(tinytl_model *model, const char *path,
                                   const tinytl_options *options,
                                   tinytl_error *error) {
  model->description.xnnpack = true;
  model->description.learning_rate = TINYTL_LEARNING_RATE;
  if (options->manifest != NULL) {
    return read_manifest(model, options->manifest, error);
  }
  char *beside = manifest_path(path);
  if (beside == NULL) {
    return tinytl_fail_memory(error, strlen(path));
  }
  struct stat about;
  tinytl_status status = TINYTL_OK;
  /* One that is there and cannot be read is an error, not a missing one. */
  if (stat(beside, &about) == 0 || errno != ENOENT) {
    status = read_manifest(model, beside, error);
  }
  free(beside);
  return status;
}

/* ---- What the file says of its outputs ---- */

static bool same_names(const tinytl_description *one,
                       const tinytl_description *other) {
  if (one->label_count != other->label_count ||
      one->spare_classes != other->spare_classes ||
      strcmp(one->task, other->task) != 0) {
    return false;
  }
  for (size_t i = 0; i < one->label_count; i++) {
    if (strcmp(one->labels[i], other->labels[i]) != 0) {
      return false;
    }
  }
  return true;
}

/* Reads task and names from the `.tflite`, and compares them with a manifest's.
 */
static tinytl_status read_names(tinytl_model *model, tinytl_error *error) {
  const void *text = NULL;
  size_t size = 0;
  if (model->litert.GetModelMetadata(model->model, LABELS_ENTRY, &text,
                                     &size) != LITERT_OK ||
      text == NULL) {
    return TINYTL_OK;
  }
  tinytl_description names = {0};
  if (size > LARGEST_ENTRY) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "expected names of at most %d bytes in the .tflite, got "
                       "%zu; export it again",
                       LARGEST_ENTRY, size);
  }
  tinytl_status status = tinytl_parse_description(
      text, size, "the names in the .tflite", &names, error);
  if (status != TINYTL_OK) {
    return status;
  }
  if (names.contract != CONTRACT || names.task == NULL ||
      names.labels == NULL) {
    status = tinytl_fail(error, TINYTL_ERROR_MODEL,
                         "expected task and labels of contract %d in the "
                         ".tflite, got those of contract %ld; export it again",
                         CONTRACT, names.contract);
  } else if (!model->info.has_manifest) {
    model->description = names; /* With XNNPACK. */
    return TINYTL_OK;
  } else if (!same_names(&names, &model->description)) {
    status = tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                         "the .tflite is for other classes than its manifest; "
                         "copy both files of one export");
  }
  tinytl_free_description(&names);
  return status;
}

static int compare_names(const void *one, const void *other) {
  return strcmp(*(char *const *)one, *(char *const *)other);
}

/* Returns whether a name is there twice; `sorted` has room for the names. */
static bool has_twins(char *const *names, size_t count, char **sorted) {
  memcpy(sorted, names, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, compare_names);
  for (size_t i = 1; i < count; i++) {
    if (strcmp(sorted[i - 1], sorted[i]) == 0) {
      return true;
    }
  }
  return false;
}

/* Checks names and spare classes against the outputs. */
static tinytl_status check_names(tinytl_model *model, tinytl_error *error) {
  const tinytl_description *names = &model->description;
  const size_t outputs = (size_t)model->info.outputs;
  const size_t spare = (size_t)names->spare_classes;
  model->info.classes = model->info.outputs;
  if (names->labels == NULL && spare == 0) {
    return TINYTL_OK;
  }
  if (names->label_count + spare != outputs ||
      (spare > 0 && model->info.multilabel)) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "expected names and spare classes for %zu outputs, got "
                       "%zu and %zu; export the model again",
                       outputs, names->label_count, spare);
  }
  char **sorted = malloc(outputs * sizeof *sorted);
  model->labels = calloc(outputs, sizeof *model->labels);
  if (sorted == NULL || model->labels == NULL) {
    free(sorted);
    return tinytl_fail_memory(error, outputs * sizeof *sorted);
  }
  const bool twins = has_twins(names->labels, names->label_count, sorted);
  free(sorted);
  if (twins) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "expected names of classes that differ, got one twice; "
                       "export the model again");
  }
  for (size_t i = 0; i < names->label_count; i++) {
    model->labels[i] = names->labels[i];
  }
  model->info.labels = model->labels;
  model->info.classes = (int32_t)names->label_count;
  model->info.spare_classes = (int32_t)spare;
  return TINYTL_OK;
}

/* ---- Added classes ---- */

static void free_added(added_classes *added) {
  free(added->lines);
  free(added->names);
  *added = (added_classes){0};
}

/* Returns what follows a name of `added->names`. */
static const char *next_name(const char *name) {
  return name + strlen(name) + 1;
}

/*
 * Makes the classes that lines of a state file name, which may be NULL and are
 * owned from here on. Refuses more than are spare, and names of the file.
 */
static tinytl_status make_added(const tinytl_model *model, char *lines,
                                added_classes *added, tinytl_error *error) {
  const tinytl_description *file = &model->description;
  *added = (added_classes){.lines = lines};
  if (lines == NULL) {
    return TINYTL_OK;
  }
  added->names = strdup(lines);
  if (added->names == NULL) {
    const size_t size = strlen(lines) + 1;
    free_added(added);
    return tinytl_fail_memory(error, size);
  }
  added->count = 1;
  for (char *c = added->names; *c != '\0'; c++) {
    if (*c == '\n') {
      *c = '\0';
      added->count++;
      c++; /* No name is empty. */
    }
  }
  if (added->count > (size_t)file->spare_classes) {
    const size_t count = added->count;
    free_added(added);
    return tinytl_fail(error, TINYTL_ERROR_NAMES,
                       "expected names of at most %ld added classes, the spare "
                       "ones of the model, got %zu; use another copy",
                       file->spare_classes, count);
  }
  const char *name = added->names;
  for (size_t i = 0; i < added->count; i++, name = next_name(name)) {
    for (size_t j = 0; j < file->label_count; j++) {
      if (strcmp(name, file->labels[j]) == 0) {
        free_added(added);
        return tinytl_fail(error, TINYTL_ERROR_NAMES,
                           "expected names of added classes that differ from "
                           "the model's, got %.100s; use another",
                           file->labels[j]);
      }
    }
  }
  return TINYTL_OK;
}

/* Puts other added classes in place of those that are there, and owns them. */
static void put_added(tinytl_model *model, const added_classes *added) {
  free_added(&model->added);
  model->added = *added;
  if (model->labels == NULL) {
    return;
  }
  const size_t first = model->description.label_count;
  const char *name = added->names;
  for (size_t i = 0; i < added->count; i++, name = next_name(name)) {
    model->labels[first + i] = name;
  }
  model->info.classes = (int32_t)(first + added->count);
  model->info.spare_classes = model->info.outputs - model->info.classes;
}

/* Refuses a state in which outputs are in use that have no name, or the other
   way round. Only a manifest says where they lie. */
static tinytl_status check_outputs(const tinytl_model *model,
                                   const float *state, size_t added,
                                   tinytl_error *error) {
  const tinytl_description *file = &model->description;
  if (file->spare_classes == 0 || !model->info.has_manifest) {
    return TINYTL_OK;
  }
  const float *bias = state + file->bias.offset;
  const size_t expected = file->label_count + added;
  size_t used = 0;
  bool exact = true;
  for (size_t i = 0; i < file->bias.count; i++) {
    used += bias[i] > UNUSED_BIAS / 2;
    exact = exact && (i < expected || bias[i] == UNUSED_BIAS);
  }
  if (used != expected || !exact) {
    return tinytl_fail(error, TINYTL_ERROR_OUTPUTS,
                       "cannot set the state: expected %zu outputs in use, got "
                       "%zu; restore it from its file, which has the names of "
                       "the added classes",
                       expected, used);
  }
  return TINYTL_OK;
}

/* Checks where a manifest says that the classifier lies. */
static tinytl_status check_parts(const tinytl_model *model,
                                 tinytl_error *error) {
  const tinytl_description *file = &model->description;
  const size_t outputs = (size_t)model->info.outputs;
  const size_t size = model->info.state_size;
  if (file->spare_classes == 0 || !model->info.has_manifest) {
    return TINYTL_OK;
  }
  if (file->bias.count != outputs || file->kernel.count == 0 ||
      file->kernel.count % outputs != 0 || file->bias.offset > size ||
      file->bias.count > size - file->bias.offset ||
      file->kernel.offset > size ||
      file->kernel.count > size - file->kernel.offset) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected bias and kernel of a classifier of %zu "
                       "outputs in the state, got others in the manifest; "
                       "export the model again",
                       outputs);
  }
  return TINYTL_OK;
}

/* ---- Signatures ---- */

/* Returns where the size is kept that a letter stands for; 0 until it comes. */
static int32_t *size_of_letter(tinytl_info *info, int32_t *state_size,
                               char letter) {
  switch (letter) {
    case 'B':
      return &info->batch_size;
    case 'H':
      return &info->height;
    case 'W':
      return &info->width;
    case 'C':
      return &info->outputs;
    default:
      return state_size;
  }
}

static size_t element_size(int type) {
  return type == LITERT_UINT8 ? 1 : 4;
}

/* Checks a tensor's type and shape; learns the sizes of new letters. */
static tinytl_status check_tensor(tinytl_model *model, const char *where,
                                  const tensor_rule *rule, LiteRtTensor handle,
                                  tensor_place *result, tinytl_error *error) {
  int32_t state_size = (int32_t)model->info.state_size;
  int kind = LITERT_RANKED;
  LiteRtRankedTensorType type = {0};
  int status = model->litert.GetTensorTypeId(handle, &kind);
  if (status == LITERT_OK && kind == LITERT_RANKED) {
    status = model->litert.GetRankedTensorType(handle, &type);
  }
  if (status != LITERT_OK) {
    return fail_runtime("read the type of a tensor", status, error);
  }
  const size_t rank = strlen(rule->shape);
  bool fits = kind == LITERT_RANKED && type.element_type == rule->type &&
              type.rank == rank;
  size_t bytes = element_size(rule->type);
  for (size_t i = 0; fits && i < rank; i++) {
    const char letter = rule->shape[i];
    const int32_t size = type.dimensions[i];
    if (letter >= '0' && letter <= '9') {
      fits = size == letter - '0';
    } else {
      int32_t *known = size_of_letter(&model->info, &state_size, letter);
      fits = size > 0 && (*known == 0 || *known == size);
      *known = size;
    }
    fits = fits && (size_t)size <= SIZE_MAX / 2 / bytes;
    if (fits) {
      bytes *= (size_t)size;
    }
  }
  if (!fits && strcmp(rule->name, "learning_rate") == 0 && type.rank == 0) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "%s.%s has rank 0: the file has signatures of contract "
                       "1, expected 2; export it again",
                       where, rule->name);
  }
  if (!fits) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "%s.%s: expected type %d and shape %s, got type %d and "
                       "rank %u or other sizes; export it with `tinytl export`",
                       where, rule->name, rule->type, rule->shape,
                       type.element_type, (unsigned)type.rank);
  }
  model->info.state_size = (size_t)state_size;
  *result =
      (tensor_place){.place = result->place, .type = type, .bytes = bytes};
  return TINYTL_OK;
}

/* The calls that read the inputs of a signature, or its outputs. */
typedef struct {
  int (*count)(LiteRtSignature, size_t *);
  int (*name)(LiteRtSignature, size_t, const char **);
  int (*handle)(LiteRtSignature, size_t, LiteRtTensor *);
} side_calls;

/* Finds the tensors of one side of a signature by their names. */
static tinytl_status check_side(tinytl_model *model, const side_calls *side,
                                const char *where, const tensor_rule *rules,
                                LiteRtSignature handle, tensor_place *tensors,
                                size_t *count, tinytl_error *error) {
  size_t wanted = 0;
  while (wanted < MOST_TENSORS && rules[wanted].name != NULL) {
    wanted++;
  }
  int status = side->count(handle, count);
  if (status != LITERT_OK) {
    return fail_runtime("read a signature", status, error);
  }
  if (*count != wanted) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "expected %zu inputs or outputs of the signature %s, "
                       "got %zu; export it with `tinytl export`",
                       wanted, where, *count);
  }
  for (size_t i = 0; i < wanted; i++) {
    const char *name = "";
    size_t place = 0;
    for (; place < *count; place++) {
      status = side->name(handle, place, &name);
      if (status != LITERT_OK) {
        return fail_runtime("read a signature", status, error);
      }
      if (strcmp(name, rules[i].name) == 0) {
        break;
      }
    }
    if (place == *count) {
      return tinytl_fail(error, TINYTL_ERROR_MODEL,
                         "%s.%s is missing; export it with `tinytl export`",
                         where, rules[i].name);
    }
    LiteRtTensor found = NULL;
    status = side->handle(handle, place, &found);
    if (status != LITERT_OK) {
      return fail_runtime("read a signature", status, error);
    }
    tensors[i].place = place;
    const tinytl_status result =
        check_tensor(model, where, &rules[i], found, &tensors[i], error);
    if (result != TINYTL_OK) {
      return result;
    }
  }
  return TINYTL_OK;
}

/* Checks both sides of a signature. */
static tinytl_status check_signature(tinytl_model *model, int which,
                                     LiteRtSignature handle,
                                     tinytl_error *error) {
  const tinytl_litert *litert = &model->litert;
  const side_calls inputs = {litert->GetNumSignatureInputs,
                             litert->GetSignatureInputName,
                             litert->GetSignatureInputTensorByIndex};
  const side_calls outputs = {litert->GetNumSignatureOutputs,
                              litert->GetSignatureOutputName,
                              litert->GetSignatureOutputTensorByIndex};
  signature *found = &model->signatures[which];
  signature_rule rule = kContract[which];
  if (which == TRAIN && model->info.multilabel) {
    rule.inputs[1] = kAttributes;
  }
  const tinytl_status status =
      check_side(model, &inputs, rule.name, rule.inputs, handle, found->inputs,
                 &found->input_count, error);
  if (status != TINYTL_OK) {
    return status;
  }
  return check_side(model, &outputs, rule.name, rule.outputs, handle,
                    found->outputs, &found->output_count, error);
}

/* Returns whether the labels of `train` are float32; false on any doubt. */
static bool has_float_labels(const tinytl_litert *litert,
                             LiteRtSignature train) {
  size_t count = 0;
  if (litert->GetNumSignatureInputs(train, &count) != LITERT_OK) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    const char *name = NULL;
    LiteRtTensor label = NULL;
    LiteRtRankedTensorType type = {0};
    if (litert->GetSignatureInputName(train, i, &name) == LITERT_OK &&
        strcmp(name, "label") == 0) {
      return litert->GetSignatureInputTensorByIndex(train, i, &label) ==
                 LITERT_OK &&
             litert->GetRankedTensorType(label, &type) == LITERT_OK &&
             type.element_type == LITERT_FLOAT32;
    }
  }
  return false;
}

/* Finds out what a label is: as the file says, else as its type says. */
static tinytl_status find_task(tinytl_model *model, LiteRtSignature train,
                               tinytl_error *error) {
  const char *task = model->description.task;
  if (task == NULL) {
    model->info.multilabel = has_float_labels(&model->litert, train);
  } else if (strcmp(task, "multilabel") == 0) {
    model->info.multilabel = true;
  } else if (strcmp(task, "classification") != 0) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "the model is for the task %.80s, expected "
                       "classification or multilabel; export it again",
                       task);
  }
  return TINYTL_OK;
}

/* Checks all signatures before anything of the file runs. */
static tinytl_status check_contract(tinytl_model *model, tinytl_error *error) {
  const tinytl_litert *litert = &model->litert;
  LiteRtSignature handles[SIGNATURES] = {NULL};
  size_t count = 0;
  int status = litert->GetNumModelSignatures(model->model, &count);
  for (size_t i = 0; status == LITERT_OK && i < count; i++) {
    LiteRtSignature handle = NULL;
    const char *key = NULL;
    status = litert->GetModelSignature(model->model, i, &handle);
    if (status == LITERT_OK) {
      status = litert->GetSignatureKey(handle, &key);
    }
    for (int which = 0; status == LITERT_OK && which < SIGNATURES; which++) {
      if (strcmp(key, kContract[which].name) == 0) {
        handles[which] = handle;
        model->signatures[which].exists = true;
        model->signatures[which].index = i;
      }
    }
  }
  if (status != LITERT_OK) {
    return fail_runtime("read the signatures", status, error);
  }
  for (int which = 0; which < SIGNATURES; which++) {
    if (handles[which] == NULL && which != RESET) {
      return tinytl_fail(error, TINYTL_ERROR_MODEL,
                         "expected the signatures infer, train, save and "
                         "restore, got none called %s; export the model with "
                         "`tinytl export`",
                         kContract[which].name);
    }
  }
  tinytl_status result = find_task(model, handles[TRAIN], error);
  for (int which = 0; result == TINYTL_OK && which < SIGNATURES; which++) {
    if (handles[which] != NULL) {
      result = check_signature(model, which, handles[which], error);
    }
  }
  if (result == TINYTL_OK) {
    model->info.image_bytes = model->signatures[INFER].inputs[0].bytes;
    result = check_names(model, error);
  }
  if (result == TINYTL_OK) {
    result = check_parts(model, error);
  }
  return result;
}

/* ---- Loading ---- */

static tinytl_status load_model(tinytl_model *model, const char *path,
                                tinytl_error *error) {
  const tinytl_litert *litert = &model->litert;
  /* Only the CPU: looking for others can load libraries that end the process,
     such as the WebGPU one of the wheel on an ARM without LSE. */
  const LiteRtEnvOption settings[] = {
      {LITERT_AUTO_REGISTER_ACCELERATORS,
       {LITERT_ANY_INT, {.int_value = LITERT_CPU}}},
      {LITERT_MIN_LOG_SEVERITY,
       {LITERT_ANY_INT, {.int_value = LITERT_LOG_WARNING}}}};
  int status = litert->CreateEnvironment(2, settings, &model->environment);
  if (status != LITERT_OK) {
    return fail_runtime("start", status, error);
  }
  /* From memory, since LiteRT does not verify what it reads from a file. */
  status = litert->CreateModelFromBuffer != NULL
               ? litert->CreateModelFromBuffer(model->environment, model->file,
                                               model->file_size, &model->model)
               : litert->CreateModelFromBufferAlone(
                     model->file, model->file_size, &model->model);
  if (status != LITERT_OK) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "%s is no whole .tflite file (LiteRT's status %d); copy "
                       "or export it again",
                       path, status);
  }
  return TINYTL_OK;
}

/* Makes the options of the CPU, which are a text in TOML. */
static int create_cpu_options(const tinytl_litert *litert, int threads,
                              bool xnnpack, LiteRtOpaqueOptions *cpu) {
  /* Flags: int8 and uint8 operators, as by default, and tables of pointers that
     are made when an operator runs. With a cache in memory, all signatures
     share one packed copy of a kernel. Both as the Python client does it. */
  static const char kSaving[] =
      "flags = 35\nweight_cache_file_path = \":memory\"\n";
  static const char kOff[] = "kernel_mode = \"builtin\"\n";
  char text[160];
  (void)snprintf(text, sizeof text, "num_threads = %d\n%s", threads,
                 xnnpack ? kSaving : kOff);
  char *copy = strdup(text);
  if (copy == NULL) {
    return -1;
  }
  const int status = litert->CreateOpaqueOptions("xnnpack", copy, free, cpu);
  if (status != LITERT_OK) {
    free(copy);
  }
  return status;
}

static tinytl_status compile(tinytl_model *model, int threads,
                             tinytl_error *error) {
  const tinytl_litert *litert = &model->litert;
  LiteRtOptions options = NULL;
  LiteRtOpaqueOptions cpu = NULL;
  int status = litert->CreateOptions(&options);
  if (status == LITERT_OK) {
    status = litert->SetOptionsHardwareAccelerators(options, LITERT_CPU);
  }
  if (status == LITERT_OK) {
    status = create_cpu_options(litert, threads, model->info.xnnpack, &cpu);
  }
  if (status == LITERT_OK) {
    status = litert->AddOpaqueOptions(options, cpu);
    if (status == LITERT_OK) {
      cpu = NULL; /* The options own it now. */
    }
  }
  if (status == LITERT_OK) {
    status = litert->CreateCompiledModel(model->environment, model->model,
                                         options, &model->compiled);
  }
  if (cpu != NULL) {
    litert->DestroyOpaqueOptions(cpu);
  }
  if (options != NULL) {
    litert->DestroyOptions(options);
  }
  if (status != LITERT_OK) {
    return fail_runtime("load the model", status, error);
  }
  return TINYTL_OK;
}

static tinytl_status load(tinytl_model *model, const char *path,
                          const tinytl_options *options, tinytl_error *error) {
  tinytl_status status = open_file(model, path, error);
  if (status == TINYTL_OK) {
    status = find_manifest(model, path, options, error);
  }
  if (status == TINYTL_OK) {
    status = tinytl_load_litert(options->library, &model->litert, error);
  }
  if (status == TINYTL_OK) {
    status = load_model(model, path, error);
  }
  if (status == TINYTL_OK) {
    status = read_names(model, error);
  }
  if (status == TINYTL_OK) {
    status = check_contract(model, error);
  }
  if (status == TINYTL_OK) {
    model->info.learning_rate = model->description.learning_rate;
    model->info.xnnpack = options->xnnpack == TINYTL_XNNPACK_AS_EXPORTED
                              ? model->description.xnnpack
                              : options->xnnpack == TINYTL_XNNPACK_ON;
    status = compile(model,
                     options->threads == 0 ? DEFAULT_THREADS : options->threads,
                     error);
  }
  if (status == TINYTL_OK && !model->signatures[RESET].exists) {
    const size_t count = model->info.state_size;
    model->exported = malloc(count * sizeof *model->exported);
    status = model->exported == NULL
                 ? tinytl_fail_memory(error, count * sizeof *model->exported)
                 : tinytl_get_state(model, model->exported, count, error);
  }
  return status;
}

tinytl_status tinytl_open(const char *path, const tinytl_options *options,
                          tinytl_model **model, tinytl_error *error) {
  static const tinytl_options kDefaults = {0};
  if (model != NULL) {
    *model = NULL;
  }
  if (path == NULL || model == NULL) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected a path and room for a model, got NULL; pass "
                       "both");
  }
  const tinytl_options *chosen = options == NULL ? &kDefaults : options;
  if (chosen->threads < 0 || chosen->threads > MOST_THREADS) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected 1 to %d threads, or 0 for %d, got %d; change "
                       "the options",
                       MOST_THREADS, DEFAULT_THREADS, chosen->threads);
  }
  if (chosen->xnnpack != TINYTL_XNNPACK_AS_EXPORTED &&
      chosen->xnnpack != TINYTL_XNNPACK_ON &&
      chosen->xnnpack != TINYTL_XNNPACK_OFF) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected a value of tinytl_xnnpack, got %d; begin with "
                       "options of zeros",
                       (int)chosen->xnnpack);
  }
  tinytl_model *opened = calloc(1, sizeof *opened);
  if (opened == NULL) {
    return tinytl_fail_memory(error, sizeof *opened);
  }
  const tinytl_status status = load(opened, path, chosen, error);
  if (status != TINYTL_OK) {
    tinytl_close(opened);
    return status;
  }
  *model = opened;
  return tinytl_succeed(error);
}

void tinytl_close(tinytl_model *model) {
  if (model == NULL) {
    return;
  }
  /* What uses another goes first. */
  if (model->compiled != NULL) {
    model->litert.DestroyCompiledModel(model->compiled);
  }
  if (model->model != NULL) {
    model->litert.DestroyModel(model->model);
  }
  if (model->environment != NULL) {
    model->litert.DestroyEnvironment(model->environment);
  }
  tinytl_unload_litert(&model->litert);
  tinytl_free_description(&model->description);
  if (model->file != NULL) {
    (void)munmap(model->file, model->file_size);
  }
  free_added(&model->added);
  free(model->labels);
  free(model->exported);
  free(model);
}

const tinytl_info *tinytl_get_info(const tinytl_model *model) {
  return model == NULL ? NULL : &model->info;
}

/* ---- Calls ---- */

/* The buffers of one call, in the order of the file. */
typedef struct {
  LiteRtTensorBuffer inputs[MOST_TENSORS];
  LiteRtTensorBuffer outputs[MOST_TENSORS];
} buffers;

/* Makes a buffer as big as LiteRT wants it, which is at least the tensor. */
static int create_buffer(const tinytl_model *model, const tensor_place *tensor,
                         LiteRtTensorBufferRequirements requirements,
                         LiteRtTensorBuffer *buffer) {
  const tinytl_litert *litert = &model->litert;
  size_t size = 0;
  int status =
      litert->GetTensorBufferRequirementsBufferSize(requirements, &size);
  if (status == LITERT_OK) {
    status = litert->CreateManagedTensorBuffer(
        model->environment, LITERT_HOST_MEMORY, &tensor->type,
        size > tensor->bytes ? size : tensor->bytes, buffer);
  }
  if (status == LITERT_OK) {
    status = litert->GetTensorBufferSize(*buffer, &size);
  }
  return status == LITERT_OK && size < tensor->bytes ? -1 : status;
}

static int create_buffers(const tinytl_model *model, const signature *called,
                          buffers *all) {
  const tinytl_litert *litert = &model->litert;
  int status = LITERT_OK;
  for (size_t i = 0; status == LITERT_OK && i < called->input_count; i++) {
    const tensor_place *tensor = &called->inputs[i];
    LiteRtTensorBufferRequirements requirements = NULL;
    status = litert->GetCompiledModelInputBufferRequirements(
        model->compiled, called->index, tensor->place, &requirements);
    if (status == LITERT_OK) {
      status = create_buffer(model, tensor, requirements,
                             &all->inputs[tensor->place]);
    }
  }
  for (size_t i = 0; status == LITERT_OK && i < called->output_count; i++) {
    const tensor_place *tensor = &called->outputs[i];
    LiteRtTensorBufferRequirements requirements = NULL;
    status = litert->GetCompiledModelOutputBufferRequirements(
        model->compiled, called->index, tensor->place, &requirements);
    if (status == LITERT_OK) {
      status = create_buffer(model, tensor, requirements,
                             &all->outputs[tensor->place]);
    }
  }
  return status;
}

static void destroy_buffers(const tinytl_litert *litert, const buffers *all) {
  for (size_t i = 0; i < MOST_TENSORS; i++) {
    if (all->inputs[i] != NULL) {
      litert->DestroyTensorBuffer(all->inputs[i]);
    }
    if (all->outputs[i] != NULL) {
      litert->DestroyTensorBuffer(all->outputs[i]);
    }
  }
}

static int write_input(const tinytl_litert *litert, LiteRtTensorBuffer buffer,
                       const void *bytes, size_t size) {
  void *memory = NULL;
  int status = litert->LockTensorBuffer(buffer, &memory, LITERT_WRITE);
  if (status == LITERT_OK) {
    memcpy(memory, bytes, size);
    status = litert->UnlockTensorBuffer(buffer);
  }
  return status;
}

/* Copies all outputs, or none: some results of a call would be misleading. */
static int read_outputs(const tinytl_litert *litert, const signature *called,
                        const buffers *all, void *const *results) {
  void *memory[MOST_TENSORS] = {NULL};
  size_t locked = 0;
  int status = LITERT_OK;
  while (status == LITERT_OK && locked < called->output_count) {
    status =
        litert->LockTensorBuffer(all->outputs[called->outputs[locked].place],
                                 &memory[locked], LITERT_READ);
    locked += status == LITERT_OK;
  }
  for (size_t i = 0; i < locked; i++) {
    if (status == LITERT_OK && results[i] != NULL) {
      memcpy(results[i], memory[i], called->outputs[i].bytes);
    }
  }
  for (size_t i = 0; i < locked; i++) {
    (void)litert->UnlockTensorBuffer(all->outputs[called->outputs[i].place]);
  }
  return status;
}

/*
 * Calls a signature. `values` and `results` are in the order of its rule, each
 * as big as its tensor; a result that is NULL is left out. Buffers live for one
 * call, since those of a state can be megabytes.
 */
static tinytl_status call(tinytl_model *model, int which,
                          const void *const *values, void *const *results,
                          tinytl_error *error) {
  const tinytl_litert *litert = &model->litert;
  const signature *called = &model->signatures[which];
  buffers all = {{NULL}, {NULL}};
  int status = create_buffers(model, called, &all);
  for (size_t i = 0; status == LITERT_OK && i < called->input_count; i++) {
    status = write_input(litert, all.inputs[called->inputs[i].place], values[i],
                         called->inputs[i].bytes);
  }
  if (status == LITERT_OK) {
    status = litert->RunCompiledModel(model->compiled, called->index,
                                      called->input_count, all.inputs,
                                      called->output_count, all.outputs);
  }
  if (status == LITERT_OK) {
    status = read_outputs(litert, called, &all, results);
  }
  destroy_buffers(litert, &all);
  if (status != LITERT_OK) {
    char what[32];
    (void)snprintf(what, sizeof what, "run %s", kContract[which].name);
    return fail_runtime(what, status, error);
  }
  return tinytl_succeed(error);
}

static tinytl_status fail_null(tinytl_error *error) {
  return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                     "expected a model and all arrays, got NULL; pass them");
}

/* Checks how big an array of the caller is. */
static tinytl_status check_size(const char *what, size_t got, size_t expected,
                                tinytl_error *error) {
  if (got != expected) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected %s of %zu, got %zu; see tinytl_get_info()",
                       what, expected, got);
  }
  return TINYTL_OK;
}

tinytl_status tinytl_infer(tinytl_model *model, const uint8_t *image,
                           size_t image_bytes, float *logits,
                           float *probabilities, size_t classes,
                           tinytl_error *error) {
  if (model == NULL || image == NULL) {
    return fail_null(error);
  }
  tinytl_status status = check_size("an image in bytes", image_bytes,
                                    model->info.image_bytes, error);
  if (status == TINYTL_OK) {
    status = check_size("arrays of classes", classes,
                        (size_t)model->info.classes, error);
  }
  if (status != TINYTL_OK) {
    return status;
  }
  /* Of all outputs, then of those in use. */
  const size_t outputs = (size_t)model->info.outputs;
  float *all = malloc(2 * outputs * sizeof *all);
  if (all == NULL) {
    return tinytl_fail_memory(error, 2 * outputs * sizeof *all);
  }
  const void *const values[] = {image};
  void *const results[] = {all, all + outputs};
  status = call(model, INFER, values, results, error);
  if (status == TINYTL_OK && logits != NULL) {
    memcpy(logits, all, classes * sizeof *all);
  }
  if (status == TINYTL_OK && probabilities != NULL) {
    memcpy(probabilities, all + outputs, classes * sizeof *all);
  }
  free(all);
  return status;
}

/* What both kinds of training share; the labels are checked. */
static tinytl_status train(tinytl_model *model, const uint8_t *images,
                           size_t image_bytes, const void *labels,
                           float learning_rate, tinytl_step *step,
                           tinytl_error *error) {
  tinytl_status status =
      check_size("images in bytes", image_bytes,
                 model->signatures[TRAIN].inputs[0].bytes, error);
  if (status != TINYTL_OK) {
    return status;
  }
  if (!(learning_rate >= 0 && isfinite(learning_rate))) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected a learning rate that is finite and not "
                       "negative, got %g; pass another",
                       (double)learning_rate);
  }
  float loss = 0;
  float accuracy = 0;
  int32_t applied = 0;
  const void *const values[] = {images, labels, &learning_rate};
  void *const results[] = {&loss, &accuracy, &applied};
  status = call(model, TRAIN, values, results, error);
  if (status == TINYTL_OK && step != NULL) {
    *step = (tinytl_step){loss, accuracy, applied != 0};
  }
  return status;
}

tinytl_status tinytl_train(tinytl_model *model, const uint8_t *images,
                           size_t image_bytes, const int32_t *labels,
                           size_t label_count, float learning_rate,
                           tinytl_step *step, tinytl_error *error) {
  if (model == NULL || images == NULL || labels == NULL) {
    return fail_null(error);
  }
  if (model->info.multilabel) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "the model is for several attributes of an image; call "
                       "tinytl_train_multilabel()");
  }
  const tinytl_status status = check_size(
      "a number of labels", label_count, (size_t)model->info.batch_size, error);
  if (status != TINYTL_OK) {
    return status;
  }
  for (size_t i = 0; i < label_count; i++) {
    if (labels[i] < 0 || labels[i] >= model->info.classes) {
      return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                         "expected labels of 0 to %" PRId32 ", got %" PRId32
                         " at index %zu; pass the number of a class",
                         model->info.classes - 1, labels[i], i);
    }
  }
  return train(model, images, image_bytes, labels, learning_rate, step, error);
}

tinytl_status tinytl_train_multilabel(tinytl_model *model,
                                      const uint8_t *images, size_t image_bytes,
                                      const float *labels, size_t label_count,
                                      float learning_rate, tinytl_step *step,
                                      tinytl_error *error) {
  if (model == NULL || images == NULL || labels == NULL) {
    return fail_null(error);
  }
  if (!model->info.multilabel) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "the model is for one class of an image; call "
                       "tinytl_train()");
  }
  const size_t expected =
      (size_t)model->info.batch_size * (size_t)model->info.outputs;
  const tinytl_status status =
      check_size("a number of labels", label_count, expected, error);
  if (status != TINYTL_OK) {
    return status;
  }
  for (size_t i = 0; i < label_count; i++) {
    if (!(labels[i] >= 0 && labels[i] <= 1)) {
      return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                         "expected labels of 0 to 1, got %g at index %zu; pass "
                         "1 where an image has the attribute",
                         (double)labels[i], i);
    }
  }
  return train(model, images, image_bytes, labels, learning_rate, step, error);
}

/* ---- State ---- */

tinytl_status tinytl_get_state(tinytl_model *model, float *state, size_t count,
                               tinytl_error *error) {
  if (model == NULL || state == NULL) {
    return fail_null(error);
  }
  const tinytl_status status =
      check_size("a state", count, model->info.state_size, error);
  if (status != TINYTL_OK) {
    return status;
  }
  void *const results[] = {state};
  return call(model, SAVE, NULL, results, error);
}

/* Sets a state of a model with so many added classes. */
static tinytl_status set_state(tinytl_model *model, const float *state,
                               size_t added, tinytl_error *error) {
  const size_t count = model->info.state_size;
  const size_t bad = tinytl_find_not_finite(state, count);
  if (bad < count) {
    return tinytl_fail(error, TINYTL_ERROR_NOT_FINITE,
                       "cannot set the state: expected finite values, got %g "
                       "at index %zu; use another copy",
                       (double)state[bad], bad);
  }
  tinytl_status status = check_outputs(model, state, added, error);
  if (status != TINYTL_OK) {
    return status;
  }
  int32_t restored = 0;
  const void *const values[] = {state};
  void *const results[] = {&restored};
  status = call(model, RESTORE, values, results, error);
  if (status == TINYTL_OK && restored == 0) {
    return tinytl_fail(
        error, TINYTL_ERROR_REFUSED,
        "cannot set the state: no training leads to it (its values add up to "
        "over 1e15, or a second moment or the count of steps is negative); use "
        "another copy, or reset the model and train with a lower learning "
        "rate");
  }
  return status;
}

tinytl_status tinytl_set_state(tinytl_model *model, const float *state,
                               size_t count, tinytl_error *error) {
  if (model == NULL || state == NULL) {
    return fail_null(error);
  }
  const tinytl_status status =
      check_size("a state", count, model->info.state_size, error);
  return status == TINYTL_OK
             ? set_state(model, state, model->added.count, error)
             : status;
}

/* Sets a state and the classes that it is of, whose lines it owns, or neither.
 */
static tinytl_status set_classes(tinytl_model *model, const float *state,
                                 char *lines, tinytl_error *error) {
  added_classes added;
  tinytl_status status = make_added(model, lines, &added, error);
  if (status == TINYTL_OK) {
    status = set_state(model, state, added.count, error);
    if (status == TINYTL_OK) {
      put_added(model, &added);
    } else {
      free_added(&added);
    }
  }
  return status;
}

/* Returns the lines of the added classes with one more, or NULL. */
static char *append_name(const char *lines, const char *name) {
  const size_t old = lines == NULL ? 0 : strlen(lines) + 1;
  const size_t size = old + strlen(name) + 1;
  char *result = malloc(size);
  if (result != NULL) {
    (void)snprintf(result, size, "%s%s%s", lines == NULL ? "" : lines,
                   lines == NULL ? "" : "\n", name);
  }
  return result;
}

/* Sets one column of a matrix to the mean of those before it. */
static void set_mean(float *matrix, size_t rows, size_t columns,
                     size_t column) {
  for (size_t row = 0; row < rows; row++) {
    float *values = matrix + row * columns;
    double sum = 0;
    for (size_t i = 0; i < column; i++) {
      sum += (double)values[i];
    }
    values[column] = (float)(sum / (double)column);
  }
}

/* Gives the next output to a class; `state` has room for one. */
static tinytl_status add_class(tinytl_model *model, const char *name,
                               float *state, tinytl_error *error) {
  const tinytl_description *file = &model->description;
  const size_t outputs = (size_t)model->info.outputs;
  const size_t label = (size_t)model->info.classes;
  tinytl_status status =
      tinytl_get_state(model, state, model->info.state_size, error);
  if (status != TINYTL_OK) {
    return status;
  }
  char *lines = append_name(model->added.lines, name);
  if (lines == NULL) {
    return tinytl_fail_memory(error, strlen(name));
  }
  const char *problem = strchr(name, '\n') != NULL
                            ? "names without the end of a line"
                            : tinytl_check_names(lines, strlen(lines));
  if (problem != NULL) {
    free(lines);
    return tinytl_fail(error, TINYTL_ERROR_NAMES,
                       "cannot add the class: expected %s; give another name",
                       problem);
  }
  set_mean(state + file->bias.offset, 1, outputs, label);
  set_mean(state + file->kernel.offset, file->kernel.count / outputs, outputs,
           label);
  return set_classes(model, state, lines, error);
}

tinytl_status tinytl_add_class(tinytl_model *model, const char *name,
                               int32_t *label, tinytl_error *error) {
  if (model == NULL || name == NULL) {
    return fail_null(error);
  }
  if (model->info.spare_classes < 1) {
    return tinytl_fail(error, TINYTL_ERROR_OUTPUTS,
                       "expected a spare output for another class, got none: "
                       "the model was exported with %ld; export it with more",
                       model->description.spare_classes);
  }
  if (!model->info.has_manifest) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "expected a manifest, which says where the classifier "
                       "lies in the state, got none; put it next to the file");
  }
  const int32_t added = model->info.classes;
  const size_t bytes = model->info.state_size * sizeof(float);
  float *state = malloc(bytes);
  if (state == NULL) {
    return tinytl_fail_memory(error, bytes);
  }
  const tinytl_status status = add_class(model, name, state, error);
  free(state);
  if (status == TINYTL_OK && label != NULL) {
    *label = added;
  }
  return status;
}

tinytl_status tinytl_save(tinytl_model *model, const char *path,
                          tinytl_error *error) {
  if (model == NULL || path == NULL) {
    return fail_null(error);
  }
  const size_t count = model->info.state_size;
  float *state = malloc(count * sizeof *state);
  if (state == NULL) {
    return tinytl_fail_memory(error, count * sizeof *state);
  }
  tinytl_status status = tinytl_get_state(model, state, count, error);
  if (status == TINYTL_OK) {
    status = tinytl_write_state(path, model->info.fingerprint, state, count,
                                model->added.lines, error);
  }
  free(state);
  return status;
}

tinytl_status tinytl_restore(tinytl_model *model, const char *path,
                             tinytl_error *error) {
  if (model == NULL || path == NULL) {
    return fail_null(error);
  }
  const size_t count = model->info.state_size;
  float *state = malloc(count * sizeof *state);
  if (state == NULL) {
    return tinytl_fail_memory(error, count * sizeof *state);
  }
  char *lines = NULL;
  tinytl_status status = tinytl_read_state(path, model->info.fingerprint, state,
                                           count, &lines, error);
  if (status == TINYTL_OK) {
    status = set_classes(model, state, lines, error);
  }
  free(state);
  return status;
}

tinytl_status tinytl_reset(tinytl_model *model, tinytl_error *error) {
  if (model == NULL) {
    return fail_null(error);
  }
  if (!model->signatures[RESET].exists) {
    return set_classes(model, model->exported, NULL, error);
  }
  int32_t restored = 0;
  void *const results[] = {&restored};
  const tinytl_status status = call(model, RESET, NULL, results, error);
  if (status == TINYTL_OK && restored == 0) {
    return tinytl_fail(error, TINYTL_ERROR_RUNTIME,
                       "the model refuses its own exported state; export it "
                       "again");
  }
  if (status == TINYTL_OK) {
    const added_classes none = {0};
    put_added(model, &none);
  }
  return status;
}
