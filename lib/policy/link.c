/* Links of templates, from JSON. */
#include "lib/policy/set.h"

#include "lib/base/error.h"
#include "lib/policy/brief.h"
#include "lib/policy/reader.h"

typedef struct link {
    const aicpi_policy_str *template_id;
    const aicpi_policy_str *new_id;
    const aicpi_policy_uid *values[3]; /* by variable; action stays NULL */
    bool has_values;
    size_t offset;
} link;

typedef struct linker {
    aicp_policy_set *set;
    aicpi_policy_intern intern;
    aicpi_arena scratch;
    aicpi_policy_reader reader;
    link *links;
    size_t count;
    size_t capacity;
} linker;

static bool read_string(linker *l, const aicpi_policy_str **out) {
    aicpi_slice text;
    if (!aicpi_json_string(&l->reader.json, &text)) {
        return false;
    }
    *out = aicpi_policy_intern_str(&l->intern, text);
    return *out || aicpi_json_fail(&l->reader.json, AICP_ERR_NOMEM, 0, "out of memory");
}

static void read_values(linker *l, link *k) {
    aicpi_json *json = &l->reader.json;
    k->has_values = true;
    if (!aicpi_json_object(json)) {
        return;
    }
    size_t at = aicpi_json_offset(json);
    for (aicpi_slice key; aicpi_json_member(json, &key); at = aicpi_json_offset(json)) {
        if (aicpi_slice_is(key, "?principal")) {
            aicpi_policy_read_uid(&l->reader, &k->values[AICPI_POLICY_VAR_PRINCIPAL]);
        } else if (aicpi_slice_is(key, "?resource")) {
            aicpi_policy_read_uid(&l->reader, &k->values[AICPI_POLICY_VAR_RESOURCE]);
        } else {
            aicpi_json_fail(json, AICP_ERR_PARSE, at, "expected \"?principal\" or \"?resource\"");
        }
    }
}

static bool read_link(linker *l, link *k) {
    aicpi_json *json = &l->reader.json;
    *k = (link){.offset = aicpi_json_offset(json)};
    if (!aicpi_json_object(json)) {
        return false;
    }
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        if (aicpi_slice_is(key, "templateId")) {
            read_string(l, &k->template_id);
        } else if (aicpi_slice_is(key, "newId")) {
            read_string(l, &k->new_id);
        } else if (aicpi_slice_is(key, "values")) {
            read_values(l, k);
        } else {
            aicpi_json_fail(
                json,
                AICP_ERR_PARSE,
                json->pos,
                "a link has the keys \"templateId\", \"newId\" and \"values\"");
        }
    }
    if (!aicpi_json_ok(json)) {
        return false;
    }
    if (!k->template_id || !k->new_id || !k->has_values) {
        const char *missing = !k->template_id ? "templateId" : !k->new_id ? "newId" : "values";
        return aicpi_json_fail(json, AICP_ERR_PARSE, k->offset, "the link has no \"%s\"", missing);
    }
    return true;
}

static aicp_status
read_links(linker *l, const char *data, size_t start, size_t end, aicp_error *err) {
    aicpi_json *json = &l->reader.json;
    aicpi_policy_reader_start(&l->reader, &l->intern, &l->scratch, data, end);
    json->pos = start;
    if (aicpi_json_array(json)) {
        while (aicpi_json_element(json)) {
            if (!aicpi_grow(
                    &l->set->allocator,
                    (void **)&l->links,
                    &l->capacity,
                    l->count,
                    sizeof *l->links)) {
                aicpi_json_fail(json, AICP_ERR_NOMEM, json->pos, "out of memory");
            } else if (read_link(l, &l->links[l->count])) {
                l->count++;
            }
        }
    }
    return aicpi_json_finish(json, err);
}

/* Fills the slots of `from`, which must be exactly those that the link names. */
static bool fill(const aicpi_policy_rule *from, const link *k, aicpi_policy_rule *rule) {
    *rule = *from;
    rule->id = k->new_id;
    for (int var = AICPI_POLICY_VAR_PRINCIPAL; var <= AICPI_POLICY_VAR_RESOURCE; var++) {
        if (rule->scope[var].slot != (k->values[var] != NULL)) {
            return false;
        }
        if (rule->scope[var].slot) {
            rule->scope[var].entity = k->values[var];
        }
    }
    return true;
}

