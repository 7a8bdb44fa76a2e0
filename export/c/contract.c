/*
 * Whether the signatures of a file are those of contract 2.
 */

#include <string.h>

#include "model.h"

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

/* The calls that read the inputs of a signature, or its outputs. */
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
  for (int which = 0; result == TINYTL_OK && which < SIGNATURES; which++) {
    if (handles[which] != NULL) {
      result = check_signature(model, which, handles[which], error);
    }
  }
  if (result == TINYTL_OK) {
    model->info.image_bytes = model->signatures[INFER].inputs[0].bytes;
    result = tinytl_check_outputs(model, error);
  }
  return result;
}
