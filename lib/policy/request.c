#include "lib/policy/request.h"

#include "lib/base/error.h"
#include "lib/base/text.h"
#include "lib/policy/brief.h"
#include "lib/policy/extension.h"

aicp_status aicp_policy_request_new(
    const aicp_allocator *allocator, aicp_policy_request **out, aicp_error *err) {
    *out = NULL;
    aicp_allocator a = aicpi_allocator(allocator);
    aicp_policy_request *request = aicpi_calloc(&a, 1, sizeof *request);
    if (!request) {
        return aicpi_nomem(err);
    }
    request->allocator = a;
    aicpi_arena_init(&request->arena, &a, 0, 0);
    aicpi_arena_init(&request->scratch, &a, 0, 0);
    aicpi_policy_intern_init(&request->intern, &request->arena, false);
    request->reader.allocator = a;
    request->reader.conform = &request->conform;
    *out = request;
    return AICP_OK;
}

void aicp_policy_request_free(aicp_policy_request *request) {
    if (!request) {
        return;
    }
    aicp_allocator a = request->allocator;
    aicpi_policy_lookup_free(request->lookup);
    aicp_policy_schema_free(request->schema);
    aicpi_policy_reader_deinit(&request->reader);
    aicpi_arena_deinit(&request->arena);
    aicpi_arena_deinit(&request->scratch);
    aicpi_free(&a, request);
}

void aicp_policy_request_reset(aicp_policy_request *request) {
    aicpi_arena_reset(&request->arena);
    memset(request->vars, 0, sizeof request->vars);
    memset(request->types, 0, sizeof request->types);
    request->context = (aicpi_policy_fields){0};
    request->guests = NULL;
    request->guest_count = 0;
    request->guest_capacity = 0;
    aicpi_policy_lookup_forget(request->lookup);
}

aicp_status aicpi_policy_request_complete(const aicp_policy_request *request, aicp_error *err) {
    static const char *const names[] = {"principal", "action", "resource"};
    for (int i = 0; i < 3; i++) {
        if (!request->vars[i]) {
            return aicpi_fail(err, AICP_ERR_STATE, "the request has no %s", names[i]);
        }
    }
    return AICP_OK;
}

aicp_status aicp_policy_request_set_lookup(
    aicp_policy_request *request,
    aicp_policy_lookup_fn fn,
    void *user,
    aicp_policy_release_fn release,
    aicp_error *err) {
    aicpi_policy_lookup *lookup = NULL;
    if (!fn && release) {
        release(user);
    }
    if (fn) {
        lookup = aicpi_policy_lookup_new(&request->allocator, fn, user, release);
        if (!lookup) {
            return aicpi_nomem(err);
        }
    }
    aicpi_policy_lookup_free(request->lookup);
    request->lookup = lookup;
    aicpi_policy_lookup_use(lookup, request->schema);
    return AICP_OK;
}

void aicp_policy_request_set_schema(aicp_policy_request *request, aicp_policy_schema *schema) {
    aicp_policy_schema *held = schema ? aicp_policy_schema_ref(schema) : NULL;
    aicp_policy_schema_free(request->schema);
    request->schema = held;
    aicpi_policy_lookup_use(request->lookup, held);
}

/* ---- texts ---- */

static aicp_status make_str(
    aicp_policy_request *request, aicpi_slice text, const aicpi_policy_str **out, aicp_error *err) {
    if ((!text.data && text.len > 0) || !aicpi_utf8_valid(text.data, text.len, NULL)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "a text is not valid UTF-8");
    }
    *out = aicpi_policy_intern_str(&request->intern, text);
    return *out ? AICP_OK : aicpi_nomem(err);
}

static aicp_status make_type(
    aicp_policy_request *request, aicpi_slice type, const aicpi_policy_str **out, aicp_error *err) {
    if (!type.data || !aicpi_policy_is_path(type)) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "'%s' is not an entity type",
            aicpi_policy_brief_of(type.data ? type : AICPI_SLICE("")).text);
    }
    *out = aicpi_policy_intern_str(&request->intern, type);
    return *out ? AICP_OK : aicpi_nomem(err);
}

static aicp_status make_uid(
    aicp_policy_request *request,
    aicpi_slice type,
    aicpi_slice id,
    const aicpi_policy_uid **out,
    aicp_error *err) {
    const aicpi_policy_str *type_str = NULL;
    const aicpi_policy_str *id_str = NULL;
    aicp_status status = make_type(request, type, &type_str, err);
    if (status == AICP_OK) {
        status = make_str(request, id, &id_str, err);
    }
    if (status != AICP_OK) {
        return status;
    }
    const aicpi_policy_uid *uid = aicpi_policy_intern_uid(&request->intern, type_str, id_str);
    if (!uid) {
        return aicpi_nomem(err);
    }
    *out = uid;
    return AICP_OK;
}

