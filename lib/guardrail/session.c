/* The anonymisation map of one request: value <-> <TYPE_n>. Values never outlive it: every copy is
 * wiped before its memory is given back. */
#include "lib/guardrail/guardrail_internal.h"

#include <math.h>

#define PLACEHOLDER_SIZE 64
#define RESTORE_MAX ((size_t)1 << 30)

typedef struct entry {
    char type[32]; /* a copy: types of a profile's own detectors go with it */
    uint32_t number;
    size_t at; /* of the value in `bytes` */
    size_t len;
    uint64_t value_hash;
    uint64_t name_hash;
} entry;

struct aicp_guard_session {
    aicp_allocator allocator;
    uint64_t seed;
    char *bytes;
    size_t used;
    size_t capacity;
    entry *entries;
    size_t count;
    size_t entry_capacity;
    uint32_t *by_value; /* index + 1, 0 = empty; twice as many slots as entries at least */
    uint32_t *by_name;
    size_t slots;
    int32_t action;
    double risks[AICP_GUARD_CATEGORY_COUNT];
    uint64_t matches;
};

aicp_status aicp_guard_session_new(
    const aicp_guard_options *options, aicp_guard_session **out, aicp_error *err) {
    *out = NULL;
    aicp_guard_options own;
    aicp_status status = aicpi_options_copy(&own, sizeof own, options, "aicp_guard_options", err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_allocator a = aicpi_allocator(own.allocator);
    aicp_guard_session *session = aicpi_calloc(&a, 1, sizeof *session);
    if (!session) {
        return aicpi_nomem(err);
    }
    session->allocator = a;
    session->seed = aicpi_hash_seed();
    *out = session;
    return AICP_OK;
}

void aicp_guard_session_reset(aicp_guard_session *session) {
    if (session->bytes) {
        aicpi_wipe(session->bytes, session->capacity);
    }
    session->used = 0;
    session->count = 0;
    if (session->slots) {
        memset(session->by_value, 0, session->slots * sizeof *session->by_value);
        memset(session->by_name, 0, session->slots * sizeof *session->by_name);
    }
    session->action = AICP_GUARD_NONE;
    memset(session->risks, 0, sizeof session->risks);
    session->matches = 0;
}

void aicp_guard_session_free(aicp_guard_session *session) {
    if (!session) {
        return;
    }
    aicp_guard_session_reset(session);
    aicp_allocator a = session->allocator;
    aicpi_free(&a, session->bytes);
    aicpi_free(&a, session->entries);
    aicpi_free(&a, session->by_value);
    aicpi_free(&a, session->by_name);
    aicpi_free(&a, session);
}

size_t aicp_guard_session_count(const aicp_guard_session *session) {
    return session->count;
}

int32_t aicp_guard_session_action(const aicp_guard_session *session) {
    return session->action;
}

uint64_t aicp_guard_session_match_count(const aicp_guard_session *session) {
    return session->matches;
}

double aicp_guard_session_risk(const aicp_guard_session *session) {
    return aicpi_guard_risk(session->risks);
}

double aicpi_guard_weight(int32_t category, const char *type) {
    switch (category) {
    case AICP_GUARD_SECRET:
        return 1.0;
    case AICP_GUARD_INJECTION:
        return 0.95;
    case AICP_GUARD_PII:
        return strcmp(type, "EMAIL_ADDRESS") == 0 || strcmp(type, "IP_ADDRESS") == 0 ? 0.4 : 0.8;
    default:
        return 0.5;
    }
}

double aicpi_guard_risk(const double *risks) {
    double rest = 1.0;
    for (size_t i = 0; i < AICP_GUARD_CATEGORY_COUNT; i++) {
        rest *= 1.0 - risks[i];
    }
    return round((1.0 - rest) * 1000.0) / 1000.0;
}

void aicpi_guard_session_note(
    aicp_guard_session *session, int32_t action, const double *risks, uint64_t matches) {
    session->action = action > session->action ? action : session->action;
    for (size_t i = 0; i < AICP_GUARD_CATEGORY_COUNT; i++) {
        session->risks[i] = risks[i] > session->risks[i] ? risks[i] : session->risks[i];
    }
    session->matches += matches;
}

/* ---- the map ------------------------------------------------------------------------------------
 */

static uint64_t
hash_of_value(const aicp_guard_session *s, const char *type, const char *data, size_t len) {
    return aicpi_hash_mix(aicpi_hash(s->seed, type, strlen(type)), aicpi_hash(s->seed, data, len));
}

static size_t write_name(const char *type, uint32_t number, char out[PLACEHOLDER_SIZE]) {
    int n = snprintf(out, PLACEHOLDER_SIZE, "<%s_%u>", type, (unsigned)number);
    return n > 0 ? (size_t)n : 0;
}

static bool reserve_bytes(aicp_guard_session *s, size_t more) {
    if (more <= s->capacity - s->used) {
        return true;
    }
    size_t capacity = (s->used + more) * 2 + 256;
    char *bytes = aicpi_alloc(&s->allocator, capacity);
    if (!bytes) {
        return false;
    }
    if (s->bytes) {
        memcpy(bytes, s->bytes, s->used);
        aicpi_wipe(s->bytes, s->capacity);
        aicpi_free(&s->allocator, s->bytes);
    }
    s->bytes = bytes;
    s->capacity = capacity;
    return true;
}

static void put_slot(uint32_t *slots, size_t count, uint64_t hash, size_t index) {
    size_t i = (size_t)hash & (count - 1);
    while (slots[i]) {
        i = (i + 1) & (count - 1);
    }
    slots[i] = (uint32_t)index + 1;
}

static bool reserve_slots(aicp_guard_session *s) {
    if ((s->count + 1) * 2 <= s->slots) {
        return true;
    }
    size_t slots = s->slots ? s->slots * 2 : 32;
    uint32_t *by_value = aicpi_calloc(&s->allocator, slots, sizeof *by_value);
    uint32_t *by_name = aicpi_calloc(&s->allocator, slots, sizeof *by_name);
    if (!by_value || !by_name) {
        aicpi_free(&s->allocator, by_value);
        aicpi_free(&s->allocator, by_name);
        return false;
    }
    for (size_t i = 0; i < s->count; i++) {
        put_slot(by_value, slots, s->entries[i].value_hash, i);
        put_slot(by_name, slots, s->entries[i].name_hash, i);
    }
    aicpi_free(&s->allocator, s->by_value);
    aicpi_free(&s->allocator, s->by_name);
    s->by_value = by_value;
    s->by_name = by_name;
    s->slots = slots;
    return true;
}

/* Values of one type tend to come together: the last one of the type is near the end. */
static uint32_t next_number(const aicp_guard_session *s, const char *type) {
    for (size_t i = s->count; i > 0; i--) {
        if (strcmp(s->entries[i - 1].type, type) == 0) {
            return s->entries[i - 1].number + 1;
        }
    }
    return 1;
}

uint32_t aicpi_guard_session_number(
    aicp_guard_session *session, const char *type, const char *data, size_t len) {
    aicp_guard_session *s = session;
    uint64_t hash = hash_of_value(s, type, data, len);
    for (size_t i = (size_t)hash; s->slots > 0; i++) {
        uint32_t slot = s->by_value[i & (s->slots - 1)];
        if (slot == 0) {
            break;
        }
        const entry *e = &s->entries[slot - 1];
        if (e->value_hash == hash && e->len == len && memcmp(s->bytes + e->at, data, len) == 0 &&
            strcmp(e->type, type) == 0) {
            return e->number;
        }
    }
    if (!reserve_bytes(s, len) || !reserve_slots(s) ||
        !aicpi_grow(
            &s->allocator,
            (void **)&s->entries,
            &s->entry_capacity,
            s->count,
            sizeof *s->entries)) {
        return 0;
    }
    entry e = {"", next_number(s, type), s->used, len, hash, 0};
    snprintf(e.type, sizeof e.type, "%s", type);
    char name[PLACEHOLDER_SIZE];
    e.name_hash = aicpi_hash(s->seed, name, write_name(type, e.number, name));
    memcpy(s->bytes + s->used, data, len);
    s->used += len;
    s->entries[s->count] = e;
    put_slot(s->by_value, s->slots, hash, s->count);
    put_slot(s->by_name, s->slots, e.name_hash, s->count);
    s->count++;
    return e.number;
}

size_t aicpi_guard_session_lookup(
    const aicp_guard_session *session, const char *data, size_t len, size_t *index) {
    const aicp_guard_session *s = session;
    size_t n = 0;
    while (n < len && n < PLACEHOLDER_SIZE && data[n] != '>') {
        n++;
    }
    if (s->count == 0 || n >= len || n >= PLACEHOLDER_SIZE || data[0] != '<') {
        return 0;
    }
    n++;
    uint64_t hash = aicpi_hash(s->seed, data, n);
    for (size_t i = (size_t)hash;; i++) {
        uint32_t slot = s->by_name[i & (s->slots - 1)];
        if (slot == 0) {
            return 0;
        }
        const entry *e = &s->entries[slot - 1];
        char name[PLACEHOLDER_SIZE];
        if (e->name_hash == hash && write_name(e->type, e->number, name) == n &&
            memcmp(name, data, n) == 0) {
            *index = slot - 1;
            return n;
        }
    }
}

aicpi_slice aicpi_guard_session_value(const aicp_guard_session *session, size_t index) {
    const entry *e = &session->entries[index];
    return aicpi_slice_of(session->bytes + e->at, e->len);
}

aicp_status aicp_guard_restore(
    const aicp_guard_session *session,
    const char *data,
    size_t len,
    aicp_buf *out,
    aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &session->allocator, RESTORE_MAX);
    (void)aicpi_strbuf_reserve(&b, len);
    size_t done = 0;
    for (size_t i = 0; i < len;) {
        const char *mark = memchr(data + i, '<', len - i);
        if (!mark) {
            break;
        }
        i = (size_t)(mark - data);
        size_t index = 0;
        size_t n = aicpi_guard_session_lookup(session, data + i, len - i, &index);
        if (n == 0) {
            i++;
            continue;
        }
        aicpi_slice value = aicpi_guard_session_value(session, index);
        aicpi_strbuf_append(&b, data + done, i - done);
        aicpi_strbuf_append(&b, value.data, value.len);
        i += n;
        done = i;
    }
    aicpi_strbuf_append(&b, data + done, len - done);
    return aicpi_strbuf_take(&b, out, err);
}
