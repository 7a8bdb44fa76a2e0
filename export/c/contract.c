/*
 * Checks that a file has the signatures of contract 2 or 3.
 */

#include <string.h>

#include "model.h"

typedef struct {
  const char *name; /* NULL if a signature has fewer tensors. */
  int type;
  /* The sizes. A letter is a size that the file chooses, and equal letters
     are equal sizes. */
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
/* `label` of a multilabel model, and of a regression. */
static const tensor_rule kNumbers = {"label", LITERT_FLOAT32, "BC"};
/* Shapes of `array`, by its rank without the batch. */
static const char *const kArray[] = {"1X", "1XY", "1XYZ"};
static const char *const kArrays[] = {"BX", "BXY", "BXYZ"};

/* Returns a pointer to the size of a letter, which is 0 until it is known. */
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
    case 'X':
    case 'Y':
    case 'Z':
      return &info->array_shape[letter - 'X'];
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
                                  tinytl_tensor *result, tinytl_error *error) {
  int32_t state_size = (int32_t)model->info.state_size;
  int kind = LITERT_RANKED;
  LiteRtRankedTensorType type = {0};
  int status = model->litert.GetTensorTypeId(handle, &kind);
  if (status == LITERT_OK && kind == LITERT_RANKED) {
    status = model->litert.GetRankedTensorType(handle, &type);
  }
  if (status != LITERT_OK) {
    return tinytl_fail_runtime("read the type of a tensor", status, error);
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
      (tinytl_tensor){.place = result->place, .type = type, .bytes = bytes};
  return TINYTL_OK;
}

/* The calls that read the inputs or the outputs of a signature. */
typedef struct {
  int (*count)(LiteRtSignature, size_t *);
  int (*name)(LiteRtSignature, size_t, const char **);
  int (*handle)(LiteRtSignature, size_t, LiteRtTensor *);
} side_calls;

/* Finds the tensors of one side of a signature by their names. */
static tinytl_status check_side(tinytl_model *model, const side_calls *side,
                                const char *where, const tensor_rule *rules,
                                LiteRtSignature handle, tinytl_tensor *tensors,
                                size_t *count, tinytl_error *error) {
  size_t wanted = 0;
  while (wanted < MOST_TENSORS && rules[wanted].name != NULL) {
    wanted++;
  }
  int status = side->count(handle, count);
  if (status != LITERT_OK) {
    return tinytl_fail_runtime("read a signature", status, error);
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
        return tinytl_fail_runtime("read a signature", status, error);
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
      return tinytl_fail_runtime("read a signature", status, error);
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
  tinytl_signature *found = &model->signatures[which];
  signature_rule rule = kContract[which];
  if (which == TRAIN && model->info.task != TINYTL_TASK_CLASSIFICATION) {
    rule.inputs[1] = kNumbers;
  }
  if (which <= TRAIN && model->info.array_rank > 0) {
    const char *const *shapes = which == TRAIN ? kArrays : kArray;
    rule.inputs[0] = (tensor_rule){"array", LITERT_FLOAT32,
                                   shapes[model->info.array_rank - 1]};
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

/* Finds the type of an input of a signature; false if it is missing, and on
   any doubt. */
static bool find_input(const tinytl_litert *litert, LiteRtSignature signature,
                       const char *wanted, LiteRtRankedTensorType *type) {
  size_t count = 0;
  if (litert->GetNumSignatureInputs(signature, &count) != LITERT_OK) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    const char *name = NULL;
    LiteRtTensor input = NULL;
    if (litert->GetSignatureInputName(signature, i, &name) == LITERT_OK &&
        strcmp(name, wanted) == 0) {
      return litert->GetSignatureInputTensorByIndex(signature, i, &input) ==
                 LITERT_OK &&
             litert->GetRankedTensorType(input, type) == LITERT_OK;
    }
  }
  return false;
}

/* Finds the task: from the file, otherwise from the type of the labels. */
static tinytl_status find_task(tinytl_model *model, LiteRtSignature train,
                               tinytl_error *error) {
  static const char *const kTasks[] = {
      [TINYTL_TASK_CLASSIFICATION] = "classification",
      [TINYTL_TASK_MULTILABEL] = "multilabel",
      [TINYTL_TASK_REGRESSION] = "regression"};
  const char *task = model->description.task;
  LiteRtRankedTensorType type = {0};
  if (task == NULL) {
    const bool numbers = find_input(&model->litert, train, "label", &type) &&
                         type.element_type == LITERT_FLOAT32;
    model->info.task =
        numbers ? TINYTL_TASK_MULTILABEL : TINYTL_TASK_CLASSIFICATION;
    return TINYTL_OK;
  }
  for (size_t i = 0; i < sizeof kTasks / sizeof kTasks[0]; i++) {
    if (strcmp(task, kTasks[i]) == 0) {
      model->info.task = (tinytl_task)i;
      return TINYTL_OK;
    }
  }
  return tinytl_fail(error, TINYTL_ERROR_MODEL,
                     "the model is for the task %.80s, expected "
                     "classification, multilabel or regression; export it "
                     "again",
                     task);
}

/* Finds out whether the file takes arrays, and the rank of these. */
static tinytl_status find_array(tinytl_model *model, LiteRtSignature train,
                                tinytl_error *error) {
  const tinytl_description *description = &model->description;
  LiteRtRankedTensorType type = {0};
  const bool arrays = find_input(&model->litert, train, "array", &type);
  if (model->info.has_manifest &&
      arrays != (description->inputs.kind == TINYTL_INPUT_ARRAY)) {
    return tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                       "the .tflite takes %s, but its manifest is for %s; copy "
                       "both files of one export",
                       arrays ? "arrays" : "no arrays",
                       arrays ? "images" : "arrays");
  }
  if (arrays && (type.rank < 2 || type.rank > 1 + TINYTL_MOST_AXES)) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "train.array: expected rank 2 to %d, got %u; export it "
                       "with `tinytl export`",
                       1 + TINYTL_MOST_AXES, (unsigned)type.rank);
  }
  const long least = arrays || model->info.task == TINYTL_TASK_REGRESSION
                         ? ARRAY_CONTRACT
                         : CONTRACT;
  if (description->contract > 0 && description->contract < least) {
    return tinytl_fail(
        error,
        model->info.has_manifest ? TINYTL_ERROR_MANIFEST : TINYTL_ERROR_MODEL,
        "expected contract %ld of arrays and of regression, got %ld; export "
        "the model again",
        least, description->contract);
  }
  model->info.array_rank = arrays ? (int32_t)type.rank - 1 : 0;
  return TINYTL_OK;
}