aicp_status aicp_policy_request_set_principal(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err) {
    return make_uid(
        request,
        aicpi_slice_of(type, type_len),
        aicpi_slice_of(id, id_len),
        &request->vars[AICPI_POLICY_VAR_PRINCIPAL],
        err);
}

aicp_status aicp_policy_request_set_action(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err) {
    return make_uid(
        request,
        aicpi_slice_of(type, type_len),
        aicpi_slice_of(id, id_len),
        &request->vars[AICPI_POLICY_VAR_ACTION],
        err);
}

aicp_status aicp_policy_request_set_resource(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err) {
    return make_uid(
        request,
        aicpi_slice_of(type, type_len),
        aicpi_slice_of(id, id_len),
        &request->vars[AICPI_POLICY_VAR_RESOURCE],
        err);
}

aicp_status aicp_policy_request_set_unknown(
    aicp_policy_request *request,
    int32_t part,
    const char *type,
    size_t type_len,
    aicp_error *err) {
    const aicpi_policy_str *name = NULL;
    if (part < AICP_POLICY_PRINCIPAL || part > AICP_POLICY_RESOURCE) {
        return aicpi_fail(err, AICP_ERR_INVALID, "a request has no part %d", (int)part);
    }
    aicp_status status =
        type_len == 0 ? AICP_OK : make_type(request, aicpi_slice_of(type, type_len), &name, err);
    if (status != AICP_OK) {
        return status;
    }
    request->vars[part] = NULL;
    request->types[part] = name;
    return AICP_OK;
}

/* ---- attributes ---- */

/* Sets a field, keeping the order. */
static aicp_status
put(aicp_policy_request *request,
    aicpi_policy_fields *fields,
    const char *name,
    aicpi_policy_value value,
    aicp_error *err) {
    const aicpi_policy_str *key = NULL;
    if (!name) {
        return aicpi_fail(err, AICP_ERR_INVALID, "an attribute needs a name");
    }
    aicp_status status = make_str(request, aicpi_slice_cstr(name), &key, err);
    if (status != AICP_OK) {
        return status;
    }
    size_t at =
        aicpi_policy_lower_bound(fields->items, fields->count, sizeof *fields->items, key->hash);
    for (size_t i = at; i < fields->count && fields->items[i].hash == key->hash; i++) {
        if (aicpi_policy_str_eq(fields->items[i].key, key)) {
            fields->items[i].value = value;
            return AICP_OK;
        }
    }
    if (fields->count >= UINT32_MAX) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "too many attributes");
    }
    if (!aicpi_arena_grow(
            &request->arena,
            (void **)&fields->items,
            &fields->capacity,
            fields->count,
            sizeof *fields->items)) {
        return aicpi_nomem(err);
    }
    memmove(
        fields->items + at + 1, fields->items + at, (fields->count - at) * sizeof *fields->items);
    fields->items[at] = (aicpi_policy_field){.hash = key->hash, .key = key, .value = value};
    fields->count++;
    return AICP_OK;
}

static aicp_status put_string(
    aicp_policy_request *request,
    aicpi_policy_fields *fields,
    const char *name,
    aicpi_slice text,
    aicp_error *err) {
    const aicpi_policy_str *s = NULL;
    aicp_status status = make_str(request, text, &s, err);
    return status == AICP_OK ? put(request, fields, name, aicpi_policy_of_string(s), err) : status;
}

/* Items of a set of strings as the caller gives them. */
typedef struct texts {
    const char *const *items;
    const size_t *lens;
    size_t count;
} texts;

static aicp_status put_string_set(
    aicp_policy_request *request,
    aicpi_policy_fields *fields,
    const char *name,
    texts t,
    aicp_error *err) {
    aicpi_policy_element *items = aicpi_arena_calloc(&request->arena, t.count, sizeof *items);
    if (!items) {
        return aicpi_nomem(err);
    }
    for (size_t i = 0; i < t.count; i++) {
        const aicpi_policy_str *s = NULL;
        aicpi_slice text =
            t.lens ? aicpi_slice_of(t.items[i], t.lens[i]) : aicpi_slice_cstr(t.items[i]);
        aicp_status status = make_str(request, text, &s, err);
        if (status != AICP_OK) {
            return status;
        }
        items[i].value = aicpi_policy_of_string(s);
    }
    aicpi_policy_value value = {.kind = AICPI_POLICY_SET};
    value.u.set = aicpi_policy_set_make(&request->arena, items, t.count);
    return value.u.set ? put(request, fields, name, value, err) : aicpi_nomem(err);
}

