#include "lib/policy/types.h"

#include "lib/policy/brief.h"

#include <stdio.h>

/* Types of a schema share their parts, so that what is written in a few lines can stand for
 * something huge; a second or so of one environment is enough. */
#define STEPS_MOST 20000000u
/* A record in an expression holds one of the schema's types. */
#define DEPTH_MOST (3u * AICP_POLICY_DEPTH_MAX)

const aicpi_policy_type *aicpi_policy_type_plain(uint32_t kind) {
    static const aicpi_policy_type plain[] = {
        [AICPI_POLICY_BOOL] = {.kind = AICPI_POLICY_BOOL},
        [AICPI_POLICY_LONG] = {.kind = AICPI_POLICY_LONG},
        [AICPI_POLICY_STRING] = {.kind = AICPI_POLICY_STRING},
        [AICPI_POLICY_DECIMAL] = {.kind = AICPI_POLICY_DECIMAL},
        [AICPI_POLICY_IP] = {.kind = AICPI_POLICY_IP},
        [AICPI_POLICY_DATETIME] = {.kind = AICPI_POLICY_DATETIME},
        [AICPI_POLICY_DURATION] = {.kind = AICPI_POLICY_DURATION},
        [AICPI_POLICY_TYPE_NEVER] = {.kind = AICPI_POLICY_TYPE_NEVER},
        [AICPI_POLICY_TYPE_TRUE] = {.kind = AICPI_POLICY_TYPE_TRUE},
        [AICPI_POLICY_TYPE_FALSE] = {.kind = AICPI_POLICY_TYPE_FALSE},
    };
    return &plain[kind];
}

static bool is_record(const aicpi_policy_type *t) {
    return t->kind == AICPI_POLICY_RECORD || t->kind == AICPI_POLICY_TYPE_OPEN_RECORD;
}

static bool is_entity(const aicpi_policy_type *t) {
    return t->kind == AICPI_POLICY_ENTITY || t->kind == AICPI_POLICY_TYPE_ENTITIES;
}

static bool is_known_bool(const aicpi_policy_type *t) {
    return t->kind == AICPI_POLICY_TYPE_TRUE || t->kind == AICPI_POLICY_TYPE_FALSE;
}

uint32_t aicpi_policy_type_uses(const aicpi_policy_type *t) {
    switch (t->kind) {
    case AICPI_POLICY_TYPE_NEVER:
        return UINT32_MAX;
    case AICPI_POLICY_TYPE_TRUE:
    case AICPI_POLICY_TYPE_FALSE:
        return AICPI_POLICY_USE(AICPI_POLICY_BOOL);
    case AICPI_POLICY_TYPE_ENTITIES:
        return AICPI_POLICY_USE(AICPI_POLICY_ENTITY);
    case AICPI_POLICY_TYPE_OPEN_RECORD:
        return AICPI_POLICY_USE(AICPI_POLICY_RECORD);
    case AICPI_POLICY_SET: {
        const aicpi_policy_type *element = t->u.element;
        bool entities = is_entity(element) || element->kind == AICPI_POLICY_TYPE_NEVER;
        return AICPI_POLICY_USE(AICPI_POLICY_SET) | (entities ? AICPI_POLICY_USE_ENTITY_SET : 0);
    }
    default:
        return AICPI_POLICY_USE(t->kind);
    }
}

const aicpi_policy_entity_type *const *
aicpi_policy_type_entities(const aicpi_policy_type *t, uint32_t *count) {
    *count = t->kind == AICPI_POLICY_ENTITY          ? 1
             : t->kind == AICPI_POLICY_TYPE_ENTITIES ? t->count
                                                     : 0;
    return *count == 1 ? &t->u.entity : t->u.entities;
}

/* Begins one comparison; false when it is one too many. */
static bool enter(aicpi_policy_types *types) {
    if (types->status == AICP_OK) {
        types->status = types->depth >= DEPTH_MOST   ? AICP_ERR_POLICY_DEPTH
                        : types->steps >= STEPS_MOST ? AICP_ERR_LIMIT
                                                     : AICP_OK;
    }
    types->steps++;
    return types->status == AICP_OK;
}

static void *make(aicpi_policy_types *types, size_t count, size_t size) {
    void *p = aicpi_arena_calloc(types->arena, count, size);
    if (!p) {
        types->status = AICP_ERR_NOMEM;
    }
    return p;
}

/* ---- order ---- */