static aicp_status add_link(linker *l, const link *k, aicp_error *err) {
    aicp_policy_set *set = l->set;
    const aicp_policy_set *base = set->base;
    const aicpi_map_slot *slot =
        aicpi_map_find(&base->ids, k->template_id->data, k->template_id->len);
    if (!slot || !(slot->value.u64 & 1)) {
        return aicpi_fail(
            err,
            AICP_ERR_NOT_FOUND,
            "there is no template \"%s\"",
            aicpi_policy_brief_str(k->template_id).text);
    }
    aicpi_policy_rule *rule = &set->rules[set->count];
    if (!fill(&base->templates[slot->value.u64 / 2], k, rule)) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "the values are not those of the template \"%s\"",
            aicpi_policy_brief_str(k->template_id).text);
    }
    aicp_status status = aicpi_policy_set_add_id(set, k->new_id, set->count * 2, err);
    set->count += status == AICP_OK;
    return status;
}

/* Takes over what the base holds, with room for the links. */
static aicp_status take_base(aicp_policy_set *set, size_t links, aicp_error *err) {
    const aicp_policy_set *base = set->base;
    set->templates = base->templates;
    set->template_count = base->template_count;
    set->lines = base->lines;
    set->line_count = base->line_count;
    set->rules = aicpi_arena_calloc(&set->arena, base->count + links, sizeof *set->rules);
    if (!set->rules) {
        return aicpi_nomem(err);
    }
    set->count = base->count;
    if (base->count > 0) {
        memcpy(set->rules, base->rules, base->count * sizeof *set->rules);
    }
    size_t pos = 0;
    for (const aicpi_map_slot *s; (s = aicpi_map_next(&base->ids, &pos)) != NULL;) {
        bool inserted = false;
        aicpi_map_slot *copy = aicpi_map_put(&set->ids, s->key.data, s->key.len, &inserted);
        if (!copy) {
            return aicpi_nomem(err);
        }
        copy->value = s->value;
    }
    return AICP_OK;
}

static aicp_status
link_all(linker *l, const char *data, size_t start, size_t end, aicp_error *err) {
    aicp_status status = read_links(l, data, start, end, err);
    if (status == AICP_OK) {
        status = take_base(l->set, l->count, err);
    }
    for (size_t i = 0; status == AICP_OK && i < l->count; i++) {
        status = add_link(l, &l->links[i], err);
        if (status != AICP_OK && status != AICP_ERR_NOMEM) {
            aicp_error why = err ? *err : (aicp_error){0};
            aicpi_fail_at(err, status, data, end, l->links[i].offset, "%s", why.message);
        }
    }
    return status == AICP_OK ? aicpi_policy_set_index(l->set, err) : status;
}

aicp_status aicpi_policy_set_link_at(
    const aicp_policy_set *set,
    const char *data,
    size_t start,
    size_t end,
    aicp_policy_set **out,
    aicp_error *err) {
    *out = NULL;
    aicp_allocator a = set->allocator;
    linker l = {.set = aicpi_policy_set_new(&a), .reader.allocator = a};
    if (!l.set) {
        return aicpi_nomem(err);
    }
    /* The count of references is all that changes in it. */
    l.set->base = aicp_policy_set_ref((aicp_policy_set *)set);
    aicpi_arena_init(&l.scratch, &a, 0, 0);
    aicpi_policy_intern_init(&l.intern, &l.set->arena, true);
    aicp_status status = link_all(&l, data, start, end, err);
    aicpi_policy_intern_deinit(&l.intern);
    aicpi_policy_reader_deinit(&l.reader);
    aicpi_arena_deinit(&l.scratch);
    aicpi_free(&a, l.links);
    if (status != AICP_OK) {
        aicp_policy_set_free(l.set);
        return status;
    }
    *out = l.set;
    return AICP_OK;
}

aicp_status aicp_policy_set_link(
    const aicp_policy_set *set,
    const char *data,
    size_t len,
    aicp_policy_set **out,
    aicp_error *err) {
    return aicpi_policy_set_link_at(set, data, 0, len, out, err);
}
