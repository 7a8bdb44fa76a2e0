/*
 * State files, `.tinytl`. See "State and state file" of docs/formats.md:
 *
 *   offset    size  content
 *   0         8     magic
 *   8         4     format version: 1, or 2 with names
 *   12        32    fingerprint of the model
 *   44        4     N
 *   48        4 N   the state, float32
 *   48 + 4 N  4     version 2 only: L
 *   52 + 4 N  L     version 2 only: names of added classes, one on each line
 *   the end   4     CRC-32 of all bytes before it
 *
 * All numbers are little-endian and are read byte by byte, so that the byte
 * order and the alignment of this machine do not matter.
 */

#define _DEFAULT_SOURCE      /* flock(), realpath(), strdup() in C11. */
#define _FILE_OFFSET_BITS 64 /* Files of over 2 GB on 32-bit machines. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define MAGIC_SIZE 8
#define VERSION 1
#define VERSION_WITH_NAMES 2
#define VERSION_OFFSET 8
#define FINGERPRINT_OFFSET 12
#define COUNT_OFFSET 44
#define HEADER_SIZE 48
#define CHECKSUM_SIZE 4
#define LENGTH_SIZE 4 /* Bytes of the length of the names. */

static const uint8_t kMagic[MAGIC_SIZE] = {'T', 'I', 'N',  'Y',
                                           'T', 'L', '\r', '\n'};

