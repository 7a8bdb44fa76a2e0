/*
 * The state file that a run writes at its end: ensures that no other run writes
 * it at the same time, and that it can be written.
 */

#define _DEFAULT_SOURCE      /* flock(), realpath() in C11. */
#define _FILE_OFFSET_BITS 64 /* States of over 2 GB on 32-bit machines. */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapt.h"

/* Joins two texts; returns one to be freed, or NULL. */
static char *append(const char *start, const char *end) {
  const size_t size = strlen(start) + strlen(end) + 1;
  char *result = malloc(size);
  if (result != NULL) {
    (void)snprintf(result, size, "%s%s", start, end);
  }
  return result;
}

static int complain_writing(const char *path, const char *got) {
  return complain(BAD_OUTPUT,
                  "expected to write %s, got: %s; choose a path that can be "
                  "written",
                  path, got);
}

/* Returns the part of a path after its folders. */
static const char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

/*
 * Returns the real path of the file with the suffix of the lock, to be freed,
 * or NULL. Runs that reach one file by different paths share a lock.
 */
static char *lock_path(const char *path) {
  char *real = realpath(path, NULL); /* NULL if the file does not exist. */
  if (real == NULL) {
    char *copy = strdup(path); /* dirname() changes its argument. */
    char *folder = copy == NULL ? NULL : realpath(dirname(copy), NULL);
    real = folder == NULL ? NULL : photos_join(folder, name_of(path));
    free(folder);
    free(copy);
  }
  char *lock = append(real == NULL ? path : real, ".lock");
  free(real);
  return lock;
}

/* Returns the open file with its lock, or -1 with errno; EWOULDBLOCK if
   another run has it. */
static int take_lock(const char *path) {
  for (;;) {
    const int file =
        open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
             S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH);
    struct stat opened;
    struct stat named;
    if (file < 0) {
      return -1;
    }
    if (flock(file, LOCK_EX | LOCK_NB) != 0 || fstat(file, &opened) != 0) {
      const int reason = errno;
      (void)close(file);
      errno = reason;
      return -1;
    }
    if (lstat(path, &named) == 0 && named.st_ino == opened.st_ino &&
        named.st_dev == opened.st_dev) {
      return file;
    }
    /* Another run has removed the lock file in the meantime. */
    (void)close(file);
  }
}

/* Checks under the lock that the state can be written at the end. */
static int check_path(const char *path, bool overwrite) {
  struct stat about;
  if (!overwrite && stat(path, &about) == 0) {
    return complain(BAD_INPUT,
                    "%s exists already; choose another path, or give "
                    "--overwrite to replace it",
                    path);
  }
  char *temporary = append(path, ".tmp");
  if (temporary == NULL) {
    return complain_memory();
  }
  int status = 0;
  if (lstat(temporary, &about) == 0 && !S_ISREG(about.st_mode)) {
    status = complain_writing(temporary, "a folder, link or device");
  }
  free(temporary);
  return status;
}

/* Writes the owner to the lock file, for messages of other runs. */
static void leave_name(int file) {
  char host[256] = "";
  (void)gethostname(host, sizeof host - 1);
  if (ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0) {
    (void)dprintf(file, "{\"pid\": %ld, \"host\": \"%s\"}", (long)getpid(),
                  host);
  }
}

int output_open(const char *path, bool overwrite, adapt_output *output) {
  *output = (adapt_output){NULL, -1};
  if (*name_of(path) == '\0') {
    return complain_writing(path, "the path of a folder");
  }
  struct stat about;
  if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) {
    return complain_writing(path, "a folder or device");
  }
  char *lock = lock_path(path);
  if (lock == NULL) {
    return complain_memory();
  }
  const int file = take_lock(lock);
  if (file < 0) {
    const int reason = errno;
    free(lock);
    return reason == EWOULDBLOCK
               ? complain(BAD_INPUT,
                          "%s is in use by another run; wait for it to end, or "
                          "choose another path",
                          path)
               : complain_writing(path, strerror(reason));
  }
  *output = (adapt_output){lock, file};
  leave_name(file);
  return check_path(path, overwrite);
}

int output_reserve(const adapt_output *output, const char *path, size_t bytes) {
  const int reason = posix_fallocate(output->file, 0, (off_t)bytes);
  leave_name(output->file);
  /* Some file systems do not report the free space. */
  if (reason == 0 || reason == EINVAL || reason == EOPNOTSUPP) {
    return 0;
  }
  return complain(BAD_OUTPUT,
                  "expected room for %zu bytes at %s, got: %s; free some, or "
                  "choose another path",
                  bytes, path, strerror(reason));
}

void output_close(adapt_output *output) {
  if (output->lock != NULL) {
    (void)unlink(output->lock);
    (void)close(output->file);
    free(output->lock);
  }
  *output = (adapt_output){NULL, -1};
}
