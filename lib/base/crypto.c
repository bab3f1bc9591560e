#include "lib/base/crypto.h"

#include "lib/base/text.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

/* sodium_init fails only when the system has no randomness, and then nothing that follows would be
 * safe. Each call takes a lock, which a child would find taken for ever when another thread was
 * inside at the fork: so it is called only until it has succeeded. */
static void ready(void) {
    static atomic_bool done;
    if (atomic_load_explicit(&done, memory_order_acquire)) {
        return;
    }
    if (sodium_init() < 0) {
        abort();
    }
    atomic_store_explicit(&done, true, memory_order_release);
}

void aicpi_random(void *out, size_t len) {
    ready();
    randombytes_buf(out, len);
}

void aicpi_sha256(const void *data, size_t len, unsigned char out[AICPI_SHA256_SIZE]) {
    crypto_hash_sha256(out, data, len);
}

void aicpi_sha256_hex(const void *data, size_t len, char out[2 * AICPI_SHA256_SIZE + 1]) {
    unsigned char hash[AICPI_SHA256_SIZE];
    aicpi_sha256(data, len, hash);
    aicpi_hex_encode(hash, sizeof hash, out);
}

void aicpi_hmac_sha256(
    const unsigned char *key, size_t key_len, const void *data, size_t len, unsigned char out[32]) {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, key_len);
    crypto_auth_hmacsha256_update(&state, data, len);
    crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

bool aicpi_keyed_hash(
    const unsigned char key[AICPI_KEY_SIZE],
    const void *data,
    size_t len,
    unsigned char *out,
    size_t out_len) {
    return crypto_generichash(out, out_len, data, len, key, AICPI_KEY_SIZE) == 0;
}

void aicpi_seal(
    const unsigned char key[AICPI_KEY_SIZE], const void *data, size_t len, unsigned char *out) {
    aicpi_random(out, crypto_secretbox_xchacha20poly1305_NONCEBYTES);
    crypto_secretbox_xchacha20poly1305_easy(
        out + crypto_secretbox_xchacha20poly1305_NONCEBYTES, data, len, out, key);
}

bool aicpi_unseal(
    const unsigned char key[AICPI_KEY_SIZE], const void *data, size_t len, unsigned char *out) {
    const unsigned char *p = data;
    return len >= AICPI_SEAL_OVERHEAD && crypto_secretbox_xchacha20poly1305_open_easy(
                                             out,
                                             p + crypto_secretbox_xchacha20poly1305_NONCEBYTES,
                                             len - crypto_secretbox_xchacha20poly1305_NONCEBYTES,
                                             p,
                                             key) == 0;
}

void aicpi_wipe(void *data, size_t len) {
    sodium_memzero(data, len);
}

bool aicpi_equal_secret(const void *a, const void *b, size_t len) {
    return sodium_memcmp(a, b, len) == 0;
}
