/*
 * Fuzzes the reader of state files.
 *
 *   fuzz_state STATE_FILE [COUNT [SEED]]
 *
 * takes a good file, reads COUNT mutations of it (default 100000) that depend
 * on SEED alone, and prints how often each status came. Half of the mutations
 * get a checksum that is right, or no check behind it would be reached. Names
 * are judged a second time, by the table of well-formed UTF-8 of the Unicode
 * standard (3-7).
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

/* Returns how many bytes a well-formed character at `c` has, or 0. */
static size_t character_size(const uint8_t *c, size_t left) {
  static const struct {
    uint8_t first[2], second[2];
    size_t size;
  } kRows[] = {{{0x00, 0x7f}, {0, 0}, 1},       {{0xc2, 0xdf}, {0x80, 0xbf}, 2},
               {{0xe0, 0xe0}, {0xa0, 0xbf}, 3}, {{0xe1, 0xec}, {0x80, 0xbf}, 3},
               {{0xed, 0xed}, {0x80, 0x9f}, 3}, {{0xee, 0xef}, {0x80, 0xbf}, 3},
               {{0xf0, 0xf0}, {0x90, 0xbf}, 4}, {{0xf1, 0xf3}, {0x80, 0xbf}, 4},
               {{0xf4, 0xf4}, {0x80, 0x8f}, 4}};
  for (size_t i = 0; i < sizeof kRows / sizeof kRows[0]; i++) {
    if (c[0] < kRows[i].first[0] || c[0] > kRows[i].first[1]) {
      continue;
    }
    bool good = kRows[i].size <= left;
    for (size_t n = 1; good && n < kRows[i].size; n++) {
      const uint8_t least = n == 1 ? kRows[i].second[0] : 0x80;
      const uint8_t most = n == 1 ? kRows[i].second[1] : 0xbf;
      good = c[n] >= least && c[n] <= most;
    }
    return good ? kRows[i].size : 0;
  }
  return 0;
}

/* Whether a character is one of those, each of which ends with a zero. */
static bool is_one_of(const uint8_t *c, size_t size, const char *those) {
  for (; *those != '\0'; those += strlen(those) + 1) {
    if (strlen(those) == size && memcmp(those, c, size) == 0) {
      return true;
    }
  }
  return false;
}

static bool is_good_name(const uint8_t *name, size_t length) {
  bool visible = false;
  for (size_t at = 0; at < length;) {
    const uint8_t *c = name + at;
    const size_t size = character_size(c, length - at);
    const bool c2 = size == 2 && c[0] == 0xc2;
    const bool e2 = size == 3 && c[0] == 0xe2;
    if (size == 0 || (size == 1 && (c[0] < 0x20 || c[0] == 0x7f)) ||
        (c2 && c[1] < 0xa0) ||
        is_one_of(c, size, "\xe2\x80\xa8\0\xe2\x80\xa9\0")) {
      return false;
    }
    visible = visible ||
              !(is_one_of(c, size,
                          " \0\xc2\xa0\0\xc2\xad\0\xe1\x9a\x80\0\xe1\xa0\x8e\0"
                          "\xe3\x80\x80\0\xef\xbb\xbf\0") ||
                (e2 && c[1] == 0x80 && (c[2] < 0x90 || c[2] >= 0xaa) &&
                 c[2] <= 0xaf) ||
                (e2 && c[1] == 0x81 && c[2] >= 0x9f && c[2] <= 0xaf));
    at += size;
  }
  return length > 0 && length < 256 && visible;
}

/* Whether all lines are good names and differ. */
static bool are_good_names(const uint8_t *names, size_t length) {
  for (size_t start = 0; start <= length;) {
    size_t end = start;
    while (end < length && names[end] != '\n') {
      end++;
    }
    if (!is_good_name(names + start, end - start)) {
      return false;
    }
    for (size_t other = 0; other < start; other++) {
      if ((other == 0 || names[other - 1] == '\n') &&
          memcmp(names + other, names + start, end - start) == 0 &&
          names[other + end - start] == '\n') {
        return false;
      }
    }
    start = end + 1;
  }
  return length <= 1 << 20;
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
  if (names != NULL || status == TINYTL_ERROR_NAMES) {
    const size_t start = HEADER + 4 * count + 4;
    require(are_good_names(input + start, length - CHECKSUM - start) ==
                (status == TINYTL_OK),
            "bad names taken, or good ones refused");
    require(names == NULL || memcmp(names, input + start, strlen(names)) == 0,
            "other names than the file's");
  }
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

/*
 * Gives a file with names others, with a length that is right, made of pieces
 * at the borders of what a name may have. Returns its length.
 */
static size_t change_names(uint8_t *bytes, size_t length, uint64_t *seed) {
  static const char *const kPieces[] = {"a",
                                        "b",
                                        " ",
                                        "\n",
                                        "e\xcc\x81", /* Decomposed. */
                                        "\xc3\xa9",  /* Composed. */
                                        "\x1f",
                                        "\x7f",
                                        "\xc2\x9f",
                                        "\xc2\xa0",
                                        "\xc2\xad",
                                        "\xe1\x9a\x80",
                                        "\xe1\xa0\x8e",
                                        "\xe1\xa0\x8f",
                                        "\xe2\x80\x80",
                                        "\xe2\x80\x8d",
                                        "\xe2\x80\x90",
                                        "\xe2\x80\xa8",
                                        "\xe2\x80\xaa",
                                        "\xe2\x80\xb0",
                                        "\xe2\x81\x9e",
                                        "\xe2\x81\x9f",
                                        "\xe2\x81\xaf",
                                        "\xe2\x81\xb0",
                                        "\xe3\x80\x80",
                                        "\xee\x80\x80", /* Private. */
                                        "\xef\xbb\xbf",
                                        "\xef\xbf\xbf",
                                        "\xf0\x9f\x98\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "\xed\xa0\x80", /* Half of a pair. */
                                        "\xc0\xaf",     /* Overlong. */
                                        "\xf4\x90\x80\x80"}; /* Too far. */
  const size_t count = (size_t)bytes[COUNT] | (size_t)bytes[COUNT + 1] << 8;
  const size_t start = HEADER + 4 * count + 4;
  if (length < start + CHECKSUM || start + 600 > LARGEST) {
    return length;
  }
  uint8_t *end = bytes + start;
  for (size_t n = 1 + below(seed, 4); n > 0; n--) {
    const char *piece =
        kPieces[below(seed, sizeof kPieces / sizeof kPieces[0])];
    const size_t times = below(seed, 16) == 0 ? 120 / strlen(piece) : 1;
    for (size_t i = 0; i < times; i++) {
      memcpy(end, piece, strlen(piece));
      end += strlen(piece);
    }
  }
  put_u32(bytes + start - 4, (uint32_t)(end - bytes - (ptrdiff_t)start));
  return (size_t)(end - bytes) + CHECKSUM;
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
  if (length >= HEADER && bytes[8] == 2 && below(seed, 3) == 0) {
    return change_names(bytes, length, seed);
  }
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
