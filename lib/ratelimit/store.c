/* The keys of one shard: entries in chunks that never move or go back to the heap while the limiter
 * lives (so that a ticket's place and generation are always safe to look at), found through an open
 * hash table of small words. Keys without information are dropped when room is needed; a busy key
 * never is. */
#include "lib/ratelimit/keys.h"

#define TABLE_START 64
#define EVICT_AT_ONCE 16 /* when full */
#define SWEEP_FROM 256   /* keys in a shard before inserts look for idle ones */
#define SWEEP_STEP 2

/* ---- canonical keys: the rule's prefix; dimension, length and bytes of each value -------------
 */

static void key_write(const aicpi_limit_key *key, char *out) {
    memcpy(out, key->rule->prefix, key->rule->prefix_len);
    out += key->rule->prefix_len;
    for (uint8_t i = 0; i < key->rule->per_count; i++) {
        aicpi_slice value = aicpi_limit_key_value(key, key->rule->per_list[i]);
        out[0] = (char)key->rule->per_list[i];
        out[1] = (char)(value.len & 0xFF);
        out[2] = (char)(value.len >> 8);
        memcpy(out + 3, value.data, value.len);
        out += value.len + 3;
    }
}

/* ---- the table ------------------------------------------------------------------------------ */

static void table_insert(aicpi_limit_shard *s, aicpi_limit_entry *e) {
    uint32_t at = aicpi_limit_home_of(s, e->hash);
    while (s->table[at].entry) {
        at = (at + 1) & s->mask;
    }
    s->table[at] = (aicpi_limit_table_slot){e->hash, e};
}

static bool table_grow(aicp_limiter *l, aicpi_limit_shard *s) {
    if (s->table && s->count < (s->mask + 1) / 4 * 3) {
        return true;
    }
    uint32_t size = s->table ? (s->mask + 1) * 2 : TABLE_START;
    aicpi_limit_table_slot *table = aicpi_calloc(&l->allocator, size, sizeof *table);
    if (!table) {
        return false;
    }
    aicpi_limit_table_slot *old = s->table;
    uint32_t old_size = old ? s->mask + 1 : 0;
    s->table = table;
    s->mask = size - 1;
    for (uint32_t i = 0; i < old_size; i++) {
        if (old[i].entry) {
            table_insert(s, old[i].entry);
        }
    }
    aicpi_free(&l->allocator, old);
    return true;
}

static void table_remove(aicpi_limit_shard *s, const aicpi_limit_entry *e) {
    uint32_t at = aicpi_limit_home_of(s, e->hash);
    while (s->table[at].entry != e) {
        at = (at + 1) & s->mask;
    }
    /* Close the gap: move back what may stand nearer to its home. */
    for (uint32_t next = (at + 1) & s->mask; s->table[next].entry; next = (next + 1) & s->mask) {
        uint32_t home = aicpi_limit_home_of(s, s->table[next].hash);
        if (((next - home) & s->mask) >= ((next - at) & s->mask)) {
            s->table[at] = s->table[next];
            at = next;
        }
    }
    s->table[at] = (aicpi_limit_table_slot){0, NULL};
}

static uint64_t later(uint64_t x, uint64_t y) {
    return x > y ? x : y;
}

/* Time from which on the key tells nothing any more; NEVER while something holds it. */
static uint64_t busy_until(const aicpi_limit_entry *e, uint64_t now) {
    if (e->in_use != 0 || e->dirty) {
        return AICP_LIMIT_NEVER;
    }
    uint64_t until = e->pins != 0 ? e->pinned_until : 0;
    if (e->slots && e->slots->live + e->slots->idle != 0) {
        until = later(until, aicpi_limit_slots_last_deadline(e->slots));
    }
    if (e->lease && e->lease->available != 0) {
        until = later(until, e->lease->expires);
    }
    if (e->algorithm && e->level.used != 0) {
        aicpi_limit_level level = e->level;
        uint64_t at = later(now, level.time);
        e->algorithm->advance(&level, &e->params, at);
        uint64_t reset = e->algorithm->reset(&level, &e->params, at);
        until = later(until, reset > UINT64_MAX - at ? UINT64_MAX : reset ? at + reset : 0);
    }
    return until;
}

static void evict(aicpi_limit_shard *s, aicpi_limit_entry *e) {
    table_remove(s, e);
    e->used = false;
    e->generation++;
    e->next_free = s->free_entry;
    s->free_entry = e->index + 1;
    s->count--;
    s->evicted++;
}

/* Looks at one entry of the ring; true when it was dropped. */
static bool sweep_one(aicpi_limit_shard *s, uint64_t now, uint64_t *first_idle) {
    s->hand = s->hand + 1 < s->next_entry ? s->hand + 1 : 0;
    aicpi_limit_entry *e = aicpi_limit_entry_at(s, s->hand);
    if (!e->used) {
        return false;
    }
    uint64_t until = busy_until(e, now);
    if (until <= now) {
        evict(s, e);
        return true;
    }
    if (until < *first_idle) {
        *first_idle = until;
    }
    return false;
}

static bool make_room(aicp_limiter *l, aicpi_limit_shard *s, uint64_t now) {
    uint64_t first_idle = AICP_LIMIT_NEVER;
    if (s->count < l->max_keys_per_shard) {
        for (uint32_t i = 0; s->count >= SWEEP_FROM && i < SWEEP_STEP; i++) {
            sweep_one(s, now, &first_idle);
        }
        return true;
    }
    if (now < s->no_idle_before) {
        return false;
    }
    uint32_t evicted = 0;
    for (uint32_t i = 0; i < s->next_entry && evicted < EVICT_AT_ONCE; i++) {
        evicted += sweep_one(s, now, &first_idle);
    }
    if (evicted == 0) {
        s->no_idle_before = first_idle;
    }
    return evicted != 0;
}