static bool entities_below(
    const aicpi_policy_types *types, const aicpi_policy_type *a, const aicpi_policy_type *b) {
    uint32_t na = 0;
    uint32_t nb = 0;
    const aicpi_policy_entity_type *const *la = aicpi_policy_type_entities(a, &na);
    const aicpi_policy_entity_type *const *lb = aicpi_policy_type_entities(b, &nb);
    if (types->strict && na != nb) {
        return false;
    }
    uint32_t j = 0;
    for (uint32_t i = 0; i < na; i++, j++) {
        while (j < nb && lb[j]->index < la[i]->index) {
            j++;
        }
        if (j >= nb || lb[j] != la[i]) {
            return false;
        }
    }
    return true;
}

static bool attr_below(
    aicpi_policy_types *types, const aicpi_policy_attr_type *a, const aicpi_policy_attr_type *b) {
    bool qualified = types->strict ? a->required == b->required : a->required || !b->required;
    return qualified && aicpi_policy_type_below(types, a->type, b->type);
}

static bool
records_below(aicpi_policy_types *types, const aicpi_policy_type *a, const aicpi_policy_type *b) {
    bool open = b->kind == AICPI_POLICY_TYPE_OPEN_RECORD;
    if (a->kind == AICPI_POLICY_TYPE_OPEN_RECORD && !open) {
        return false;
    }
    /* Only an open record may be above one with more attributes. */
    if (a->count != b->count && (!open || types->strict)) {
        return false;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        const aicpi_policy_attr_type *attr = aicpi_policy_type_attr(a, b->u.attrs[i].key);
        if (!attr || !attr_below(types, attr, &b->u.attrs[i])) {
            return false;
        }
    }
    return true;
}

bool aicpi_policy_type_below(
    aicpi_policy_types *types, const aicpi_policy_type *a, const aicpi_policy_type *b) {
    if (a == b || a->kind == AICPI_POLICY_TYPE_NEVER) {
        return true;
    }
    if (!enter(types)) {
        return false;
    }
    types->depth++;
    bool below = false;
    if (is_known_bool(a)) {
        below = b->kind == AICPI_POLICY_BOOL || b->kind == a->kind;
    } else if (is_entity(a) && is_entity(b)) {
        below = entities_below(types, a, b);
    } else if (is_record(a) && is_record(b)) {
        below = records_below(types, a, b);
    } else if (a->kind == AICPI_POLICY_SET && b->kind == AICPI_POLICY_SET) {
        below = aicpi_policy_type_below(types, a->u.element, b->u.element);
    } else {
        below = a->kind == b->kind;
    }
    types->depth--;
    return below;
}

/* ---- join ---- */

static const aicpi_policy_type *
join_entities(aicpi_policy_types *types, const aicpi_policy_type *a, const aicpi_policy_type *b) {
    uint32_t na = 0;
    uint32_t nb = 0;
    const aicpi_policy_entity_type *const *la = aicpi_policy_type_entities(a, &na);
    const aicpi_policy_entity_type *const *lb = aicpi_policy_type_entities(b, &nb);
    aicpi_policy_type *t = make(types, 1, sizeof *t);
    const aicpi_policy_entity_type **list = make(types, (size_t)na + nb, sizeof *list);
    if (types->strict || !t || !list) {
        return NULL;
    }
    uint32_t i = 0;
    uint32_t j = 0;
    uint32_t n = 0;
    while (i < na || j < nb) {
        if (j >= nb || (i < na && la[i]->index < lb[j]->index)) {
            list[n++] = la[i++];
        } else {
            i += i < na && la[i] == lb[j];
            list[n++] = lb[j++];
        }
    }
    *t = (aicpi_policy_type){.kind = AICPI_POLICY_TYPE_ENTITIES, .count = n, .u.entities = list};
    return t;
}

/* Strict: both have the same attributes. Permissive: those that fit together stay. */
static const aicpi_policy_type *
join_records(aicpi_policy_types *types, const aicpi_policy_type *a, const aicpi_policy_type *b) {
    aicpi_policy_type *t = make(types, 1, sizeof *t);
    aicpi_policy_attr_type *attrs = make(types, a->count, sizeof *attrs);
    if (!t || !attrs || (types->strict && a->count != b->count)) {
        return NULL;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const aicpi_policy_attr_type *mine = &a->u.attrs[i];
        const aicpi_policy_attr_type *other = aicpi_policy_type_attr(b, mine->key);
        bool fits = other && (!types->strict || mine->required == other->required);
        const aicpi_policy_type *both =
            fits ? aicpi_policy_type_join(types, mine->type, other->type) : NULL;
        if (both) {
            attrs[n] = *mine;
            attrs[n].type = both;
            attrs[n].required = mine->required && other->required;
            n++;
        } else if (types->strict || types->status != AICP_OK) {
            return NULL;
        }
    }
    bool closed = a->kind == AICPI_POLICY_RECORD && b->kind == AICPI_POLICY_RECORD &&
                  n == a->count && n == b->count;
    *t = (aicpi_policy_type){
        .kind = closed ? AICPI_POLICY_RECORD : AICPI_POLICY_TYPE_OPEN_RECORD,
        .count = n,
        .u.attrs = attrs};
    return t;
}

