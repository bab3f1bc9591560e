#include "lib/policy/value.h"

#include "lib/base/hash.h"

#include <string.h>

/* Values nest at most as deep as the text they were read from plus the expression that built them,
 * both of which have limits; so the recursion here is bounded. */

#define HASH_FALSE UINT64_C(0x9AE16A3B2F90404F)
#define HASH_TRUE UINT64_C(0xC3A5C85C97CB3127)
#define HASH_KIND UINT64_C(0xB492B66FBE98F273)
/* Up to this many fields or elements a straight search beats halving. */
#define LINEAR_MOST 8

uint64_t aicpi_policy_uid_hash(const aicpi_policy_str *type, const aicpi_policy_str *id) {
    return aicpi_hash_mix(type->hash ^ HASH_TRUE, id->hash ^ HASH_FALSE);
}

static uint64_t hash_record(const aicpi_policy_record *record) {
    uint64_t sum = record->count;
    for (uint32_t i = 0; i < record->count; i++) {
        const aicpi_policy_field *f = &record->fields[i];
        sum += aicpi_hash_mix(f->hash ^ HASH_TRUE, aicpi_policy_value_hash(f->value) ^ HASH_FALSE);
    }
    return sum;
}

static uint64_t hash_set(const aicpi_policy_set_value *set) {
    uint64_t sum = set->count;
    for (uint32_t i = 0; i < set->count; i++) {
        sum += set->items[i].hash;
    }
    return sum;
}

static uint64_t hash_ip(const aicpi_policy_ip *ip) {
    uint64_t seed = ((uint64_t)ip->prefix << 1) | ip->v6;
    return aicpi_hash(seed, ip->bytes, ip->v6 ? 16 : 4);
}

uint64_t aicpi_policy_value_hash(aicpi_policy_value v) {
    uint64_t h = 0;
    switch (v.kind) {
    case AICPI_POLICY_BOOL:
        return v.u.boolean ? HASH_TRUE : HASH_FALSE;
    case AICPI_POLICY_STRING:
        h = v.u.string->hash;
        break;
    case AICPI_POLICY_ENTITY:
        h = v.u.entity->hash;
        break;
    case AICPI_POLICY_SET:
        h = hash_set(v.u.set);
        break;
    case AICPI_POLICY_RECORD:
        h = hash_record(v.u.record);
        break;
    case AICPI_POLICY_IP:
        h = hash_ip(v.u.ip);
        break;
    default:
        h = (uint64_t)v.u.integer;
        break;
    }
    return aicpi_hash_mix(h ^ HASH_TRUE, v.kind * HASH_KIND);
}

static bool ip_eq(const aicpi_policy_ip *a, const aicpi_policy_ip *b) {
    return a->v6 == b->v6 && a->prefix == b->prefix &&
           memcmp(a->bytes, b->bytes, a->v6 ? 16 : 4) == 0;
}

static bool record_eq(const aicpi_policy_record *a, const aicpi_policy_record *b) {
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        const aicpi_policy_value *other = aicpi_policy_record_get(b, a->fields[i].key);
        if (!other || !aicpi_policy_value_eq(a->fields[i].value, *other)) {
            return false;
        }
    }
    return true;
}

bool aicpi_policy_value_eq(aicpi_policy_value a, aicpi_policy_value b) {
    if (a.kind != b.kind) {
        return false;
    }
    switch (a.kind) {
    case AICPI_POLICY_BOOL:
        return a.u.boolean == b.u.boolean;
    case AICPI_POLICY_STRING:
        return aicpi_policy_str_eq(a.u.string, b.u.string);
    case AICPI_POLICY_ENTITY:
        return aicpi_policy_uid_eq(a.u.entity, b.u.entity);
    case AICPI_POLICY_SET:
        return a.u.set == b.u.set || (a.u.set->count == b.u.set->count &&
                                      aicpi_policy_set_contains_all(a.u.set, b.u.set));
    case AICPI_POLICY_RECORD:
        return a.u.record == b.u.record || record_eq(a.u.record, b.u.record);
    case AICPI_POLICY_IP:
        return ip_eq(a.u.ip, b.u.ip);
    default:
        return a.u.integer == b.u.integer;
    }
}

const char *aicpi_policy_kind_name(uint32_t kind) {
    static const char *const names[] = {
        "nothing",
        "bool",
        "long",
        "string",
        "entity",
        "set",
        "record",
        "decimal",
        "ipaddr",
        "datetime",
        "duration"};
    return kind < sizeof names / sizeof *names ? names[kind] : names[0];
}

/* ---- sorting by hash ---- */

static uint64_t hash_at(const char *items, size_t size, size_t i) {
    uint64_t h = 0;
    memcpy(&h, items + i * size, sizeof h);
    return h;
}

/* Largest thing that is sorted here. */
#define SORT_ITEM_MOST 64
_Static_assert(sizeof(aicpi_policy_field) <= SORT_ITEM_MOST, "fields are sorted");
_Static_assert(sizeof(aicpi_policy_element) <= SORT_ITEM_MOST, "elements are sorted");

static void insertion_sort(char *items, size_t count, size_t size) {
    char held[SORT_ITEM_MOST];
    for (size_t i = 1; i < count; i++) {
        uint64_t h = hash_at(items, size, i);
        size_t j = i;
        while (j > 0 && hash_at(items, size, j - 1) > h) {
            j--;
        }
        if (j < i) {
            memcpy(held, items + i * size, size);
            memmove(items + (j + 1) * size, items + j * size, (i - j) * size);
            memcpy(items + j * size, held, size);
        }
    }
}

