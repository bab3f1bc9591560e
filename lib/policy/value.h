/* Values of the policy language. All of them are immutable once made and may be shared between
 * threads; memory belongs to the arena of whoever made them. Texts carry their hash, so that values
 * from different places (policies, store, request) compare without a common table. */
#ifndef AICPI_POLICY_VALUE_H
#define AICPI_POLICY_VALUE_H

#include "lib/base/arena.h"
#include "lib/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct aicpi_policy_str {
    uint64_t hash;
    uint32_t len;
    char data[]; /* NUL behind len */
} aicpi_policy_str;

typedef struct aicpi_policy_uid {
    uint64_t hash; /* of type and id */
    const aicpi_policy_str *type;
    const aicpi_policy_str *id;
} aicpi_policy_uid;

enum {
    AICPI_POLICY_NONE = 0, /* no value: evaluation failed */
    AICPI_POLICY_BOOL,
    AICPI_POLICY_LONG,
    AICPI_POLICY_STRING,
    AICPI_POLICY_ENTITY,
    AICPI_POLICY_SET,
    AICPI_POLICY_RECORD,
    AICPI_POLICY_DECIMAL,
    AICPI_POLICY_IP,
    AICPI_POLICY_DATETIME,
    AICPI_POLICY_DURATION,
};

typedef struct aicpi_policy_ip {
    unsigned char bytes[16]; /* the first 4 for IPv4 */
    uint8_t prefix;
    bool v6;
} aicpi_policy_ip;

typedef struct aicpi_policy_set_value aicpi_policy_set_value;
typedef struct aicpi_policy_record aicpi_policy_record;

typedef struct aicpi_policy_value {
    uint32_t kind;
    uint32_t text; /* 0, or where a store keeps the text it was made from; means nothing else */
    union {
        bool boolean;
        int64_t integer; /* long; decimal x 10^4; datetime, duration in ms */
        const aicpi_policy_str *string;
        const aicpi_policy_uid *entity;
        const aicpi_policy_set_value *set;
        const aicpi_policy_record *record;
        const aicpi_policy_ip *ip;
    } u;
} aicpi_policy_value;

/* Things kept sorted by hash begin with it. */
typedef struct aicpi_policy_element {
    uint64_t hash;
    aicpi_policy_value value;
} aicpi_policy_element;

struct aicpi_policy_set_value {
    uint32_t count;
    uint32_t kinds;                    /* bit 1 << kind for each kind among the elements */
    const aicpi_policy_element *items; /* by hash, each value once */
};

typedef struct aicpi_policy_field {
    uint64_t hash; /* of the key */
    const aicpi_policy_str *key;
    aicpi_policy_value value;
} aicpi_policy_field;

struct aicpi_policy_record {
    uint32_t count;
    const aicpi_policy_field *fields; /* by hash */
};

static inline aicpi_policy_value aicpi_policy_of_none(void) {
    return (aicpi_policy_value){.kind = AICPI_POLICY_NONE};
}
static inline aicpi_policy_value aicpi_policy_of_bool(bool b) {
    return (aicpi_policy_value){.kind = AICPI_POLICY_BOOL, .u.boolean = b};
}
/* A long, decimal, datetime or duration. */
static inline aicpi_policy_value aicpi_policy_of_number(uint32_t kind, int64_t n) {
    return (aicpi_policy_value){.kind = kind, .u.integer = n};
}
static inline aicpi_policy_value aicpi_policy_of_string(const aicpi_policy_str *s) {
    return (aicpi_policy_value){.kind = AICPI_POLICY_STRING, .u.string = s};
}
static inline aicpi_policy_value aicpi_policy_of_entity(const aicpi_policy_uid *uid) {
    return (aicpi_policy_value){.kind = AICPI_POLICY_ENTITY, .u.entity = uid};
}

static inline bool aicpi_policy_str_eq(const aicpi_policy_str *a, const aicpi_policy_str *b) {
    return a == b ||
           (a->hash == b->hash && a->len == b->len && memcmp(a->data, b->data, a->len) == 0);
}
static inline bool aicpi_policy_uid_eq(const aicpi_policy_uid *a, const aicpi_policy_uid *b) {
    return a == b || (a->hash == b->hash && aicpi_policy_str_eq(a->id, b->id) &&
                      aicpi_policy_str_eq(a->type, b->type));
}
static inline aicpi_slice aicpi_policy_text(const aicpi_policy_str *s) {
    return aicpi_slice_of(s->data, s->len);
}

extern const aicpi_policy_record aicpi_policy_empty_record;

uint64_t aicpi_policy_uid_hash(const aicpi_policy_str *type, const aicpi_policy_str *id);
bool aicpi_policy_value_eq(aicpi_policy_value a, aicpi_policy_value b);
uint64_t aicpi_policy_value_hash(aicpi_policy_value v);
/* "long", "entity", ... as Cedar names them. */
const char *aicpi_policy_kind_name(uint32_t kind);

/* Sorts things that begin with their hash, in place, without memory of its own. */
void aicpi_policy_sort(void *items, size_t count, size_t size);
/* First position of `hash` among things sorted by it, or where it would stand. */
size_t aicpi_policy_lower_bound(const void *items, size_t count, size_t size, uint64_t hash);

/* NULL when absent. */
const aicpi_policy_value *
aicpi_policy_record_get(const aicpi_policy_record *record, const aicpi_policy_str *key);
bool aicpi_policy_set_contains(const aicpi_policy_set_value *set, aicpi_policy_value v);
/* Every element of `part` is in `set`; some element is. */
bool aicpi_policy_set_contains_all(
    const aicpi_policy_set_value *set, const aicpi_policy_set_value *part);
bool aicpi_policy_set_contains_any(
    const aicpi_policy_set_value *set, const aicpi_policy_set_value *part);

/* Makes a set of items[0..count), whose values are filled in, in place: hashes, sorts and drops
 * repetitions. `items` must live as long as the set. NULL: out of memory. */
const aicpi_policy_set_value *
aicpi_policy_set_make(aicpi_arena *arena, aicpi_policy_element *items, size_t count);
/* Makes a record of fields[0..count) with different keys, in place. */
const aicpi_policy_record *
aicpi_policy_record_make(aicpi_arena *arena, aicpi_policy_field *fields, size_t count);

#endif
