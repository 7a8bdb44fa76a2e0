/*
 * Prints in which order a state file is flushed and renamed: its own fsync()
 * and rename() stand in for those of the C library.
 *
 *   order STATE_FILE
 */

#define _DEFAULT_SOURCE /* syscall() in C11. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tinytl.h"

int fsync(int file) {
  struct stat about;
  const bool folder = fstat(file, &about) == 0 && S_ISDIR(about.st_mode);
  if (folder) {
    printf("fsync of the folder\n");
  } else {
    printf("fsync of %lld bytes\n", (long long)about.st_size);
  }
  return (int)syscall(SYS_fsync, file);
}

int rename(const char *from, const char *to) {
  const char *slash = strrchr(from, '/');
  printf("rename of %s\n", slash == NULL ? from : slash + 1);
  return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int main(int count, char **arguments) {
  const uint8_t fingerprint[TINYTL_FINGERPRINT_SIZE] = {0};
  const float state[] = {1, 2};
  if (count != 2) {
    fprintf(stderr, "usage: order STATE_FILE\n");
    return 2;
  }
  return tinytl_write_state(arguments[1], fingerprint, state, 2, NULL, NULL) ==
                 TINYTL_OK
             ? 0
             : 1;
}
