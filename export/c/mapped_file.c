/*
 * Memory-mapped files.
 */

#define _DEFAULT_SOURCE      /* O_CLOEXEC in C11. */
#define _FILE_OFFSET_BITS 64 /* Files of over 2 GB on 32-bit machines. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

tinytl_status tinytl_map_file(const char *path, const char *kind,
                              uint64_t largest, void **content, size_t *size,
                              tinytl_error *error) {
  /* O_NONBLOCK: otherwise open() of a FIFO waits for a writer. */
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
                         " bytes, got %jd; copy or export it again",
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