static const aicpi_policy_type *
join_sets(aicpi_policy_types *types, const aicpi_policy_type *a, const aicpi_policy_type *b) {
    const aicpi_policy_type *element = aicpi_policy_type_join(types, a->u.element, b->u.element);
    aicpi_policy_type *t = element ? make(types, 1, sizeof *t) : NULL;
    if (t) {
        *t = (aicpi_policy_type){.kind = AICPI_POLICY_SET, .u.element = element};
    }
    return t;
}

const aicpi_policy_type *aicpi_policy_type_join(
    aicpi_policy_types *types, const aicpi_policy_type *a, const aicpi_policy_type *b) {
    if (aicpi_policy_type_below(types, a, b)) {
        return b;
    }
    if (aicpi_policy_type_below(types, b, a)) {
        return a;
    }
    if (!enter(types)) {
        return NULL;
    }
    types->depth++;
    const aicpi_policy_type *t = NULL;
    if (is_known_bool(a) && is_known_bool(b)) {
        t = aicpi_policy_type_plain(AICPI_POLICY_BOOL);
    } else if (a->kind == AICPI_POLICY_SET && b->kind == AICPI_POLICY_SET) {
        t = join_sets(types, a, b);
    } else if (is_record(a) && is_record(b)) {
        t = join_records(types, a, b);
    } else if (is_entity(a) && is_entity(b)) {
        t = join_entities(types, a, b);
    }
    types->depth--;
    return types->status == AICP_OK ? t : NULL;
}

bool aicpi_policy_types_disjoint(const aicpi_policy_type *a, const aicpi_policy_type *b) {
    uint32_t na = 0;
    uint32_t nb = 0;
    const aicpi_policy_entity_type *const *la = aicpi_policy_type_entities(a, &na);
    const aicpi_policy_entity_type *const *lb = aicpi_policy_type_entities(b, &nb);
    for (uint32_t i = 0, j = 0; i < na && j < nb;) {
        if (la[i] == lb[j]) {
            return false;
        }
        if (la[i]->index < lb[j]->index) {
            i++;
        } else {
            j++;
        }
    }
    return na > 0 && nb > 0;
}

/* ---- attributes and tags ---- */

/* Joins without regard to the mode: entity types meet in permissive mode only. */
static const aicpi_policy_type *
join_permissive(aicpi_policy_types *types, const aicpi_policy_type *a, const aicpi_policy_type *b) {
    bool strict = types->strict;
    types->strict = false;
    const aicpi_policy_type *t = aicpi_policy_type_join(types, a, b);
    types->strict = strict;
    return t;
}

static aicpi_policy_attr_found find_in_entities(
    aicpi_policy_types *types,
    const aicpi_policy_entity_type *const *list,
    uint32_t count,
    const aicpi_policy_str *key) {
    aicpi_policy_attr_found found = {.required = true};
    bool sure = true;
    for (uint32_t i = 0; i < count; i++) {
        const aicpi_policy_attr_type *attr = aicpi_policy_type_attr(list[i]->shape, key);
        if (!attr) {
            sure = false;
            continue;
        }
        found.possible = true;
        found.required &= attr->required;
        if (sure) {
            found.type = found.type ? join_permissive(types, found.type, attr->type) : attr->type;
            sure = found.type != NULL;
        }
    }
    found.type = sure ? found.type : NULL;
    return found;
}

aicpi_policy_attr_found aicpi_policy_type_find(
    aicpi_policy_types *types, const aicpi_policy_type *t, const aicpi_policy_str *key) {
    if (!is_record(t)) {
        uint32_t count = 0;
        const aicpi_policy_entity_type *const *list = aicpi_policy_type_entities(t, &count);
        return find_in_entities(types, list, count, key);
    }
    const aicpi_policy_attr_type *attr = aicpi_policy_type_attr(t, key);
    if (!attr) {
        return (aicpi_policy_attr_found){.possible = t->kind == AICPI_POLICY_TYPE_OPEN_RECORD};
    }
    return (aicpi_policy_attr_found){
        .type = attr->type, .required = attr->required, .possible = true};
}

