/*
 * The part of LiteRT's C API that the library calls, and its loading.
 *
 * The wheel of ai-edge-litert has libLiteRt.so and no headers, so types and
 * numbers are declared here as in LiteRT 2.1.5 to 2.3.0 (litert/c/litert_*.h of
 * google-ai-edge/LiteRT). The library does not report its version; symbols that
 * were added in a version do:
 *
 *   - Up to 2.1.4 it refuses all files that train, because of their variables.
 * LiteRtGetSubgraphName() was added in 2.1.5.
 *   - Since 2.1.6 the first argument of LiteRtCreateModelFromBuffer() is the
 *     environment. LiteRtCreateModelFromFd() was added in that version.
 */

#ifndef TINYTL_LITERT_H
#define TINYTL_LITERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "internal.h"

#define LITERT_OK 0

/* Handles. */
typedef struct LiteRtEnvironmentT *LiteRtEnvironment;
typedef struct LiteRtModelT *LiteRtModel;
typedef struct LiteRtSignatureT *LiteRtSignature;
typedef struct LiteRtTensorT *LiteRtTensor;
typedef struct LiteRtOptionsT *LiteRtOptions;
typedef struct LiteRtOpaqueOptionsT *LiteRtOpaqueOptions;
typedef struct LiteRtCompiledModelT *LiteRtCompiledModel;
typedef struct LiteRtTensorBufferT *LiteRtTensorBuffer;
typedef struct LiteRtTensorBufferRequirementsT *LiteRtTensorBufferRequirements;

/* LiteRtElementType */
enum { LITERT_FLOAT32 = 1, LITERT_INT32 = 2, LITERT_UINT8 = 3 };
/* LiteRtTensorTypeId */
enum { LITERT_RANKED = 0 };
/* LiteRtHwAccelerators */
enum { LITERT_CPU = 1 };
/* LiteRtTensorBufferType */
enum { LITERT_HOST_MEMORY = 1 };
/* LiteRtTensorBufferLockMode */
enum { LITERT_READ = 0, LITERT_WRITE = 1 };
/* LiteRtEnvOptionTag */
enum { LITERT_AUTO_REGISTER_ACCELERATORS = 24, LITERT_MIN_LOG_SEVERITY = 25 };
/* LiteRtLogSeverity */
enum { LITERT_LOG_WARNING = 2 };
/* LiteRtAnyType */
enum { LITERT_ANY_INT = 2 };

#define LITERT_MAX_RANK 8

/* LiteRtRankedTensorType, with its LiteRtLayout written out. */
typedef struct {
  int element_type;
  unsigned int rank : 7;
  unsigned int has_strides : 1;
  int32_t dimensions[LITERT_MAX_RANK];
  uint32_t strides[LITERT_MAX_RANK];
} LiteRtRankedTensorType;

/* LiteRtEnvOption, with its LiteRtAny written out. */
typedef struct {
  int tag;
  struct {
    int type;
    union {
      int64_t int_value;
      const void *ptr_value;
    } value;
  } any;
} LiteRtEnvOption;

/* Name without `LiteRt`, type of the result, arguments. */
#define LITERT_FUNCTIONS(X)                                                  \
  X(CreateEnvironment, int,                                                  \
    (int, const LiteRtEnvOption *, LiteRtEnvironment *))                     \
  X(DestroyEnvironment, void, (LiteRtEnvironment))                           \
  X(DestroyModel, void, (LiteRtModel))                                       \
  X(GetModelMetadata, int,                                                   \
    (LiteRtModel, const char *, const void **, size_t *))                    \
  X(GetNumModelSignatures, int, (LiteRtModel, size_t *))                     \
  X(GetModelSignature, int, (LiteRtModel, size_t, LiteRtSignature *))        \
  X(GetSignatureKey, int, (LiteRtSignature, const char **))                  \
  X(GetNumSignatureInputs, int, (LiteRtSignature, size_t *))                 \
  X(GetSignatureInputName, int, (LiteRtSignature, size_t, const char **))    \
  X(GetSignatureInputTensorByIndex, int,                                     \
    (LiteRtSignature, size_t, LiteRtTensor *))                               \
  X(GetNumSignatureOutputs, int, (LiteRtSignature, size_t *))                \
  X(GetSignatureOutputName, int, (LiteRtSignature, size_t, const char **))   \
  X(GetSignatureOutputTensorByIndex, int,                                    \
    (LiteRtSignature, size_t, LiteRtTensor *))                               \
  X(GetTensorTypeId, int, (LiteRtTensor, int *))                             \
  X(GetRankedTensorType, int, (LiteRtTensor, LiteRtRankedTensorType *))      \
  X(CreateOptions, int, (LiteRtOptions *))                                   \
  X(DestroyOptions, void, (LiteRtOptions))                                   \
  X(SetOptionsHardwareAccelerators, int, (LiteRtOptions, int))               \
  X(AddOpaqueOptions, int, (LiteRtOptions, LiteRtOpaqueOptions))             \
  X(CreateOpaqueOptions, int,                                                \
    (const char *, void *, void (*)(void *), LiteRtOpaqueOptions *))         \
  X(DestroyOpaqueOptions, void, (LiteRtOpaqueOptions))                       \
  X(CreateCompiledModel, int,                                                \
    (LiteRtEnvironment, LiteRtModel, LiteRtOptions, LiteRtCompiledModel *))  \
  X(DestroyCompiledModel, void, (LiteRtCompiledModel))                       \
  X(GetCompiledModelInputBufferRequirements, int,                            \
    (LiteRtCompiledModel, size_t, size_t, LiteRtTensorBufferRequirements *)) \
  X(GetCompiledModelOutputBufferRequirements, int,                           \
    (LiteRtCompiledModel, size_t, size_t, LiteRtTensorBufferRequirements *)) \
  X(GetTensorBufferRequirementsBufferSize, int,                              \
    (LiteRtTensorBufferRequirements, size_t *))                              \
  X(CreateManagedTensorBuffer, int,                                          \
    (LiteRtEnvironment, int, const LiteRtRankedTensorType *, size_t,         \
     LiteRtTensorBuffer *))                                                  \
  X(DestroyTensorBuffer, void, (LiteRtTensorBuffer))                         \
  X(GetTensorBufferSize, int, (LiteRtTensorBuffer, size_t *))                \
  X(LockTensorBuffer, int, (LiteRtTensorBuffer, void **, int))               \
  X(UnlockTensorBuffer, int, (LiteRtTensorBuffer))                           \
  X(RunCompiledModel, int,                                                   \
    (LiteRtCompiledModel, size_t, size_t, LiteRtTensorBuffer *, size_t,      \
     LiteRtTensorBuffer *))

/* The functions of one library. */
typedef struct {
  void *handle;
#define X(name, result, arguments) result(*name) arguments;
  LITERT_FUNCTIONS(X)
#undef X
  /* Exactly one of them exists: the first since 2.1.6, the second before. */
  int (*CreateModelFromBuffer)(LiteRtEnvironment, const void *, size_t,
                               LiteRtModel *);
  int (*CreateModelFromBufferAlone)(const void *, size_t, LiteRtModel *);
} tinytl_litert;

/* Loads a library; if `path` is NULL, the loader searches for it. */
tinytl_status tinytl_load_litert(const char *path, tinytl_litert *litert,
                                 tinytl_error *error);

/* Releases the handle; the library stays in the process. */
void tinytl_unload_litert(tinytl_litert *litert);

#endif /* TINYTL_LITERT_H */