static aicp_status put_entity(
    aicp_policy_request *request,
    aicpi_policy_fields *fields,
    const char *name,
    const char *type,
    const char *id,
    aicp_error *err) {
    const aicpi_policy_uid *uid = NULL;
    if (!type || !id) {
        return aicpi_fail(err, AICP_ERR_INVALID, "an entity needs a type and an id");
    }
    aicp_status status = make_uid(request, aicpi_slice_cstr(type), aicpi_slice_cstr(id), &uid, err);
    return status == AICP_OK ? put(request, fields, name, aicpi_policy_of_entity(uid), err)
                             : status;
}

/* A value that an extension function makes of a text. */
static aicp_status put_call(
    aicp_policy_request *request,
    aicpi_policy_fields *fields,
    const char *name,
    int fn,
    aicpi_slice text,
    aicp_error *err) {
    const aicpi_policy_str *s = NULL;
    aicp_status status = make_str(request, text, &s, err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_policy_value arg = aicpi_policy_of_string(s);
    aicpi_policy_value value;
    aicpi_policy_fault fault;
    if (aicpi_policy_fn_call(fn, &arg, 1, &request->arena, &value, &fault)) {
        return put(request, fields, name, value, err);
    }
    if (fault.kind == 0) {
        return aicpi_nomem(err);
    }
    return aicpi_fail(
        err,
        AICP_ERR_INVALID,
        "%s: '%s': %s",
        aicpi_policy_fns[fn].name,
        aicpi_policy_brief_of(text).text,
        fault.reason);
}

/* `uid` is whose values are read; NULL: the context's. */
static void start_json(
    aicp_policy_request *request, const aicpi_policy_uid *uid, const char *data, size_t len) {
    aicpi_arena_reset(&request->scratch);
    aicpi_policy_reader_start(&request->reader, &request->intern, &request->scratch, data, len);
    request->conform.schema = request->schema;
    request->conform.uid = uid;
    request->conform.part = "attribute";
}

/* Where a value from JSON goes. */
typedef struct target {
    aicpi_policy_fields *fields;
    const aicpi_policy_uid *uid;   /* NULL: the context */
    const aicpi_policy_type *type; /* of the whole record; NULL: without schema */
} target;

static aicp_status put_json(
    aicp_policy_request *request,
    const target *to,
    const char *name,
    aicpi_slice text,
    aicp_error *err) {
    aicpi_policy_value value;
    aicpi_policy_reader *r = &request->reader;
    start_json(request, to->uid, text.data, text.len);
    if (!to->type || !name) {
        aicpi_policy_read_value(r, &value);
    } else {
        aicpi_policy_place at = {0};
        aicp_status made = make_str(request, aicpi_slice_cstr(name), &at.key, err);
        if (made != AICP_OK) {
            return made;
        }
        const aicpi_policy_type *type = aicpi_policy_conform_attr(r->conform, to->type, &at);
        if (!type) {
            return aicpi_fail(err, AICP_ERR_POLICY_TYPE, "%s", r->conform->message);
        }
        aicpi_policy_read_attribute(r, type, at.key, &value);
    }
    aicp_status status = aicpi_json_finish(&r->json, err);
    return status == AICP_OK ? put(request, to->fields, name, value, err) : status;
}

/* ---- context ---- */

/* The type that the action gives the context; NULL without schema. */
static aicp_status
context_type(aicp_policy_request *request, const aicpi_policy_type **type, aicp_error *err) {
    const aicpi_policy_uid *uid = request->vars[AICPI_POLICY_VAR_ACTION];
    *type = NULL;
    if (!request->schema) {
        return AICP_OK;
    }
    if (!uid) {
        return aicpi_fail(
            err, AICP_ERR_STATE, "the action, whose schema the context follows, is not set");
    }
    const aicpi_policy_action *action = aicpi_policy_schema_action(request->schema, uid);
    if (!action) {
        return aicpi_fail(
            err,
            AICP_ERR_POLICY_TYPE,
            "the action %s is not declared",
            aicpi_policy_brief_uid(uid).text);
    }
    *type = action->context;
    return AICP_OK;
}

/* Without a schema the whole context is a value like any other, so an escape is no record. */
static void read_context(aicpi_policy_reader *r, const aicpi_policy_record **out) {
    size_t at = aicpi_json_offset(&r->json);
    aicpi_policy_value value;
    if (!aicpi_policy_read_value(r, &value)) {
        return;
    }
    if (value.kind != AICPI_POLICY_RECORD) {
        aicpi_json_fail(&r->json, AICP_ERR_PARSE, at, "the context is not a record");
        return;
    }
    *out = value.u.record;
}

aicp_status aicp_policy_request_set_context_json(
    aicp_policy_request *request, const char *data, size_t len, aicp_error *err) {
    const aicpi_policy_record *record = &aicpi_policy_empty_record;
    const aicpi_policy_type *type = NULL;
    request->context = (aicpi_policy_fields){0};
    aicp_status status = context_type(request, &type, err);
    if (status != AICP_OK) {
        return status;
    }
    start_json(request, NULL, data, len);
    if (type) {
        aicpi_policy_read_declared(&request->reader, type, &record);
    } else {
        read_context(&request->reader, &record);
    }
    status = aicpi_json_finish(&request->reader.json, err);
    if (status == AICP_OK) {
        /* The record is ours alone, made a moment ago in our arena: it may grow further. */
        request->context.items = (aicpi_policy_field *)record->fields;
        request->context.count = record->count;
        request->context.capacity = record->count;
    }
    return status;
}

aicp_status aicp_policy_request_context_bool(
    aicp_policy_request *request, const char *name, int32_t value, aicp_error *err) {
    return put(request, &request->context, name, aicpi_policy_of_bool(value != 0), err);
}

aicp_status aicp_policy_request_context_long(
    aicp_policy_request *request, const char *name, int64_t value, aicp_error *err) {
    aicpi_policy_value v = aicpi_policy_of_number(AICPI_POLICY_LONG, value);
    return put(request, &request->context, name, v, err);
}

aicp_status aicp_policy_request_context_string(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err) {
    return put_string(request, &request->context, name, aicpi_slice_of(data, len), err);
}

aicp_status aicp_policy_request_context_string_set(
    aicp_policy_request *request,
    const char *name,
    const char *const *items,
    const size_t *lens,
    size_t count,
    aicp_error *err) {
    texts t = {.items = items, .lens = lens, .count = count};
    return put_string_set(request, &request->context, name, t, err);
}

aicp_status aicp_policy_request_context_entity(
    aicp_policy_request *request,
    const char *name,
    const char *type,
    const char *id,
    aicp_error *err) {
    return put_entity(request, &request->context, name, type, id, err);
}

aicp_status aicp_policy_request_context_ip(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err) {
    aicpi_slice text = aicpi_slice_of(data, len);
    return put_call(request, &request->context, name, AICPI_POLICY_FN_IP, text, err);
}

aicp_status aicp_policy_request_context_decimal(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err) {
    aicpi_slice text = aicpi_slice_of(data, len);
    return put_call(request, &request->context, name, AICPI_POLICY_FN_DECIMAL, text, err);
}

aicp_status aicp_policy_request_context_datetime(
    aicp_policy_request *request, const char *name, int64_t epoch_ms, aicp_error *err) {
    aicpi_policy_value v = aicpi_policy_of_number(AICPI_POLICY_DATETIME, epoch_ms);
    return put(request, &request->context, name, v, err);
}

aicp_status aicp_policy_request_context_duration(
    aicp_policy_request *request, const char *name, int64_t duration_ms, aicp_error *err) {
    aicpi_policy_value v = aicpi_policy_of_number(AICPI_POLICY_DURATION, duration_ms);
    return put(request, &request->context, name, v, err);
}

aicp_status aicp_policy_request_context_json(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err) {
    target to = {.fields = &request->context};
    aicp_status status = context_type(request, &to.type, err);
    return status == AICP_OK ? put_json(request, &to, name, aicpi_slice_of(data, len), err)
                             : status;
}

/* ---- entities ---- */

aicp_status aicp_policy_request_entity_begin(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err) {
    const aicpi_policy_uid *uid = NULL;
    aicp_status status =
        make_uid(request, aicpi_slice_of(type, type_len), aicpi_slice_of(id, id_len), &uid, err);
    if (status != AICP_OK) {
        return status;
    }
    for (size_t i = 0; i < request->guest_count; i++) {
        if (aicpi_policy_uid_eq(request->guests[i].uid, uid)) {
            return aicpi_fail(
                err,
                AICP_ERR_EXISTS,
                "the entity %s was begun before",
                aicpi_policy_brief_uid(uid).text);
        }
    }
    if (request->guest_count >= AICP_POLICY_OVERLAY_MAX) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "a request has at most %d entities", AICP_POLICY_OVERLAY_MAX);
    }
    if (!aicpi_arena_grow(
            &request->arena,
            (void **)&request->guests,
            &request->guest_capacity,
            request->guest_count,
            sizeof *request->guests)) {
        return aicpi_nomem(err);
    }
    request->guests[request->guest_count++] = (aicpi_policy_guest){.uid = uid};
    return AICP_OK;
}