const aicpi_policy_type *
aicpi_policy_type_tags(aicpi_policy_types *types, const aicpi_policy_type *t, bool *any) {
    uint32_t count = 0;
    const aicpi_policy_entity_type *const *list = aicpi_policy_type_entities(t, &count);
    const aicpi_policy_type *tags = aicpi_policy_type_plain(AICPI_POLICY_TYPE_NEVER);
    *any = false;
    for (uint32_t i = 0; i < count && tags; i++) {
        if (list[i]->tags) {
            *any = true;
            tags = aicpi_policy_type_join(types, tags, list[i]->tags);
        }
    }
    return tags;
}

/* ---- text ---- */

typedef struct text {
    char *out;
    size_t len;
} text;

static bool full(const text *t) {
    return t->len + 1 >= AICPI_POLICY_TYPE_TEXT_SIZE;
}

static void put(text *t, const char *s) {
    if (!full(t)) {
        int n = snprintf(t->out + t->len, AICPI_POLICY_TYPE_TEXT_SIZE - t->len, "%s", s);
        t->len += (size_t)n;
        t->len = full(t) ? AICPI_POLICY_TYPE_TEXT_SIZE - 1 : t->len;
    }
}

static void put_type(text *t, const aicpi_policy_type *type);

static void put_record(text *t, const aicpi_policy_type *type) {
    put(t, "{");
    for (uint32_t i = 0; i < type->count && !full(t); i++) {
        const aicpi_policy_attr_type *attr = &type->u.attrs[i];
        put(t, i > 0 ? ", " : "");
        put(t, aicpi_policy_brief_str(attr->key).text);
        put(t, attr->required ? ": " : "?: ");
        put_type(t, attr->type);
    }
    put(t, type->kind == AICPI_POLICY_TYPE_OPEN_RECORD ? ", ...}" : "}");
}

static void put_entities(text *t, const aicpi_policy_type *type) {
    uint32_t count = 0;
    const aicpi_policy_entity_type *const *list = aicpi_policy_type_entities(type, &count);
    for (uint32_t i = 0; i < count && !full(t); i++) {
        put(t, i > 0 ? " | " : "");
        put(t, aicpi_policy_brief_str(list[i]->name).text);
    }
}

/* Every level writes something, so that the room limits the depth. */
static void put_type(text *t, const aicpi_policy_type *type) {
    static const char *const names[] = {
        [AICPI_POLICY_BOOL] = "Bool",
        [AICPI_POLICY_LONG] = "Long",
        [AICPI_POLICY_STRING] = "String",
        [AICPI_POLICY_DECIMAL] = "decimal",
        [AICPI_POLICY_IP] = "ipaddr",
        [AICPI_POLICY_DATETIME] = "datetime",
        [AICPI_POLICY_DURATION] = "duration",
        [AICPI_POLICY_TYPE_NEVER] = "?",
        [AICPI_POLICY_TYPE_TRUE] = "Bool (always true)",
        [AICPI_POLICY_TYPE_FALSE] = "Bool (always false)",
    };
    if (full(t)) {
        return;
    }
    if (is_record(type)) {
        put_record(t, type);
    } else if (is_entity(type)) {
        put_entities(t, type);
    } else if (type->kind == AICPI_POLICY_SET) {
        put(t, "Set<");
        put_type(t, type->u.element);
        put(t, ">");
    } else {
        put(t, names[type->kind]);
    }
}

void aicpi_policy_type_text(const aicpi_policy_type *t, char out[AICPI_POLICY_TYPE_TEXT_SIZE]) {
    text w = {.out = out};
    out[0] = '\0';
    put_type(&w, t);
    if (full(&w)) {
        snprintf(out + AICPI_POLICY_TYPE_TEXT_SIZE - 4, 4, "...");
        /* The cut may fall inside a character. */
        size_t at = AICPI_POLICY_TYPE_TEXT_SIZE - 4;
        while (at > 0 && ((unsigned char)out[at - 1] & 0xC0u) == 0x80u) {
            at--;
        }
        if (at > 0 && (unsigned char)out[at - 1] >= 0xC0u) {
            at--;
        }
        snprintf(out + at, AICPI_POLICY_TYPE_TEXT_SIZE - at, "...");
    }
}