static void swap(char *items, size_t size, size_t i, size_t j) {
    char held[SORT_ITEM_MOST];
    memcpy(held, items + i * size, size);
    memcpy(items + i * size, items + j * size, size);
    memcpy(items + j * size, held, size);
}

static void sift_down(char *items, size_t count, size_t size, size_t root) {
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && hash_at(items, size, child + 1) > hash_at(items, size, child)) {
            child++;
        }
        if (hash_at(items, size, root) >= hash_at(items, size, child)) {
            return;
        }
        swap(items, size, root, child);
        root = child;
    }
}

void aicpi_policy_sort(void *items, size_t count, size_t size) {
    char *base = items;
    if (count <= 16) {
        insertion_sort(base, count, size);
        return;
    }
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++) {
        sorted = hash_at(base, size, i - 1) <= hash_at(base, size, i);
    }
    if (sorted) {
        return;
    }
    for (size_t i = count / 2; i-- > 0;) {
        sift_down(base, count, size, i);
    }
    for (size_t end = count; --end > 0;) {
        swap(base, size, 0, end);
        sift_down(base, end, size, 0);
    }
}

size_t aicpi_policy_lower_bound(const void *items, size_t count, size_t size, uint64_t hash) {
    const char *base = items;
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hash_at(base, size, middle) < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- records and sets ---- */

const aicpi_policy_record aicpi_policy_empty_record = {0};

const aicpi_policy_value *
aicpi_policy_record_get(const aicpi_policy_record *record, const aicpi_policy_str *key) {
    const aicpi_policy_field *fields = record->fields;
    uint32_t i = 0;
    if (record->count > LINEAR_MOST) {
        i = (uint32_t)aicpi_policy_lower_bound(fields, record->count, sizeof *fields, key->hash);
    }
    for (; i < record->count && fields[i].hash <= key->hash; i++) {
        if (fields[i].hash == key->hash && aicpi_policy_str_eq(fields[i].key, key)) {
            return &fields[i].value;
        }
    }
    return NULL;
}

static bool
contains_hashed(const aicpi_policy_set_value *set, uint64_t hash, aicpi_policy_value v) {
    const aicpi_policy_element *items = set->items;
    uint32_t i = 0;
    if (set->count > LINEAR_MOST) {
        i = (uint32_t)aicpi_policy_lower_bound(items, set->count, sizeof *items, hash);
    }
    for (; i < set->count && items[i].hash <= hash; i++) {
        if (items[i].hash == hash && aicpi_policy_value_eq(items[i].value, v)) {
            return true;
        }
    }
    return false;
}

bool aicpi_policy_set_contains(const aicpi_policy_set_value *set, aicpi_policy_value v) {
    return (set->kinds & (UINT32_C(1) << v.kind)) &&
           contains_hashed(set, aicpi_policy_value_hash(v), v);
}

bool aicpi_policy_set_contains_all(
    const aicpi_policy_set_value *set, const aicpi_policy_set_value *part) {
    if (part->count > set->count || (part->kinds & ~set->kinds)) {
        return false;
    }
    for (uint32_t i = 0; i < part->count; i++) {
        if (!contains_hashed(set, part->items[i].hash, part->items[i].value)) {
            return false;
        }
    }
    return true;
}

bool aicpi_policy_set_contains_any(
    const aicpi_policy_set_value *set, const aicpi_policy_set_value *part) {
    if (!(part->kinds & set->kinds)) {
        return false;
    }
    if (part->count > set->count) {
        const aicpi_policy_set_value *larger = part;
        part = set;
        set = larger;
    }
    for (uint32_t i = 0; i < part->count; i++) {
        if (contains_hashed(set, part->items[i].hash, part->items[i].value)) {
            return true;
        }
    }
    return false;
}

/* True when items[at] equals one of the items[0..kept) with the same hash, which stand last. */
static bool seen(const aicpi_policy_element *items, size_t kept, size_t at) {
    for (size_t i = kept; i > 0 && items[i - 1].hash == items[at].hash; i--) {
        if (aicpi_policy_value_eq(items[i - 1].value, items[at].value)) {
            return true;
        }
    }
    return false;
}

const aicpi_policy_set_value *
aicpi_policy_set_make(aicpi_arena *arena, aicpi_policy_element *items, size_t count) {
    aicpi_policy_set_value *set = aicpi_arena_alloc(arena, sizeof *set);
    if (!set || count > UINT32_MAX) {
        return NULL;
    }
    uint32_t kinds = 0;
    for (size_t i = 0; i < count; i++) {
        items[i].hash = aicpi_policy_value_hash(items[i].value);
        kinds |= UINT32_C(1) << items[i].value.kind;
    }
    aicpi_policy_sort(items, count, sizeof *items);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!seen(items, kept, i)) {
            items[kept++] = items[i];
        }
    }
    *set = (aicpi_policy_set_value){.count = (uint32_t)kept, .kinds = kinds, .items = items};
    return set;
}

const aicpi_policy_record *
aicpi_policy_record_make(aicpi_arena *arena, aicpi_policy_field *fields, size_t count) {
    aicpi_policy_record *record = aicpi_arena_alloc(arena, sizeof *record);
    if (!record || count > UINT32_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        fields[i].hash = fields[i].key->hash;
    }
    aicpi_policy_sort(fields, count, sizeof *fields);
    *record = (aicpi_policy_record){.count = (uint32_t)count, .fields = fields};
    return record;
}