static uint32_t get_u32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
         (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_u32(uint8_t *bytes, uint32_t value) {
  for (unsigned i = 0; i < 4; i++) {
    bytes[i] = (uint8_t)(value >> (8 * i));
  }
}

static float get_float(const uint8_t *bytes) {
  const uint32_t bits = get_u32(bytes);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

size_t tinytl_find_not_finite(const float *values, size_t count) {
  size_t index = 0;
  while (index < count && isfinite(values[index])) {
    index++;
  }
  return index;
}

/* ---- Reading ---- */

/* Checks magic, version and length before large reads. */
static tinytl_status check_header(const uint8_t *header, size_t header_size,
                                  uint64_t length, const char *what,
                                  tinytl_error *error) {
  if (header_size < MAGIC_SIZE || memcmp(header, kMagic, MAGIC_SIZE) != 0) {
    return tinytl_fail(error, TINYTL_ERROR_MAGIC,
                       "%s is not a state file: expected it to begin with the "
                       "8 bytes TINYTL\\r\\n, got others; check the path",
                       what);
  }
  if (header_size < HEADER_SIZE) {
    return tinytl_fail(error, TINYTL_ERROR_LENGTH,
                       "%s is cut short: expected %d bytes or more, got "
                       "%" PRIu64 "; use another copy",
                       what, HEADER_SIZE, length);
  }
  const uint32_t version = get_u32(header + VERSION_OFFSET);
  if (version != VERSION && version != VERSION_WITH_NAMES) {
    return tinytl_fail(error, TINYTL_ERROR_VERSION,
                       "%s has format version %" PRIu32
                       ", expected %d or %d; use the tinytl_tf that wrote it",
                       what, version, VERSION, VERSION_WITH_NAMES);
  }
  const uint32_t count = get_u32(header + COUNT_OFFSET);
  const uint64_t values = HEADER_SIZE + 4 * (uint64_t)count + CHECKSUM_SIZE;
  if (version == VERSION && length != values) {
    return tinytl_fail(error, TINYTL_ERROR_LENGTH,
                       "%s is damaged: expected %" PRIu64 " bytes for %" PRIu32
                       " values, got %" PRIu64 "; use another copy",
                       what, values, count, length);
  }
  const uint64_t least = values + LENGTH_SIZE + 1;
  if (version == VERSION_WITH_NAMES &&
      (length < least || length > least - 1 + TINYTL_LONGEST_NAMES)) {
    return tinytl_fail(
        error, TINYTL_ERROR_LENGTH,
        "%s is damaged: expected %" PRIu64 " to %" PRIu64 " bytes for %" PRIu32
        " values, got %" PRIu64 "; use another copy",
        what, least, least - 1 + TINYTL_LONGEST_NAMES, count, length);
  }
  return TINYTL_OK;
}

/* Finds the names in a file with a valid header; their length must fill it.
 */
static tinytl_status find_names(const uint8_t *bytes, size_t length,
                                const char *what, const uint8_t **names,
                                size_t *names_length, tinytl_error *error) {
  *names = NULL;
  *names_length = 0;
  if (get_u32(bytes + VERSION_OFFSET) == VERSION) {
    return TINYTL_OK;
  }
  /* check_header() has checked that these bytes exist. */
  const size_t start = HEADER_SIZE + 4 * (size_t)get_u32(bytes + COUNT_OFFSET);
  const size_t rest = length - start - LENGTH_SIZE - CHECKSUM_SIZE;
  const uint32_t size = get_u32(bytes + start);
  if (size != rest) {
    return tinytl_fail(error, TINYTL_ERROR_LENGTH,
                       "%s is damaged: expected %" PRIu32
                       " bytes of names, got %zu; use another copy",
                       what, size, rest);
  }
  *names = bytes + start + LENGTH_SIZE;
  *names_length = size;
  return TINYTL_OK;
}

static tinytl_status parse(const uint8_t *bytes, size_t length,
                           const uint8_t *fingerprint, float *state,
                           size_t count, char **added, const char *what,
                           tinytl_error *error) {
  const size_t header_size = length < HEADER_SIZE ? length : HEADER_SIZE;
  const uint8_t *names = NULL;
  size_t names_length = 0;
  tinytl_status status = check_header(bytes, header_size, length, what, error);
  if (status == TINYTL_OK) {
    status = find_names(bytes, length, what, &names, &names_length, error);
  }
  if (status != TINYTL_OK) {
    return status;
  }
  const uint32_t expected = get_u32(bytes + length - CHECKSUM_SIZE);
  const uint32_t actual = tinytl_crc32(0, bytes, length - CHECKSUM_SIZE);
  if (actual != expected) {
    return tinytl_fail(error, TINYTL_ERROR_CHECKSUM,
                       "%s is damaged: expected checksum %08" PRIx32
                       ", got %08" PRIx32 "; use another copy",
                       what, expected, actual);
  }
  const uint8_t *owner = bytes + FINGERPRINT_OFFSET;
  if (memcmp(owner, fingerprint, TINYTL_FINGERPRINT_SIZE) != 0) {
    return tinytl_fail(
        error, TINYTL_ERROR_FINGERPRINT,
        "%s belongs to the model with SHA-256 %02x%02x%02x%02x..., expected "
        "%02x%02x%02x%02x...; load the .tflite file that it was saved from",
        what, owner[0], owner[1], owner[2], owner[3], fingerprint[0],
        fingerprint[1], fingerprint[2], fingerprint[3]);
  }
  const uint32_t found = get_u32(bytes + COUNT_OFFSET);
  if (found != count) {
    return tinytl_fail(error, TINYTL_ERROR_COUNT,
                       "%s has %" PRIu32
                       " values, expected the %zu of the "
                       "model; save the state again",
                       what, found, count);
  }
  const char *problem = NULL;
  if (names != NULL) {
    status = tinytl_check_names((const char *)names, names_length, &problem);
  }
  if (problem != NULL) {
    return tinytl_fail(error, status,
                       "%s has names of classes that cannot be used: expected "
                       "%s; use another copy",
                       what, problem);
  }
  if (status != TINYTL_OK) {
    return tinytl_fail_memory(error, names_length);
  }
  const uint8_t *values = bytes + HEADER_SIZE;
  for (size_t i = 0; i < count; i++) {
    const float value = get_float(values + 4 * i);
    if (!isfinite(value)) {
      return tinytl_fail(error, TINYTL_ERROR_NOT_FINITE,
                         "cannot use %s: expected finite values, got %g at "
                         "index %zu; reset the model and train with a lower "
                         "learning rate",
                         what, (double)value, i);
    }
  }
  char *copy = NULL;
  if (names != NULL && added != NULL) {
    copy = malloc(names_length + 1);
    if (copy == NULL) {
      return tinytl_fail_memory(error, names_length + 1);
    }
    memcpy(copy, names, names_length);
    copy[names_length] = '\0';
  }
  for (size_t i = 0; i < count; i++) {
    state[i] = get_float(values + 4 * i);
  }
  if (added != NULL) {
    *added = copy;
  }
  return tinytl_succeed(error);
}

tinytl_status tinytl_parse_state(const uint8_t *bytes, size_t length,
                                 const uint8_t *fingerprint, float *state,
                                 size_t count, char **names,
                                 tinytl_error *error) {
  if (names != NULL) {
    *names = NULL;
  }
  if ((bytes == NULL && length > 0) || fingerprint == NULL ||
      (state == NULL && count > 0)) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected bytes, a fingerprint and room for the state, "
                       "got NULL; pass all of them");
  }
  return parse(bytes, length, fingerprint, state, count, names, "this state",
               error);
}

/* Reads `size` bytes, or less if the file ends. Returns their number, or -1.
 */
static ssize_t read_whole(int file, uint8_t *bytes, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = read(file, bytes + done, size - done);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return -1;
    }
    if (got == 0) {
      break;
    }
    done += (size_t)got;
  }
  return (ssize_t)done;
}

static tinytl_status fail_reading(const char *path, const char *got,
                                  tinytl_error *error) {
  return tinytl_fail(error, TINYTL_ERROR_FILE,
                     "expected a state file at %s, got: %s; check the path",
                     path, got);
}