/* Checks that the manifest has the same input as the file, with its known
   sizes. */
static tinytl_status check_input(const tinytl_model *model,
                                 tinytl_error *error) {
  const tinytl_info *info = &model->info;
  const tinytl_input_facts *facts = &model->description.inputs;
  const int32_t image[] = {info->height, info->width, 3};
  const bool arrays = info->array_rank > 0;
  const int32_t *shape = arrays ? info->array_shape : image;
  const size_t rank = arrays ? (size_t)info->array_rank : 3;
  bool same = facts->kind == TINYTL_INPUT_NONE || facts->rank == rank;
  for (size_t i = 0; same && i < facts->rank; i++) {
    same = facts->shape[i] == shape[i];
  }
  return same ? TINYTL_OK
              : tinytl_fail(error, TINYTL_ERROR_MANIFEST,
                            "the .tflite takes an input of another shape than "
                            "its manifest; copy both files of one export");
}

/* Sets the sizes that the signatures determine. */
static void set_sizes(tinytl_model *model) {
  tinytl_info *info = &model->info;
  const size_t bytes = model->signatures[INFER].inputs[0].bytes;
  if (info->array_rank > 0) {
    info->array_size = bytes / sizeof(float);
    info->sample_rate = (int32_t)model->description.inputs.sample_rate;
  } else {
    info->image_bytes = bytes;
  }
}

const char *tinytl_signature_name(int which) {
  return kContract[which].name;
}

tinytl_status tinytl_check_contract(tinytl_model *model, tinytl_error *error) {
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
    return tinytl_fail_runtime("read the signatures", status, error);
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
  if (result == TINYTL_OK) {
    result = find_array(model, handles[TRAIN], error);
  }
  for (int which = 0; result == TINYTL_OK && which < SIGNATURES; which++) {
    if (handles[which] != NULL) {
      result = check_signature(model, which, handles[which], error);
    }
  }
  if (result == TINYTL_OK) {
    set_sizes(model);
    result = check_input(model, error);
  }
  if (result == TINYTL_OK) {
    result = tinytl_check_outputs(model, error);
  }
  return result;
}
