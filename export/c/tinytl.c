/*
 * Opening and closing a model.
 */

#define _DEFAULT_SOURCE /* strdup() in C11. */

#include "tinytl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model.h"

#define DEFAULT_THREADS 2
#define MOST_THREADS 64

/* Maps the `.tflite` and computes its fingerprint. */
static tinytl_status open_file(tinytl_model *model, const char *path,
                               tinytl_error *error) {
  const tinytl_status status =
      tinytl_map_file(path, "a .tflite file", SIZE_MAX / 2, &model->file,
                      &model->file_size, error);
  if (status != TINYTL_OK) {
    return status;
  }
  if (model->file_size < 8 ||
      memcmp((const char *)model->file + 4, "TFL3", 4) != 0) {
    return tinytl_fail(
        error, TINYTL_ERROR_MODEL,
        "%s is not a .tflite file: expected the mark TFL3 at byte "
        "4; check the path",
        path);
  }
  tinytl_sha256(model->file, model->file_size, model->info.fingerprint);
  return TINYTL_OK;
}

static tinytl_status load_model(tinytl_model *model, const char *path,
                                tinytl_error *error) {
  const tinytl_litert *litert = &model->litert;
  /* Only the CPU: a search for others can load libraries that end the process,
     such as the WebGPU one of the wheel on an ARM without LSE. */
  const LiteRtEnvOption settings[] = {
      {LITERT_AUTO_REGISTER_ACCELERATORS,
       {LITERT_ANY_INT, {.int_value = LITERT_CPU}}},
      {LITERT_MIN_LOG_SEVERITY,
       {LITERT_ANY_INT, {.int_value = LITERT_LOG_WARNING}}}};
  int status = litert->CreateEnvironment(2, settings, &model->environment);
  if (status != LITERT_OK) {
    return tinytl_fail_runtime("start", status, error);
  }
  /* From memory, since LiteRT does not verify files that it reads itself. */
  status = litert->CreateModelFromBuffer != NULL
               ? litert->CreateModelFromBuffer(model->environment, model->file,
                                               model->file_size, &model->model)
               : litert->CreateModelFromBufferAlone(
                     model->file, model->file_size, &model->model);
  if (status != LITERT_OK) {
    return tinytl_fail(error, TINYTL_ERROR_MODEL,
                       "%s is truncated or corrupt (LiteRT's status %d); copy "
                       "or export it again",
                       path, status);
  }
  return TINYTL_OK;
}

/* Makes the options of the CPU, which are TOML text. */
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
    return tinytl_fail_runtime("load the model", status, error);
  }
  return TINYTL_OK;
}

static tinytl_status load(tinytl_model *model, const char *path,
                          const tinytl_options *options, tinytl_error *error) {
  tinytl_status status = open_file(model, path, error);
  if (status == TINYTL_OK) {
    status = tinytl_find_manifest(model, path, options, error);
  }
  if (status == TINYTL_OK) {
    status = tinytl_load_litert(options->library, &model->litert, error);
  }
  if (status == TINYTL_OK) {
    status = load_model(model, path, error);
  }
  if (status == TINYTL_OK) {
    status = tinytl_read_names(model, error);
  }
  if (status == TINYTL_OK) {
    status = tinytl_check_contract(model, error);
  }
  if (status == TINYTL_OK) {
    model->info.settings = model->description.settings;
    model->info.learning_rate = (float)model->info.settings.learning_rate;
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
    return tinytl_fail(
        error, TINYTL_ERROR_ARGUMENT,
        "expected 1 to %d threads, or 0 for %d, got %d; change the options",
        MOST_THREADS, DEFAULT_THREADS, chosen->threads);
  }
  if (chosen->xnnpack != TINYTL_XNNPACK_AS_EXPORTED &&
      chosen->xnnpack != TINYTL_XNNPACK_ON &&
      chosen->xnnpack != TINYTL_XNNPACK_OFF) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected a value of tinytl_xnnpack, got %d; initialize "
                       "the options with zeros",
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
  /* Objects are destroyed before the objects that they use. */
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
  tinytl_free_added(&model->added);
  free(model->labels);
  free(model->exported);
  free(model);
}

const tinytl_info *tinytl_get_info(const tinytl_model *model) {
  return model == NULL ? NULL : &model->info;
}
