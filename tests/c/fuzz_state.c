/*
 * Fuzzes the reader of state files.
 *
 *   fuzz_state STATE_FILE [COUNT [SEED]]
 *
 * takes a good file, reads COUNT mutations of it (default 100000) that depend
 * on SEED alone, and prints how often each status came. Half of the mutations
 * get a checksum that is right, or no check behind it would be reached.
 *
 * Built by clang with -fsanitize=fuzzer -DLIBFUZZER, it is a libFuzzer target.
 */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define HEADER 48
#define FINGERPRINT 12
#define COUNT 44
#define CHECKSUM 4

static void require(bool condition, const char *what) {
  if (!condition) {
    fprintf(stderr, "fuzz_state.c: %s\n", what);
    abort();
  }
}

static void put_u32(uint8_t *bytes, uint32_t value) {
  for (unsigned i = 0; i < 4; i++) {
    bytes[i] = (uint8_t)(value >> (8 * i));
  }
}

/*
 * Reads bytes as the state of a model with `count` values. The input lies at
 * the very end of its memory, and so does the room for the result, so that a
 * sanitizer sees a byte too much of either.
 */
static tinytl_status check(const uint8_t *bytes, size_t length,
                           const uint8_t *fingerprint, size_t count) {
  uint8_t *input = malloc(length == 0 ? 1 : length);
  float *state = malloc(count == 0 ? 1 : count * sizeof *state);
  require(input != NULL && state != NULL, "no memory");
  if (length > 0) {
    memcpy(input, bytes, length);
  }
  for (size_t i = 0; i < count; i++) {
    state[i] = -77.0F;
  }
  char *names = NULL;
  tinytl_error error = {TINYTL_OK, ""};
  const tinytl_status status =
      tinytl_parse_state(length == 0 ? NULL : input, length, fingerprint, state,
                         count, &names, &error);
  require(error.status == status, "a status and its error differ");
  require((error.text[0] == '\0') == (status == TINYTL_OK), "no text, or one");
  for (size_t i = 0; i < count; i++) {
    require(status == TINYTL_OK ? isfinite(state[i]) != 0 : state[i] == -77.0F,
            "a refused state was written, or a bad one taken");
  }
  if (status == TINYTL_OK) {
    /* What is taken is exactly what a writer writes. */
    const size_t more = names == NULL ? 0 : 4 + strlen(names);
    require(length == HEADER + 4 * count + more + CHECKSUM,
            "another length taken");
    require(names == NULL || strlen(names) > 0, "no names taken as some");
    for (size_t i = 0; i < count; i++) {
      uint32_t bits;
      uint8_t expected[4];
      memcpy(&bits, &state[i], sizeof bits);
      put_u32(expected, bits);
      require(memcmp(expected, input + HEADER + 4 * i, 4) == 0,
              "another value than the file's");
    }
  }
  require(status == TINYTL_OK || names == NULL, "names of a refused state");
  free(names);
  free(state);
  free(input);
  return status;
}

#ifdef LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  /* The model is the one that the input claims to belong to, so that all
     checks are reached. */
  uint8_t fingerprint[TINYTL_FINGERPRINT_SIZE] = {0};
  size_t count = 0;
  if (length >= HEADER) {
    memcpy(fingerprint, bytes + FINGERPRINT, sizeof fingerprint);
    count = (size_t)bytes[COUNT] | (size_t)bytes[COUNT + 1] << 8;
  }
  (void)check(bytes, length, fingerprint, count);
  uint8_t *repaired = malloc(length == 0 ? 1 : length);
  require(repaired != NULL, "no memory");
  if (length > CHECKSUM) {
    memcpy(repaired, bytes, length);
    put_u32(repaired + length - CHECKSUM,
            tinytl_crc32(0, repaired, length - CHECKSUM));
    (void)check(repaired, length, fingerprint, count);
  }
  free(repaired);
  return 0;
}

#else

#define LARGEST (1 << 16)
#define STATUSES (TINYTL_ERROR_REFUSED + 1)

