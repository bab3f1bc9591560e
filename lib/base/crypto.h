/* Door to libsodium: hashes, keyed hashes, sealing, random bytes. All are safe from any thread. */
#ifndef AICPI_BASE_CRYPTO_H
#define AICPI_BASE_CRYPTO_H

#include "aicp/error.h"

#include <stdbool.h>

#define AICPI_SHA256_SIZE 32
#define AICPI_KEY_SIZE 32
#define AICPI_SEAL_OVERHEAD 40 /* nonce 24 + tag 16 */

void aicpi_random(void *out, size_t len);
void aicpi_sha256(const void *data, size_t len, unsigned char out[AICPI_SHA256_SIZE]);
/* 64 lower-case hex digits and a NUL. */
void aicpi_sha256_hex(const void *data, size_t len, char out[2 * AICPI_SHA256_SIZE + 1]);
void aicpi_hmac_sha256(
    const unsigned char *key, size_t key_len, const void *data, size_t len, unsigned char out[32]);
/* Keyed BLAKE2b, out_len 16..64. */
bool aicpi_keyed_hash(
    const unsigned char key[AICPI_KEY_SIZE],
    const void *data,
    size_t len,
    unsigned char *out,
    size_t out_len);
/* XChaCha20-Poly1305; `out` has room for len + AICPI_SEAL_OVERHEAD. */
void aicpi_seal(
    const unsigned char key[AICPI_KEY_SIZE], const void *data, size_t len, unsigned char *out);
/* False when it was not sealed with this key; `out` has room for len - AICPI_SEAL_OVERHEAD. */
bool aicpi_unseal(
    const unsigned char key[AICPI_KEY_SIZE], const void *data, size_t len, unsigned char *out);
void aicpi_wipe(void *data, size_t len);
bool aicpi_equal_secret(const void *a, const void *b, size_t len); /* constant time */

#endif
