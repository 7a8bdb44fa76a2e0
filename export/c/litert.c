#include "litert.h"

#include <dlfcn.h>
#include <string.h>

#define LIBRARY "libLiteRt.so"

_Static_assert(sizeof(LiteRtRankedTensorType) == 72, "LiteRT's layout");
_Static_assert(offsetof(LiteRtRankedTensorType, dimensions) == 8, "and places");

/*
 * Copies the address of a symbol into a function pointer, since ISO C has no
 * conversion between them. Returns whether the symbol was found.
 */
static bool find(void *handle, const char *name, void *function, size_t size) {
  void *symbol = dlsym(handle, name);
  _Static_assert(sizeof symbol == sizeof(void (*)(void)), "as POSIX says");
  memcpy(function, &symbol, size);
  return symbol != NULL;
}

/* Finds all functions; returns NULL, or the name of one that is missing. */
static const char *find_all(tinytl_litert *litert) {
#define X(name, result, arguments)                                 \
  if (!find(litert->handle, "LiteRt" #name, (void *)&litert->name, \
            sizeof litert->name)) {                                \
    return "LiteRt" #name;                                         \
  }
  LITERT_FUNCTIONS(X)
#undef X
  if (dlsym(litert->handle, "LiteRtGetSubgraphName") == NULL) {
    return "LiteRtGetSubgraphName";
  }
  static const char kCreate[] = "LiteRtCreateModelFromBuffer";
  const bool found = dlsym(litert->handle, "LiteRtCreateModelFromFd") != NULL
                         ? find(litert->handle, kCreate,
                                (void *)&litert->CreateModelFromBuffer,
                                sizeof litert->CreateModelFromBuffer)
                         : find(litert->handle, kCreate,
                                (void *)&litert->CreateModelFromBufferAlone,
                                sizeof litert->CreateModelFromBufferAlone);
  return found ? NULL : kCreate;
}

tinytl_status tinytl_load_litert(const char *path, tinytl_litert *litert,
                                 tinytl_error *error) {
  const char *file = path == NULL ? LIBRARY : path;
  *litert = (tinytl_litert){0};
  /* Never unloaded: its threads and destructors would crash. */
  litert->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (litert->handle == NULL) {
    const char *reason = dlerror();
    return tinytl_fail(error, TINYTL_ERROR_LIBRARY,
                       "expected LiteRT's library %s, got: %s; take it from "
                       "the wheel of ai-edge-litert and give its path",
                       file, reason == NULL ? "no reason" : reason);
  }
  const char *missing = find_all(litert);
  if (missing != NULL) {
    tinytl_unload_litert(litert);
    return tinytl_fail(error, TINYTL_ERROR_LIBRARY,
                       "expected LiteRT 2.1.5 or later in %s, got a library "
                       "without %s; take it from a later wheel of "
                       "ai-edge-litert",
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
