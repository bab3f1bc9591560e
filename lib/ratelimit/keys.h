/* What every take does for every key: its hash, and finding it in its shard. Inline for that. */
#ifndef AICPI_RATELIMIT_KEYS_H
#define AICPI_RATELIMIT_KEYS_H

#include "lib/ratelimit/ratelimit_internal.h"

/* What a request says about itself. Nearly all have one whole value a dimension and no tags: this
 * is seen in one pass without a branch for each. */
static inline aicp_status aicpi_limit_subject_init(
    aicpi_limit_subject *subject, const aicp_limit_request *request, aicp_error *err) {
    const aicp_limit_value *end = request->values + request->value_count;
    uint32_t present = 0;
    uint32_t again = 0;
    uint32_t dimensions = 0;
    uint64_t odd = 0; /* a length of 0, or above the greatest */
    for (const aicp_limit_value *v = request->values; v != end; v++) {
        uint32_t dimension = (uint32_t)v->dimension;
        dimensions |= dimension;
        again |= present & 1U << (dimension & 31);
        present |= 1U << (dimension & 31);
        odd |= (v->len - 1) / AICP_LIMIT_MAX_VALUE | (uint64_t)(v->data == NULL);
        subject->values[dimension & 15] = v;
    }
    subject->present = present;
    subject->tag_count = 0;
    bool plain = odd == 0 && again == 0 && present < 1U << AICP_LIMIT_TAG && dimensions < 16;
    return plain ? AICP_OK : aicpi_limit_subject_add(subject, request, err);
}

/* The low bits chose the shard already. */
static inline uint32_t aicpi_limit_home_of(const aicpi_limit_shard *s, uint64_t hash) {
    return (uint32_t)(hash >> 20) & s->mask;
}

static inline aicpi_slice aicpi_limit_key_value(const aicpi_limit_key *key, uint8_t dimension) {
    if (dimension == AICP_LIMIT_TAG) {
        return key->tag;
    }
    const aicp_limit_value *value = key->subject->values[dimension];
    return aicpi_slice_of(value->data, value->len);
}

/* Gives the hash of the key. */
static inline uint64_t aicpi_limit_key_init(
    aicpi_limit_key *key,
    const aicpi_limit_rule *rule,
    const aicpi_limit_subject *subject,
    aicpi_slice tag) {
    uint64_t hash = rule->prefix_hash;
    size_t len = rule->prefix_len;
    key->rule = rule;
    key->subject = subject;
    key->tag = tag;
    for (uint8_t i = 0; i < rule->per_count; i++) {
        aicpi_slice value = aicpi_limit_key_value(key, rule->per_list[i]);
        hash = aicpi_hash_inline(hash, value.data, value.len);
        len += value.len + 3;
    }
    key->hash = hash;
    key->len = len;
    return hash;
}

/* Keys are short: a call of memcmp costs more than the comparison. */
static inline bool aicpi_limit_bytes_equal(const char *a, const char *b, size_t len) {
    const unsigned char *x = (const unsigned char *)a;
    const unsigned char *y = (const unsigned char *)b;
    if (len < 8) {
        size_t i = 0;
        while (i < len && x[i] == y[i]) {
            i++;
        }
        return i == len;
    }
    for (size_t i = 0; i + 8 < len; i += 8) {
        if (aicpi_hash_read64(x + i) != aicpi_hash_read64(y + i)) {
            return false;
        }
    }
    return aicpi_hash_read64(x + len - 8) == aicpi_hash_read64(y + len - 8);
}

static inline bool aicpi_limit_key_equals(const aicpi_limit_entry *e, const aicpi_limit_key *key) {
    const aicpi_limit_rule *rule = key->rule;
    if (e->key_len != key->len ||
        !aicpi_limit_bytes_equal(e->key, rule->prefix, rule->prefix_len)) {
        return false;
    }
    const char *at = e->key + rule->prefix_len;
    for (uint8_t i = 0; i < rule->per_count; i++) {
        aicpi_slice value = aicpi_limit_key_value(key, rule->per_list[i]);
        size_t len = (size_t)(unsigned char)at[1] | (size_t)(unsigned char)at[2] << 8;
        if (at[0] != (char)rule->per_list[i] || len != value.len ||
            !aicpi_limit_bytes_equal(at + 3, value.data, len)) {
            return false;
        }
        at += len + 3;
    }
    return true;
}

static inline aicpi_limit_entry *
aicpi_limit_find(const aicpi_limit_shard *s, const aicpi_limit_key *key) {
    if (!s->table) {
        return NULL;
    }
    for (uint32_t at = aicpi_limit_home_of(s, key->hash);; at = (at + 1) & s->mask) {
        const aicpi_limit_table_slot *slot = &s->table[at];
        if (!slot->entry || (slot->hash == key->hash && aicpi_limit_key_equals(slot->entry, key))) {
            return slot->entry;
        }
    }
}

#endif