/* The entity begun last; NULL, with the error filled in, when there is none. */
static aicpi_policy_guest *last_guest(aicp_policy_request *request, aicp_error *err) {
    if (request->guest_count == 0) {
        aicpi_fail(err, AICP_ERR_STATE, "no entity was begun");
        return NULL;
    }
    return &request->guests[request->guest_count - 1];
}

aicp_status aicp_policy_request_entity_parent(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err) {
    aicpi_policy_guest *guest = last_guest(request, err);
    const aicpi_policy_uid *uid = NULL;
    if (!guest) {
        return AICP_ERR_STATE;
    }
    aicp_status status =
        make_uid(request, aicpi_slice_of(type, type_len), aicpi_slice_of(id, id_len), &uid, err);
    if (status != AICP_OK) {
        return status;
    }
    if (!aicpi_arena_grow(
            &request->arena,
            (void **)&guest->parents,
            &guest->parent_capacity,
            guest->parent_count,
            sizeof *guest->parents)) {
        return aicpi_nomem(err);
    }
    guest->parents[guest->parent_count++] = uid;
    return AICP_OK;
}

aicp_status aicp_policy_request_entity_attr_bool(
    aicp_policy_request *request, const char *name, int32_t value, aicp_error *err) {
    aicpi_policy_guest *guest = last_guest(request, err);
    return guest ? put(request, &guest->attrs, name, aicpi_policy_of_bool(value != 0), err)
                 : AICP_ERR_STATE;
}

