#include "lib/policy/lookup.h"

#include "lib/base/error.h"
#include "lib/policy/brief.h"
#include "lib/policy/entities_read.h"

/* An entity that was asked for. */
typedef struct answer {
    const aicpi_policy_uid *uid;       /* NULL: empty */
    const aicpi_policy_entity *entity; /* NULL: there is none */
} answer;

/* What a callback fills in. */
struct aicp_policy_found {
    aicpi_policy_lookup *lookup;
    const aicpi_policy_uid *uid;
    const aicpi_policy_entity *entity;
    aicp_status status;
};

struct aicpi_policy_lookup {
    aicp_allocator allocator;
    aicp_policy_lookup_fn fn;
    void *user;
    aicp_policy_release_fn release; /* NULL: none */
    aicpi_arena arena;              /* entities */
    aicpi_arena scratch;            /* of one JSON text */
    aicpi_policy_intern intern;
    aicpi_policy_entity_reader reader;
    answer *answers; /* open addressing by hash */
    size_t mask;
    size_t count;
    aicp_status status;
    aicp_error error;
};

static void give_back(void *user, aicp_policy_release_fn release) {
    if (release) {
        release(user);
    }
}

aicpi_policy_lookup *aicpi_policy_lookup_new(
    const aicp_allocator *a, aicp_policy_lookup_fn fn, void *user, aicp_policy_release_fn release) {
    aicpi_policy_lookup *l = aicpi_calloc(a, 1, sizeof *l);
    if (!l) {
        give_back(user, release);
    } else {
        l->allocator = *a;
        l->fn = fn;
        l->user = user;
        l->release = release;
        aicpi_arena_init(&l->arena, a, 0, 0);
        aicpi_arena_init(&l->scratch, a, 0, 0);
        aicpi_policy_intern_init(&l->intern, &l->arena, false);
        l->reader.values.allocator = *a;
    }
    return l;
}

void aicpi_policy_lookup_free(aicpi_policy_lookup *l) {
    if (!l) {
        return;
    }
    aicp_allocator a = l->allocator;
    give_back(l->user, l->release);
    aicpi_policy_entity_reader_deinit(&l->reader);
    aicpi_arena_deinit(&l->arena);
    aicpi_arena_deinit(&l->scratch);
    aicpi_free(&a, l);
}

void aicpi_policy_lookup_forget(aicpi_policy_lookup *l) {
    if (l) {
        aicpi_arena_reset(&l->arena);
        l->answers = NULL;
        l->count = 0;
    }
}

void aicpi_policy_lookup_use(aicpi_policy_lookup *l, const aicp_policy_schema *schema) {
    if (l) {
        l->reader.conform.schema = schema;
        aicpi_policy_lookup_forget(l);
    }
}

void aicpi_policy_lookup_start(aicpi_policy_lookup *l) {
    if (l->status != AICP_OK) {
        aicpi_policy_lookup_forget(l);
        l->status = AICP_OK;
    }
}

aicp_status aicpi_policy_lookup_status(const aicpi_policy_lookup *l, aicp_error *err) {
    if (l->status != AICP_OK && err) {
        *err = l->error;
    }
    return l->status;
}

/* ---- answers ---- */

static answer *find_answer(const aicpi_policy_lookup *l, const aicpi_policy_uid *uid) {
    size_t at = (size_t)uid->hash & l->mask;
    while (l->answers[at].uid && !aicpi_policy_uid_eq(l->answers[at].uid, uid)) {
        at = (at + 1) & l->mask;
    }
    return &l->answers[at];
}

/* Keeps a half of the places empty. */
static bool make_room(aicpi_policy_lookup *l) {
    if (l->answers && l->count * 2 <= l->mask) {
        return true;
    }
    const answer *old = l->answers;
    size_t old_slots = old ? l->mask + 1 : 0;
    size_t slots = old ? old_slots * 2 : 16;
    answer *grown = aicpi_arena_calloc(&l->arena, slots, sizeof *grown);
    if (!grown) {
        return false;
    }
    l->answers = grown;
    l->mask = slots - 1;
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i].uid) {
            *find_answer(l, old[i].uid) = old[i];
        }
    }
    return true;
}

/* A uid that lives as long as the answers. */
static const aicpi_policy_uid *copy_uid(aicpi_policy_lookup *l, const aicpi_policy_uid *uid) {
    const aicpi_policy_str *type =
        aicpi_policy_intern_str(&l->intern, aicpi_policy_text(uid->type));
    const aicpi_policy_str *id = aicpi_policy_intern_str(&l->intern, aicpi_policy_text(uid->id));
    return type && id ? aicpi_policy_intern_uid(&l->intern, type, id) : NULL;
}

