/*
 * SHA-256 and CRC-32 without other libraries.
 */

#include <string.h>

#include "internal.h"

#define BLOCK TINYTL_SHA256_BLOCK

static const uint32_t kRounds[BLOCK] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t word, unsigned bits) {
  return (word >> bits) | (word << (32 - bits));
}

static void add_block(uint32_t hash[8], const uint8_t block[BLOCK]) {
  uint32_t w[BLOCK];
  for (size_t i = 0; i < 16; i++) {
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
           (uint32_t)block[4 * i + 2] << 8 | (uint32_t)block[4 * i + 3];
  }
  for (size_t i = 16; i < BLOCK; i++) {
    const uint32_t a = w[i - 15];
    const uint32_t b = w[i - 2];
    w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ (a >> 3)) + w[i - 7] +
           (rotate(b, 17) ^ rotate(b, 19) ^ (b >> 10));
  }
  uint32_t v[8];
  memcpy(v, hash, sizeof v);
  for (size_t i = 0; i < BLOCK; i++) {
    const uint32_t a = v[0];
    const uint32_t e = v[4];
    const uint32_t first = v[7] +
                           (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                           ((e & v[5]) ^ (~e & v[6])) + kRounds[i] + w[i];
    const uint32_t second = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                            ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 7 * sizeof v[0]);
    v[4] += first;
    v[0] = first + second;
  }
  for (size_t i = 0; i < 8; i++) {
    hash[i] += v[i];
  }
}

tinytl_sha256_sum tinytl_sha256_start(void) {
  return (tinytl_sha256_sum){.hash = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                      0xa54ff53a, 0x510e527f, 0x9b05688c,
                                      0x1f83d9ab, 0x5be0cd19}};
}

void tinytl_sha256_add(tinytl_sha256_sum *sum, const void *bytes,
                       size_t length) {
  const uint8_t *next = bytes;
  sum->length += length;
  while (length > 0) {
    if (sum->used == 0 && length >= BLOCK) {
      add_block(sum->hash, next);
      next += BLOCK;
      length -= BLOCK;
      continue;
    }
    const size_t room = BLOCK - sum->used;
    const size_t part = length < room ? length : room;
    memcpy(sum->block + sum->used, next, part);
    sum->used += part;
    next += part;
    length -= part;
    if (sum->used == BLOCK) {
      add_block(sum->hash, sum->block);
      sum->used = 0;
    }
  }
}

void tinytl_sha256_end(tinytl_sha256_sum *sum,
                       uint8_t digest[TINYTL_FINGERPRINT_SIZE]) {
  /* A 1 bit, zeros, and the length in bits in 8 bytes. */
  static const uint8_t kPadding[BLOCK] = {0x80};
  const uint64_t bits = sum->length * 8;
  uint8_t length[8];
  for (unsigned i = 0; i < 8; i++) {
    length[i] = (uint8_t)(bits >> (56 - 8 * i));
  }
  const size_t rest = (sum->used + 8) % BLOCK;
  tinytl_sha256_add(sum, kPadding, BLOCK - rest);
  tinytl_sha256_add(sum, length, sizeof length);
  for (size_t i = 0; i < TINYTL_FINGERPRINT_SIZE; i++) {
    digest[i] = (uint8_t)(sum->hash[i / 4] >> (24 - 8 * (i % 4)));
  }
}

void tinytl_sha256(const void *bytes, size_t length,
                   uint8_t digest[TINYTL_FINGERPRINT_SIZE]) {
  tinytl_sha256_sum sum = tinytl_sha256_start();
  tinytl_sha256_add(&sum, bytes, length);
  tinytl_sha256_end(&sum, digest);
}

/* The remainders of 4 bits, instead of a table of 1 KB. */
static const uint32_t kNibbles[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
    0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
    0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

uint32_t tinytl_crc32(uint32_t crc, const uint8_t *bytes, size_t length) {
  crc = ~crc;
  for (size_t i = 0; i < length; i++) {
    crc ^= bytes[i];
    crc = (crc >> 4) ^ kNibbles[crc & 15];
    crc = (crc >> 4) ^ kNibbles[crc & 15];
  }
  return ~crc;
}
