#include "litert.h"

#include <dlfcn.h>
#include <string.h>

#define LIBRARY "libLiteRt.so"

_Static_assert(sizeof(LiteRtRankedTensorType) == 72, "LiteRT's layout");
_Static_assert(offsetof(LiteRtRankedTensorType, dimensions) == 8, "and places");

/*
 * Finds a function. POSIX gives functions as pointers to objects, which ISO C
 * cannot turn into pointers to functions but by copying. Returns whether it is
 * there.
 */
static bool find(void *handle, const char *name, void *function, size_t size) {
  void *symbol = dlsym(handle, name);
  _Static_assert(sizeof symbol == sizeof(void (*)(void)), "POSIX says so");
  memcpy(function, &symbol, size);
  return symbol != NULL;
}

tinytl_status tinytl_load_litert(const char *path, tinytl_litert *litert,
                                 tinytl_error *error) {
  const char *file = path == NULL ? LIBRARY : path;
  *litert = (tinytl_litert){0};
  /* Its threads and destructors do not stand being unloaded. */
  litert->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (litert->handle == NULL) {
    const char *reason = dlerror();
    return tinytl_fail(error, TINYTL_ERROR_LIBRARY,
                       "expected LiteRT's library %s, got: %s; take it from "
                       "the wheel of ai-edge-litert and give its path",
                       file, reason == NULL ? "no reason" : reason);
  }
  const char *missing = NULL;
#define X(name, result, arguments)                                 \
  if (!find(litert->handle, "LiteRt" #name, (void *)&litert->name, \
            sizeof litert->name) &&                                \
      missing == NULL) {                                           \
    missing = "LiteRt" #name;                                      \
  }
  LITERT_FUNCTIONS(X)
#undef X
#define X(name, result, arguments)                               \
  (void)find(litert->handle, "LiteRt" #name, (void *)&litert->name, \
             sizeof litert->name);
  LITERT_OPTIONAL_FUNCTIONS(X)
#undef X
  if (!find(litert->handle, "LiteRtCreateModelFromBuffer",
            (void *)&litert->CreateModelFromBufferAlone,
            sizeof litert->CreateModelFromBufferAlone) &&
      missing == NULL) {
    missing = "LiteRtCreateModelFromBuffer";
  }
  void (*since_2_1_6)(void);
  litert->is_2_1_6 = find(litert->handle, "LiteRtCreateModelFromFd",
                          (void *)&since_2_1_6, sizeof since_2_1_6);
  if (missing != NULL) {
    tinytl_unload_litert(litert);
    return tinytl_fail(error, TINYTL_ERROR_LIBRARY,
                       "expected LiteRT 2.1.0 or later in %s, got a library "
                       "without %s; take another version",
                       file, missing);
  }
  return TINYTL_OK;
}

void tinytl_unload_litert(tinytl_litert *litert) {
  if (litert->handle != NULL) {
    (void)dlclose(litert->handle);
  }
  *litert = (tinytl_litert){0};
}
