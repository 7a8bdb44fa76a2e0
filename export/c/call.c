/*
 * Calls of signatures.
 */

#include <stdio.h>
#include <string.h>

#include "model.h"

/* The buffers of a call, in the order of the file. */
typedef struct {
  LiteRtTensorBuffer inputs[MOST_TENSORS];
  LiteRtTensorBuffer outputs[MOST_TENSORS];
} buffers;

/* Makes a buffer of the size that LiteRT requires, at least the tensor's. */
static int create_buffer(const tinytl_model *model, const tinytl_tensor *tensor,
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

static int create_buffers(const tinytl_model *model,
                          const tinytl_signature *called, buffers *all) {
  const tinytl_litert *litert = &model->litert;
  int status = LITERT_OK;
  for (size_t i = 0; status == LITERT_OK && i < called->input_count; i++) {
    const tinytl_tensor *tensor = &called->inputs[i];
    LiteRtTensorBufferRequirements requirements = NULL;
    status = litert->GetCompiledModelInputBufferRequirements(
        model->compiled, called->index, tensor->place, &requirements);
    if (status == LITERT_OK) {
      status = create_buffer(model, tensor, requirements,
                             &all->inputs[tensor->place]);
    }
  }
  for (size_t i = 0; status == LITERT_OK && i < called->output_count; i++) {
    const tinytl_tensor *tensor = &called->outputs[i];
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

/* Copies all outputs or none, since some of the results would mislead. */
static int read_outputs(const tinytl_litert *litert,
                        const tinytl_signature *called, const buffers *all,
                        void *const *results) {
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
 * of the size of its tensor; a result that is NULL is skipped. Buffers are
 * freed after each call, since those of a state can take megabytes.
 */
tinytl_status tinytl_call(tinytl_model *model, int which,
                          const void *const *values, void *const *results,
                          tinytl_error *error) {
  const tinytl_litert *litert = &model->litert;
  const tinytl_signature *called = &model->signatures[which];
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
    (void)snprintf(what, sizeof what, "run %s", tinytl_signature_name(which));
    return tinytl_fail_runtime(what, status, error);
  }
  return tinytl_succeed(error);
}