static tinytl_status read_file(int file, const char *path,
                               const uint8_t *fingerprint, float *state,
                               size_t count, char **names,
                               tinytl_error *error) {
  struct stat about;
  if (fstat(file, &about) != 0) {
    return fail_reading(path, strerror(errno), error);
  }
  if (!S_ISREG(about.st_mode)) {
    return fail_reading(path, "a folder or device", error);
  }
  uint8_t header[HEADER_SIZE];
  const ssize_t header_size = read_whole(file, header, sizeof header);
  if (header_size < 0) {
    return fail_reading(path, strerror(errno), error);
  }
  tinytl_status status = check_header(header, (size_t)header_size,
                                      (uint64_t)about.st_size, path, error);
  if (status != TINYTL_OK) {
    return status;
  }
  if ((uint64_t)about.st_size > SIZE_MAX) {
    return tinytl_fail_memory(error, SIZE_MAX);
  }
  const size_t length = (size_t)about.st_size;
  uint8_t *bytes = malloc(length);
  if (bytes == NULL) {
    return tinytl_fail_memory(error, length);
  }
  memcpy(bytes, header, HEADER_SIZE);
  const ssize_t rest =
      read_whole(file, bytes + HEADER_SIZE, length - HEADER_SIZE);
  if (rest < 0) {
    status = fail_reading(path, strerror(errno), error);
  } else {
    /* A file that is truncated meanwhile fails the check of its length. */
    status = parse(bytes, HEADER_SIZE + (size_t)rest, fingerprint, state, count,
                   names, path, error);
  }
  free(bytes);
  return status;
}

tinytl_status tinytl_read_state(const char *path, const uint8_t *fingerprint,
                                float *state, size_t count, char **names,
                                tinytl_error *error) {
  if (names != NULL) {
    *names = NULL;
  }
  if (path == NULL || fingerprint == NULL || (state == NULL && count > 0)) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected a path, a fingerprint and room for the state, "
                       "got NULL; pass all of them");
  }
  /* O_NONBLOCK: otherwise open() of a FIFO waits for a writer. */
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    return fail_reading(path, strerror(errno), error);
  }
  const tinytl_status status =
      read_file(file, path, fingerprint, state, count, names, error);
  (void)close(file);
  return status;
}

/* ---- Writing ---- */

/* Returns 0, or -1 with errno. */
static int write_whole(int file, const uint8_t *bytes, size_t size) {
  while (size > 0) {
    const ssize_t done = write(file, bytes, size);
    if (done < 0 && errno == EINTR) {
      continue;
    }
    if (done < 0) {
      return -1;
    }
    bytes += done;
    size -= (size_t)done;
  }
  return 0;
}

/* Collects bytes to write, and their checksum. */
typedef struct {
  int file;
  uint32_t crc;
  size_t used;
  uint8_t bytes[4096];
} writer;

/* Returns 0, or -1 with errno. */
static int flush(writer *out) {
  out->crc = tinytl_crc32(out->crc, out->bytes, out->used);
  const int result = write_whole(out->file, out->bytes, out->used);
  out->used = 0;
  return result;
}

/* Adds a number. Returns 0, or -1 with errno. */
static int add_u32(writer *out, uint32_t value) {
  if (out->used + 4 > sizeof out->bytes && flush(out) != 0) {
    return -1;
  }
  put_u32(out->bytes + out->used, value);
  out->used += 4;
  return 0;
}

/* Returns 0, or -1 with errno. */
static int write_content(int file, const uint8_t *fingerprint,
                         const float *state, size_t count, const char *names) {
  writer out = {.file = file, .used = FINGERPRINT_OFFSET};
  memcpy(out.bytes, kMagic, MAGIC_SIZE);
  put_u32(out.bytes + VERSION_OFFSET,
          names == NULL ? VERSION : VERSION_WITH_NAMES);
  memcpy(out.bytes + out.used, fingerprint, TINYTL_FINGERPRINT_SIZE);
  out.used += TINYTL_FINGERPRINT_SIZE;
  if (add_u32(&out, (uint32_t)count) != 0) {
    return -1;
  }
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &state[i], sizeof bits);
    if (add_u32(&out, bits) != 0) {
      return -1;
    }
  }
  if (names != NULL) {
    const size_t length = strlen(names);
    if (add_u32(&out, (uint32_t)length) != 0 || flush(&out) != 0) {
      return -1;
    }
    out.crc = tinytl_crc32(out.crc, (const uint8_t *)names, length);
    if (write_whole(file, (const uint8_t *)names, length) != 0) {
      return -1;
    }
  }
  if (flush(&out) != 0 || add_u32(&out, out.crc) != 0) {
    return -1;
  }
  return flush(&out);
}

