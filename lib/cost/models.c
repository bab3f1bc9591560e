/* The model list: names of the configuration with keys of the price map, aliases, fallbacks. */
#include "lib/cost/price_internal.h"

#include "lib/base/decimal.h"
#include "lib/base/error.h"
#include "lib/base/json.h"

typedef struct names {
    const char **items;
    size_t count;
    size_t capacity;
} names;

typedef struct model {
    const char *name;
    const char *provider;
    const char *litellm_model;
    const char *price_key;
    aicpi_slice input; /* price of its own as decimal text; empty = none */
    aicpi_slice output;
} model;

struct aicp_model_list {
    aicp_allocator allocator;
    aicpi_ref ref;
    aicpi_arena arena;
    model *models;
    size_t count;
    size_t capacity;
    aicpi_map by_name; /* name -> index + 1 */
    aicpi_map aliases; /* group -> names * */
    aicpi_map chains;  /* model -> names * */
};

typedef struct parser {
    aicp_model_list *list;
    aicpi_json json;
} parser;

static bool out_of_memory(parser *p) {
    return aicpi_json_fail(&p->json, AICP_ERR_NOMEM, p->json.pos, "out of memory");
}

/* A string; null and other types give "". */
static const char *read_text(parser *p) {
    aicpi_slice text;
    if (aicpi_json_peek(&p->json) != AICPI_JSON_STRING) {
        (void)aicpi_json_skip(&p->json);
        return "";
    }
    if (!aicpi_json_string(&p->json, &text)) {
        return "";
    }
    const char *copy = aicpi_arena_strndup(&p->list->arena, text.data, text.len);
    if (copy == NULL) {
        (void)out_of_memory(p);
        return "";
    }
    return copy;
}

static void read_price(parser *p, aicpi_slice *out) {
    size_t at = aicpi_json_offset(&p->json);
    int64_t femto;
    *out = aicpi_slice_cstr(read_text(p));
    if (aicpi_json_ok(&p->json) &&
        aicpi_decimal_parse(*out, AICPI_PRICE_SCALE, &femto, NULL, NULL) != AICP_OK) {
        (void)aicpi_json_fail(&p->json, AICP_ERR_PARSE, at, "price is not a decimal text");
    }
}

static void read_prices(parser *p, model *m) {
    aicpi_slice key;
    if (aicpi_json_peek(&p->json) != AICPI_JSON_OBJECT) {
        (void)aicpi_json_skip(&p->json);
        return;
    }
    if (!aicpi_json_object(&p->json)) {
        return;
    }
    while (aicpi_json_member(&p->json, &key)) {
        if (aicpi_slice_is(key, "input")) {
            read_price(p, &m->input);
        } else if (aicpi_slice_is(key, "output")) {
            read_price(p, &m->output);
        } else {
            (void)aicpi_json_skip(&p->json);
        }
    }
}

static void read_model(parser *p) {
    aicp_model_list *list = p->list;
    aicpi_slice key;
    model m = {.name = "", .provider = "", .litellm_model = "", .price_key = ""};
    size_t at = aicpi_json_offset(&p->json);
    if (!aicpi_json_object(&p->json)) {
        return;
    }
    while (aicpi_json_member(&p->json, &key)) {
        if (aicpi_slice_is(key, "name")) {
            m.name = read_text(p);
        } else if (aicpi_slice_is(key, "provider")) {
            m.provider = read_text(p);
        } else if (aicpi_slice_is(key, "litellm_model")) {
            m.litellm_model = read_text(p);
        } else if (aicpi_slice_is(key, "price_key")) {
            m.price_key = read_text(p);
        } else if (aicpi_slice_is(key, "price_usd_per_unit")) {
            read_prices(p, &m);
        } else {
            (void)aicpi_json_skip(&p->json);
        }
    }
    if (!aicpi_json_ok(&p->json)) {
        return;
    }
    bool inserted = false;
    if (m.name[0] == '\0') {
        (void)aicpi_json_fail(&p->json, AICP_ERR_PARSE, at, "model without a name");
        return;
    }
    aicpi_map_slot *slot = aicpi_map_put(&list->by_name, m.name, strlen(m.name), &inserted);
    if (slot == NULL || !aicpi_grow(
                            &list->allocator,
                            (void **)&list->models,
                            &list->capacity,
                            list->count,
                            sizeof *list->models)) {
        (void)out_of_memory(p);
        return;
    }
    if (!inserted) {
        (void)aicpi_json_fail(&p->json, AICP_ERR_EXISTS, at, "model \"%s\" twice", m.name);
        return;
    }
    list->models[list->count++] = m;
    slot->value.u64 = list->count;
}

/* An object of name -> array of names. */
static void read_groups(parser *p, aicpi_map *map) {
    aicpi_slice key;
    if (!aicpi_json_object(&p->json)) {
        return;
    }
    while (aicpi_json_member(&p->json, &key)) {
        bool inserted;
        const char *name = aicpi_arena_strndup(&p->list->arena, key.data, key.len);
        names *n = aicpi_arena_calloc(&p->list->arena, 1, sizeof *n);
        aicpi_map_slot *slot =
            name != NULL && n != NULL ? aicpi_map_put(map, name, key.len, &inserted) : NULL;
        if (slot == NULL) {
            (void)out_of_memory(p);
            return;
        }
        slot->value.ptr = n;
        if (!aicpi_json_array(&p->json)) {
            return;
        }
        while (aicpi_json_element(&p->json)) {
            const char *item = read_text(p);
            if (!aicpi_arena_grow(
                    &p->list->arena,
                    (void **)&n->items,
                    &n->capacity,
                    n->count,
                    sizeof *n->items)) {
                (void)out_of_memory(p);
                return;
            }
            n->items[n->count++] = item;
        }
    }
}