static bool add_chunk(aicp_limiter *l, aicpi_limit_shard *s) {
    if (s->chunk_count == s->chunk_capacity) {
        size_t capacity = s->chunk_capacity;
        if (!aicpi_grow(
                &l->allocator, (void **)&s->chunks, &capacity, s->chunk_count, sizeof *s->chunks)) {
            return false;
        }
        s->chunk_capacity = (uint32_t)capacity;
    }
    aicpi_limit_entry *chunk = aicpi_calloc(&l->allocator, AICPI_LIMIT_CHUNK, sizeof *chunk);
    if (!chunk) {
        return false;
    }
    s->chunks[s->chunk_count++] = chunk;
    return true;
}

/* An entry without a key: a dropped one with its memory, or a new one. Not yet taken away from
 * where it lies, so that a failure later leaves it there. */
static aicpi_limit_entry *spare_entry(aicp_limiter *l, aicpi_limit_shard *s) {
    if (s->free_entry != 0) {
        return aicpi_limit_entry_at(s, s->free_entry - 1);
    }
    if (s->next_entry == s->chunk_count * AICPI_LIMIT_CHUNK && !add_chunk(l, s)) {
        return NULL;
    }
    aicpi_limit_entry *e = aicpi_limit_entry_at(s, s->next_entry);
    e->index = s->next_entry;
    return e;
}

static bool set_key(aicp_limiter *l, aicpi_limit_entry *e, const aicpi_limit_key *key) {
    if (e->key_capacity < key->len) {
        size_t capacity = (key->len + 31) / 32 * 32;
        char *bytes = aicpi_alloc(&l->allocator, capacity);
        if (!bytes) {
            return false;
        }
        aicpi_free(&l->allocator, e->key);
        e->key = bytes;
        e->key_capacity = (uint32_t)capacity;
    }
    key_write(key, e->key);
    e->key_len = (uint32_t)key->len;
    return true;
}

static bool set_parts(aicp_limiter *l, aicpi_limit_entry *e, const aicpi_limit_rule *rule) {
    if (rule->kind == AICP_LIMIT_CONCURRENCY && !e->slots) {
        e->slots = aicpi_calloc(&l->allocator, 1, sizeof *e->slots);
        if (!e->slots) {
            return false;
        }
    }
    if (rule->shared && !e->lease) {
        e->lease = aicpi_alloc(&l->allocator, sizeof *e->lease);
        if (!e->lease) {
            return false;
        }
    }
    return true;
}

static void reset_entry(aicpi_limit_entry *e, const aicpi_limit_rule *rule, uint64_t now) {
    e->level = (aicpi_limit_level){.used = 0, .time = now};
    e->params = rule->params;
    e->algorithm = rule->algorithm;
    e->kind = (int8_t)rule->kind;
    e->pins = 0;
    e->pinned_until = 0;
    if (e->slots) {
        e->slots->count = 0;
        e->slots->free = 0;
        e->slots->live = 0;
        e->slots->idle = 0;
    }
    if (e->lease) {
        *e->lease = (aicpi_limit_lease){.remaining = rule->params.burst};
    }
}

static aicpi_limit_entry *add_entry(
    aicp_limiter *l, aicpi_limit_shard *s, const aicpi_limit_key *key, uint64_t now, bool *full) {
    if (!make_room(l, s, now)) {
        *full = true;
        return NULL;
    }
    aicpi_limit_entry *e = table_grow(l, s) ? spare_entry(l, s) : NULL;
    if (!e || !set_key(l, e, key) || !set_parts(l, e, key->rule)) {
        return NULL;
    }
    if (s->free_entry == e->index + 1) {
        s->free_entry = e->next_free;
    } else {
        s->next_entry++;
    }
    reset_entry(e, key->rule, now);
    e->hash = key->hash;
    e->used = true;
    table_insert(s, e);
    s->count++;
    return e;
}

aicpi_limit_entry *aicpi_limit_put(
    aicp_limiter *l, aicpi_limit_shard *s, const aicpi_limit_key *key, uint64_t now, bool *full) {
    *full = false;
    aicpi_limit_entry *e = aicpi_limit_find(s, key);
    if (!e) {
        return add_entry(l, s, key, now, full);
    }
    if (key->rule->shared && !e->lease) { /* the rule became shared since */
        if (!set_parts(l, e, key->rule)) {
            return NULL;
        }
        *e->lease = (aicpi_limit_lease){.remaining = key->rule->params.burst};
    }
    return e;
}

void aicpi_limit_mark_dirty(aicpi_limit_shard *s, aicpi_limit_entry *e) {
    if (!e->dirty) {
        e->dirty = true;
        e->next_dirty = s->dirty;
        s->dirty = e->index + 1;
    }
}

void aicpi_limit_shard_deinit(aicp_limiter *l, aicpi_limit_shard *s) {
    for (uint32_t c = 0; c < s->chunk_count; c++) {
        for (uint32_t i = 0; i < AICPI_LIMIT_CHUNK; i++) {
            aicpi_limit_entry *e = &s->chunks[c][i];
            aicpi_free(&l->allocator, e->key);
            aicpi_free(&l->allocator, e->lease);
            if (e->slots) {
                aicpi_free(&l->allocator, e->slots->items);
                aicpi_free(&l->allocator, e->slots);
            }
        }
        aicpi_free(&l->allocator, s->chunks[c]);
    }
    aicpi_free(&l->allocator, s->chunks);
    aicpi_free(&l->allocator, s->table);
}