/*
 * Opens the temporary file, empty, for only this process. The lock is released
 * when the file is closed, also by the end of the process. Returns -1 with
 * errno; EWOULDBLOCK if another process or thread is writing it.
 */
static int open_temporary(const char *path) {
  for (;;) {
    const int file =
        open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
             S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH);
    if (file < 0) {
      return -1;
    }
    struct stat opened;
    struct stat named;
    if (flock(file, LOCK_EX | LOCK_NB) == 0 && fstat(file, &opened) == 0) {
      if (!S_ISREG(opened.st_mode)) {
        errno = EEXIST;
      } else if (stat(path, &named) != 0 || named.st_ino != opened.st_ino ||
                 named.st_dev != opened.st_dev) {
        /* Its last writer has renamed it in the meantime. */
        (void)close(file);
        continue;
      } else if (ftruncate(file, 0) == 0) {
        return file;
      }
    }
    const int reason = errno;
    (void)close(file);
    errno = reason;
    return -1;
  }
}

/* Flushes a new name to the disk. Returns 0, or -1 with errno. */
static int flush_folder(const char *path) {
  char *copy = strdup(path); /* dirname() changes its argument. */
  if (copy == NULL) {
    return -1;
  }
  const int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free(copy);
  if (folder < 0) {
    return -1;
  }
  /* Some file systems cannot flush a folder. */
  int result = fsync(folder);
  if (result != 0 && (errno == EINVAL || errno == EROFS)) {
    result = 0;
  }
  const int reason = errno;
  (void)close(folder);
  errno = reason;
  return result;
}

/* Returns 0, or -1 with errno. */
static int replace_file(const char *path, const char *temporary,
                        const uint8_t *fingerprint, const float *state,
                        size_t count, const char *names) {
  const int file = open_temporary(temporary);
  if (file < 0) {
    return -1;
  }
  int result = write_content(file, fingerprint, state, count, names);
  if (result == 0) {
    result = fsync(file);
  }
  if (result == 0) {
    /* Renamed while it is locked: a second writer no longer finds it, and none
       can change it under its final name. */
    result = rename(temporary, path);
  }
  int reason = errno;
  if (result != 0) {
    (void)unlink(temporary);
  }
  if (close(file) != 0 && result == 0) {
    result = -1;
    reason = errno;
  }
  errno = reason;
  return result == 0 ? flush_folder(path) : -1;
}

static tinytl_status fail_writing(const char *path, const char *got,
                                  tinytl_error *error) {
  return tinytl_fail(
      error, TINYTL_ERROR_FILE,
      "expected to write %s, got: %s; choose a path that can be written", path,
      got);
}

tinytl_status tinytl_write_state(const char *path, const uint8_t *fingerprint,
                                 const float *state, size_t count,
                                 const char *names, tinytl_error *error) {
  if (path == NULL || fingerprint == NULL || (state == NULL && count > 0)) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected a path, a fingerprint and a state, got NULL; "
                       "pass all of them");
  }
  if (count > UINT32_MAX) {
    return tinytl_fail(error, TINYTL_ERROR_ARGUMENT,
                       "expected at most %" PRIu32
                       " values, got %zu; export a smaller model",
                       UINT32_MAX, count);
  }
  const char *problem = NULL;
  tinytl_status status =
      names == NULL ? TINYTL_OK
                    : tinytl_check_names(names, strlen(names), &problem);
  if (problem != NULL) {
    return tinytl_fail(error, status,
                       "cannot save %s: expected %s; give other names", path,
                       problem);
  }
  if (status != TINYTL_OK) {
    return tinytl_fail_memory(error, strlen(names));
  }
  const size_t bad = tinytl_find_not_finite(state, count);
  if (bad < count) {
    return tinytl_fail(error, TINYTL_ERROR_NOT_FINITE,
                       "cannot save %s: expected finite values, got %g at "
                       "index %zu; reset the model and train with a lower "
                       "learning rate",
                       path, (double)state[bad], bad);
  }
  struct stat about;
  if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) {
    return fail_writing(path, "a folder or device", error);
  }
  char *target = realpath(path, NULL); /* NULL if the file does not exist. */
  const char *final = target == NULL ? path : target;
  const size_t size = strlen(final) + sizeof ".tmp";
  char *temporary = malloc(size);
  if (temporary == NULL) {
    status = tinytl_fail_memory(error, size);
  } else {
    (void)snprintf(temporary, size, "%s.tmp", final);
    if (replace_file(final, temporary, fingerprint, state, count, names) == 0) {
      status = tinytl_succeed(error);
    } else if (errno == EWOULDBLOCK) {
      status = fail_writing(path, "another program that is writing it", error);
    } else {
      status = fail_writing(path, strerror(errno), error);
    }
  }
  free(temporary);
  free(target);
  return status;
}