static void read_models(parser *p) {
    if (aicpi_json_array(&p->json)) {
        while (aicpi_json_element(&p->json)) {
            read_model(p);
        }
    }
}

static void read_list(parser *p) {
    aicpi_slice key;
    if (!aicpi_json_object(&p->json)) {
        return;
    }
    while (aicpi_json_member(&p->json, &key)) {
        if (aicpi_slice_is(key, "schema")) {
            size_t at = aicpi_json_offset(&p->json);
            if (strcmp(read_text(p), "aicp-models/1") != 0) {
                (void)aicpi_json_fail(
                    &p->json, AICP_ERR_UNSUPPORTED, at, "schema is not \"aicp-models/1\"");
            }
        } else if (aicpi_slice_is(key, "models")) {
            read_models(p);
        } else if (aicpi_slice_is(key, "aliases")) {
            read_groups(p, &p->list->aliases);
        } else if (aicpi_slice_is(key, "fallbacks")) {
            read_groups(p, &p->list->chains);
        } else {
            (void)aicpi_json_skip(&p->json);
        }
    }
}

aicp_status aicp_model_list_parse(
    const char *data,
    size_t len,
    const aicp_allocator *allocator,
    aicp_model_list **out,
    aicp_error *err) {
    aicp_allocator a = aicpi_allocator(allocator);
    aicp_model_list *list = aicpi_calloc(&a, 1, sizeof *list);
    *out = NULL;
    if (list == NULL) {
        return aicpi_nomem(err);
    }
    list->allocator = a;
    aicpi_ref_init(&list->ref);
    aicpi_arena_init(&list->arena, &a, 16 * 1024, 0);
    aicpi_map_init(&list->by_name, &a);
    aicpi_map_init(&list->aliases, &a);
    aicpi_map_init(&list->chains, &a);

    aicpi_arena scratch;
    parser p = {.list = list};
    aicpi_arena_init(&scratch, &a, 16 * 1024, 0);
    aicpi_json_init(&p.json, &scratch, data, len, 0);
    read_list(&p);
    aicp_status status = aicpi_json_finish(&p.json, err);
    aicpi_arena_deinit(&scratch);
    if (status != AICP_OK) {
        aicp_model_list_free(list);
        return aicpi_error_prefix(err, status, "model list");
    }
    *out = list;
    return AICP_OK;
}

aicp_model_list *aicp_model_list_ref(aicp_model_list *list) {
    aicpi_ref_get(&list->ref);
    return list;
}

void aicp_model_list_free(aicp_model_list *list) {
    if (list == NULL || !aicpi_ref_put(&list->ref)) {
        return;
    }
    aicp_allocator a = list->allocator;
    aicpi_map_deinit(&list->by_name);
    aicpi_map_deinit(&list->aliases);
    aicpi_map_deinit(&list->chains);
    aicpi_arena_deinit(&list->arena);
    aicpi_free(&a, list->models);
    aicpi_free(&a, list);
}

size_t aicp_model_list_count(const aicp_model_list *list) {
    return list->count;
}

aicp_status aicp_model_list_find(
    const aicp_model_list *list, const char *data, size_t len, size_t *index, aicp_error *err) {
    const aicpi_map_slot *slot = aicpi_map_find(&list->by_name, data, len);
    *index = slot != NULL ? (size_t)slot->value.u64 - 1 : 0;
    if (slot != NULL) {
        return AICP_OK;
    }
    return aicpi_fail(
        err,
        AICP_ERR_UNKNOWN_MODEL,
        "no model \"%.*s\" in the list",
        (int)(len > 120 ? 120 : len),
        data);
}

const char *aicp_model_list_name(const aicp_model_list *list, size_t index) {
    return index < list->count ? list->models[index].name : NULL;
}

const char *aicp_model_list_provider(const aicp_model_list *list, size_t index) {
    return index < list->count ? list->models[index].provider : NULL;
}

const char *aicp_model_list_litellm_model(const aicp_model_list *list, size_t index) {
    return index < list->count ? list->models[index].litellm_model : NULL;
}

const char *aicp_model_list_price_key(const aicp_model_list *list, size_t index) {
    return index < list->count ? list->models[index].price_key : NULL;
}

static const char *member(const aicpi_map *map, const char *data, size_t len, size_t i) {
    const aicpi_map_slot *slot = aicpi_map_find(map, data, len);
    const names *n = slot != NULL ? slot->value.ptr : NULL;
    return n != NULL && i < n->count ? n->items[i] : NULL;
}

const char *aicp_model_list_fallback(const aicp_model_list *list, size_t index, size_t fallback) {
    const char *name = aicp_model_list_name(list, index);
    return name != NULL ? member(&list->chains, name, strlen(name), fallback) : NULL;
}

const char *aicp_model_list_alias_member(
    const aicp_model_list *list, const char *data, size_t len, size_t index) {
    return member(&list->aliases, data, len, index);
}

bool aicpi_model_list_price(
    const aicp_model_list *list, size_t index, aicpi_slice *input, aicpi_slice *output) {
    const model *m = &list->models[index];
    *input = m->input;
    *output = m->output;
    return m->price_key[0] == '\0' && m->input.len > 0 && m->output.len > 0;
}