/* splitmix64, the same on every machine. */
static uint64_t next_random(uint64_t *seed) {
  uint64_t z = (*seed += 0x9e3779b97f4a7c15U);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

static size_t below(uint64_t *seed, size_t limit) {
  return (size_t)(next_random(seed) % limit);
}

/* Changes a file of at most LARGEST bytes in one way; returns its length. */
static size_t mutate(uint8_t *bytes, size_t length, uint64_t *seed) {
  static const uint32_t kValues[] = {0x7f800000, 0xff800000, 0x7fc00000,
                                     0x7f800001, 0xffffffff, 0,
                                     1,          0x40000000, 0x3fffffff};
  const uint32_t value =
      kValues[below(seed, sizeof kValues / sizeof kValues[0])];
  if (length == 0) {
    bytes[0] = (uint8_t)next_random(seed);
    return 1;
  }
  const size_t place = below(seed, length);
  switch (below(seed, 8)) {
    case 0: /* A bit flips. */
      bytes[place] ^= (uint8_t)(1U << below(seed, 8));
      return length;
    case 1: /* A byte changes. */
      bytes[place] = (uint8_t)next_random(seed);
      return length;
    case 2: /* The end is missing. */
      return place;
    case 3: { /* Something comes behind. */
      const size_t more = below(seed, 9);
      const size_t room = LARGEST - length;
      memset(bytes + length, (int)below(seed, 256), more < room ? more : room);
      return length + (more < room ? more : room);
    }
    case 4: /* A word of the header. */
      if (length >= HEADER) {
        put_u32(bytes + 4 * below(seed, HEADER / 4), value);
      }
      return length;
    case 5: /* A value. */
      if (length >= HEADER + 8) {
        put_u32(bytes + HEADER + 4 * below(seed, (length - HEADER - 4) / 4),
                value);
      }
      return length;
    case 6: /* A piece in the middle is missing. */
      memmove(bytes + place, bytes + place + 1, length - place - 1);
      return length - 1;
    default: { /* N and the length agree, and are others than the model's. */
      const size_t count = below(seed, 64);
      if (length < HEADER) {
        return length;
      }
      const size_t old = (size_t)bytes[COUNT] | (size_t)bytes[COUNT + 1] << 8;
      const size_t from = HEADER + 4 * old;
      const size_t to = HEADER + 4 * count;
      if (from > length || to + length - from > LARGEST) {
        return length;
      }
      memmove(bytes + to, bytes + from, length - from);
      if (to > from) {
        memset(bytes + from, 0, to - from);
      }
      put_u32(bytes + COUNT, (uint32_t)count);
      return to + length - from;
    }
  }
}

int main(int argc, char **argv) {
  static uint8_t good[LARGEST];
  static uint8_t bytes[LARGEST];
  require(argc > 1, "usage: fuzz_state STATE_FILE [COUNT [SEED]]");
  const long runs = argc > 2 ? strtol(argv[2], NULL, 10) : 100000;
  uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
  FILE *file = fopen(argv[1], "rb");
  require(file != NULL, "cannot open the file");
  const size_t size = fread(good, 1, sizeof good, file);
  (void)fclose(file);
  require(size >= HEADER + CHECKSUM && size < sizeof good, "no small file");
  const uint8_t *fingerprint = good + FINGERPRINT;
  const size_t count = (size_t)good[COUNT] | (size_t)good[COUNT + 1] << 8;
  require(check(good, size, fingerprint, count) == TINYTL_OK, "no good file");
  long seen[STATUSES] = {0};
  for (long i = 0; i < runs; i++) {
    memcpy(bytes, good, size);
    size_t length = size;
    for (size_t n = 1 + below(&seed, 3); n > 0; n--) {
      length = mutate(bytes, length, &seed);
    }
    if (length > CHECKSUM && below(&seed, 2) == 0) {
      put_u32(bytes + length - CHECKSUM,
              tinytl_crc32(0, bytes, length - CHECKSUM));
    }
    const tinytl_status status = check(bytes, length, fingerprint, count);
    require((unsigned)status < STATUSES, "no such status");
    seen[status]++;
  }
  for (int i = 0; i < STATUSES; i++) {
    printf("%s %ld\n", tinytl_status_name((tinytl_status)i), seen[i]);
  }
  return 0;
}

#endif