aicp_status aicp_policy_request_entity_attr_long(
    aicp_policy_request *request, const char *name, int64_t value, aicp_error *err) {
    aicpi_policy_guest *guest = last_guest(request, err);
    aicpi_policy_value v = aicpi_policy_of_number(AICPI_POLICY_LONG, value);
    return guest ? put(request, &guest->attrs, name, v, err) : AICP_ERR_STATE;
}

aicp_status aicp_policy_request_entity_attr_string(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err) {
    aicpi_policy_guest *guest = last_guest(request, err);
    return guest ? put_string(request, &guest->attrs, name, aicpi_slice_of(data, len), err)
                 : AICP_ERR_STATE;
}

aicp_status aicp_policy_request_entity_attr_string_set(
    aicp_policy_request *request,
    const char *name,
    const char *const *items,
    const size_t *lens,
    size_t count,
    aicp_error *err) {
    aicpi_policy_guest *guest = last_guest(request, err);
    texts t = {.items = items, .lens = lens, .count = count};
    return guest ? put_string_set(request, &guest->attrs, name, t, err) : AICP_ERR_STATE;
}

aicp_status aicp_policy_request_entity_attr_entity(
    aicp_policy_request *request,
    const char *name,
    const char *type,
    const char *id,
    aicp_error *err) {
    aicpi_policy_guest *guest = last_guest(request, err);
    return guest ? put_entity(request, &guest->attrs, name, type, id, err) : AICP_ERR_STATE;
}

aicp_status aicp_policy_request_entity_attr_datetime(
    aicp_policy_request *request, const char *name, int64_t epoch_ms, aicp_error *err) {
    aicpi_policy_guest *guest = last_guest(request, err);
    aicpi_policy_value v = aicpi_policy_of_number(AICPI_POLICY_DATETIME, epoch_ms);
    return guest ? put(request, &guest->attrs, name, v, err) : AICP_ERR_STATE;
}

aicp_status aicp_policy_request_entity_attr_decimal(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err) {
    aicpi_policy_guest *guest = last_guest(request, err);
    aicpi_slice text = aicpi_slice_of(data, len);
    return guest ? put_call(request, &guest->attrs, name, AICPI_POLICY_FN_DECIMAL, text, err)
                 : AICP_ERR_STATE;
}

aicp_status aicp_policy_request_entity_attr_json(
    aicp_policy_request *request, const char *name, const char *data, size_t len, aicp_error *err) {
    aicpi_policy_guest *guest = last_guest(request, err);
    if (!guest) {
        return AICP_ERR_STATE;
    }
    const aicpi_policy_entity_type *type =
        request->schema ? aicpi_policy_schema_entity_type(request->schema, guest->uid->type) : NULL;
    target to = {.fields = &guest->attrs, .uid = guest->uid, .type = type ? type->shape : NULL};
    return put_json(request, &to, name, aicpi_slice_of(data, len), err);
}