/* ---- the callback ---- */

static void out_of_memory(aicpi_policy_lookup *l) {
    l->status = aicpi_nomem(&l->error);
}

static const aicpi_policy_entity *ask(aicpi_policy_lookup *l, const aicpi_policy_uid *uid) {
    aicp_error why = {0};
    aicp_policy_found found = {.lookup = l, .uid = uid};
    aicp_status status =
        l->fn(l->user, uid->type->data, uid->type->len, uid->id->data, uid->id->len, &found, &why);
    if (status == AICP_OK && found.status == AICP_OK) {
        return found.entity;
    }
    if (found.status == AICP_OK) { /* the callback's own error */
        why.message[sizeof why.message - 1] = '\0';
        aicpi_fail(
            &l->error, status, "%s", why.message[0] ? why.message : aicp_status_text(status));
    }
    l->status = found.status == AICP_ERR_NOMEM ? found.status : AICP_ERR_CALLBACK;
    aicpi_error_prefix(&l->error, l->status, "cannot look up %s", aicpi_policy_brief_uid(uid).text);
    return NULL;
}

const aicpi_policy_entity *
aicpi_policy_lookup_find(aicpi_policy_lookup *l, const aicpi_policy_uid *uid) {
    const aicp_policy_schema *schema = l->reader.conform.schema;
    if (l->status != AICP_OK) {
        return NULL;
    }
    if (schema && aicpi_policy_is_action_type(uid->type)) {
        const aicpi_policy_action *action = aicpi_policy_schema_action(schema, uid);
        return action ? &action->entity : NULL;
    }
    if (!make_room(l)) {
        out_of_memory(l);
        return NULL;
    }
    answer *place = find_answer(l, uid);
    if (place->uid) {
        return place->entity;
    }
    if (l->count == AICP_POLICY_LOOKUP_MAX) {
        l->status = aicpi_fail(
            &l->error,
            AICP_ERR_LIMIT,
            "a request looks up at most %d entities",
            AICP_POLICY_LOOKUP_MAX);
        return NULL;
    }
    const aicpi_policy_uid *kept = copy_uid(l, uid);
    if (!kept) {
        out_of_memory(l);
        return NULL;
    }
    const aicpi_policy_entity *entity = ask(l, kept);
    if (l->status == AICP_OK) {
        *place = (answer){.uid = kept, .entity = entity};
        l->count++;
    }
    return entity;
}

void aicpi_policy_lookup_cycle(aicpi_policy_lookup *l, const aicpi_policy_uid *uid) {
    if (l->status == AICP_OK) {
        l->status = aicpi_fail(
            &l->error,
            AICP_ERR_INVALID,
            "%s is its own ancestor",
            aicpi_policy_brief_uid(uid).text);
    }
}

static aicp_status
read_found(aicp_policy_found *found, const char *data, size_t len, aicp_error *err) {
    aicpi_policy_lookup *l = found->lookup;
    aicpi_policy_reader *r = &l->reader.values;
    aicpi_policy_entity *e = aicpi_arena_alloc(&l->arena, sizeof *e);
    if (!e) {
        return aicpi_nomem(err);
    }
    aicpi_arena_reset(&l->scratch);
    aicpi_policy_reader_start(r, &l->intern, &l->scratch, data, len);
    if (aicpi_policy_read_entity(&l->reader, e) && !aicpi_policy_uid_eq(e->uid, found->uid)) {
        aicpi_json_fail(
            &r->json,
            AICP_ERR_INVALID,
            e->offset,
            "this is %s",
            aicpi_policy_brief_uid(e->uid).text);
    }
    aicp_status status = aicpi_json_finish(&r->json, err);
    found->entity = status == AICP_OK ? e : NULL;
    return status;
}

aicp_status
aicp_policy_found_json(aicp_policy_found *found, const char *data, size_t len, aicp_error *err) {
    aicp_error *first = &found->lookup->error;
    if (found->status == AICP_OK) {
        found->status = found->entity
                            ? aicpi_fail(first, AICP_ERR_STATE, "the entity was given twice")
                            : read_found(found, data, len, first);
    }
    if (found->status != AICP_OK && err) {
        *err = *first;
    }
    return found->status;
}
