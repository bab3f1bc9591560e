/* The question to Cedar.
 *
 * Principal AICP::Key::"<key id>", in AICP::User, AICP::Team and AICP::Organization; action
 * AICP::Action::"chat" …; resource AICP::Model::"<name>", in AICP::Provider. The context is the
 * record documented in docs/bundle.md. */
#include "lib/gate/question.h"

#include "lib/gate/gate_internal.h"

#include "lib/base/json.h"

static const char *const action_names[] = {
    "chat", "complete", "embed", "respond", "image", "audio", "tool"};
static const char *const field_names[AICP_GATE_FIELD_COUNT] = {
    "key", "key_alias", "user", "team", "org", "end_user", "role", "ip", "source", "call_id"};

#define ACTION_COUNT ((int32_t)(sizeof action_names / sizeof *action_names))

const char *aicp_gate_action_name(int32_t action) {
    return action >= 0 && action < ACTION_COUNT ? action_names[action] : NULL;
}

const char *aicp_gate_field_name(int32_t field) {
    return field >= 0 && field < AICP_GATE_FIELD_COUNT ? field_names[field] : NULL;
}

/* ---- as a request to the policies ---- */

typedef struct asker {
    const aicpi_question *question;
    const aicp_policy_entities *entities;
    aicp_policy_request *q;
    aicp_error *err;
    aicp_status status; /* first failure */
} asker;

static void keep(asker *a, aicp_status status) {
    if (a->status == AICP_OK) {
        a->status = status;
    }
}

static bool is_told(const asker *a, aicpi_slice type, aicpi_slice id) {
    return a->entities &&
           aicp_policy_entities_contains(a->entities, type.data, type.len, id.data, id.len);
}

static void parent(asker *a, aicpi_slice type, aicpi_slice id) {
    if (id.len > 0) {
        keep(
            a,
            aicp_policy_request_entity_parent(a->q, type.data, type.len, id.data, id.len, a->err));
    }
}

static void attribute(asker *a, const char *name, aicpi_slice value) {
    if (value.len > 0) {
        keep(a, aicp_policy_request_entity_attr_string(a->q, name, value.data, value.len, a->err));
    }
}

static void put_principal(asker *a) {
    const aicpi_slice *f = a->question->fields;
    aicpi_slice type = AICPI_SLICE("AICP::Key");
    aicpi_slice id = f[AICP_GATE_KEY].len ? f[AICP_GATE_KEY] : AICPI_SLICE("anonymous");
    keep(a, aicp_policy_request_set_principal(a->q, type.data, type.len, id.data, id.len, a->err));
    if (is_told(a, type, id)) {
        return;
    }
    keep(a, aicp_policy_request_entity_begin(a->q, type.data, type.len, id.data, id.len, a->err));
    parent(a, AICPI_SLICE("AICP::User"), f[AICP_GATE_USER]);
    parent(a, AICPI_SLICE("AICP::Team"), f[AICP_GATE_TEAM]);
    parent(a, AICPI_SLICE("AICP::Organization"), f[AICP_GATE_ORG]);
    attribute(a, "alias", f[AICP_GATE_KEY_ALIAS]);
    attribute(a, "role", f[AICP_GATE_ROLE]);
}

static void put_resource(asker *a) {
    aicpi_slice type = AICPI_SLICE("AICP::Model");
    aicpi_slice model = a->question->model;
    keep(
        a,
        aicp_policy_request_set_resource(a->q, type.data, type.len, model.data, model.len, a->err));
    if (is_told(a, type, model)) {
        return;
    }
    keep(
        a,
        aicp_policy_request_entity_begin(a->q, type.data, type.len, model.data, model.len, a->err));
    const aicp_price *price = aicpi_price_of(a->question->prices, model);
    if (price) {
        parent(a, AICPI_SLICE("AICP::Provider"), aicpi_slice_cstr(aicp_price_provider(price)));
    }
}

static void put_strings(asker *a, const char *name, const aicpi_slice *items, size_t count) {
    const char *data[AICPI_TOOLS_MAX];
    size_t lens[AICPI_TOOLS_MAX];
    size_t n = count < AICPI_TOOLS_MAX ? count : AICPI_TOOLS_MAX;
    for (size_t i = 0; i < n; i++) {
        data[i] = items[i].data;
        lens[i] = items[i].len;
    }
    keep(a, aicp_policy_request_context_string_set(a->q, name, data, lens, n, a->err));
}

static void put_text(asker *a, const char *name, aicpi_slice value) {
    if (value.len > 0) {
        keep(a, aicp_policy_request_context_string(a->q, name, value.data, value.len, a->err));
    }
}

static void put_context(asker *a) {
    const aicpi_question *q = a->question;
    keep(a, aicp_policy_request_context_datetime(a->q, "time", q->wall_ns / 1000000, a->err));
    keep(a, aicp_policy_request_context_bool(a->q, "stream", q->stream, a->err));
    keep(a, aicp_policy_request_context_long(a->q, "input_tokens", q->input_tokens, a->err));
    keep(a, aicp_policy_request_context_long(a->q, "output_cap", q->output_cap, a->err));
    put_text(a, "model", q->model);
    put_text(a, "source", q->fields[AICP_GATE_SOURCE]);
    put_text(a, "end_user", q->fields[AICP_GATE_END_USER]);
    put_strings(a, "tags", q->tags, q->tag_count);
    put_strings(a, "tools", q->tools, q->tool_count);
    aicpi_slice ip = q->fields[AICP_GATE_IP];
    /* An address that is none (a socket path, a name) is left out, so that a policy that asks
     * `context has ip` fails closed, instead of refusing every request. */
    if (ip.len > 0) {
        (void)!aicp_policy_request_context_ip(a->q, "ip", ip.data, ip.len, NULL);
    }
}

aicp_status aicpi_question_put(
    const aicpi_question *question,
    const aicp_policy_entities *entities,
    aicp_policy_request *out,
    aicp_error *err) {
    asker a = {question, entities, out, err, AICP_OK};
    const char *action = action_names[question->action];
    aicp_policy_request_reset(out);
    put_principal(&a);
    keep(&a, aicp_policy_request_set_action(out, "AICP::Action", 12, action, strlen(action), err));
    put_resource(&a);
    put_context(&a);
    return a.status;
}

/* ---- from JSON ---- */

typedef struct reader {
    aicpi_json json;
    aicpi_question question;
    aicpi_slice fields[AICP_GATE_FIELD_COUNT];
    aicpi_slice tags[AICPI_TAGS_MAX];
    aicpi_slice tools[AICPI_TOOLS_MAX];
} reader;

static void read_names(reader *r, aicpi_slice *items, size_t *count, size_t max) {
    if (!aicpi_json_array(&r->json)) {
        return;
    }
    while (aicpi_json_element(&r->json)) {
        if (*count == max) {
            aicpi_json_fail(&r->json, AICP_ERR_LIMIT, r->json.pos, "more than %zu names", max);
        } else if (aicpi_json_string(&r->json, &items[*count])) {
            ++*count;
        }
    }
}

static void read_time(reader *r) {
    size_t at = aicpi_json_offset(&r->json);
    aicpi_slice text;
    if (aicpi_json_string(&r->json, &text) && !aicpi_time_parse(text, &r->question.wall_ns)) {
        aicpi_json_fail(&r->json, AICP_ERR_PARSE, at, "expected a time like 2026-01-31T12:00:00Z");
    }
}

static void read_action(reader *r) {
    size_t at = aicpi_json_offset(&r->json);
    aicpi_slice text;
    if (!aicpi_json_string(&r->json, &text)) {
        return;
    }
    for (int32_t i = 0; i < ACTION_COUNT; i++) {
        if (aicpi_slice_is(text, action_names[i])) {
            r->question.action = i;
            return;
        }
    }
    aicpi_json_fail(
        &r->json, AICP_ERR_PARSE, at, "no action is called '%.*s'", (int)text.len, text.data);
}

static bool read_field(reader *r, aicpi_slice key) {
    for (int32_t i = 0; i < AICP_GATE_FIELD_COUNT; i++) {
        if (aicpi_slice_is(key, field_names[i])) {
            aicpi_json_string(&r->json, &r->fields[i]);
            return true;
        }
    }
    return false;
}

static void read_member(reader *r, aicpi_slice key) {
    aicpi_question *q = &r->question;
    if (aicpi_slice_is(key, "model")) {
        aicpi_json_string(&r->json, &q->model);
    } else if (aicpi_slice_is(key, "action")) {
        read_action(r);
    } else if (aicpi_slice_is(key, "stream")) {
        aicpi_json_bool(&r->json, &q->stream);
    } else if (aicpi_slice_is(key, "input_tokens")) {
        aicpi_json_int64(&r->json, &q->input_tokens);
    } else if (aicpi_slice_is(key, "output_cap")) {
        aicpi_json_int64(&r->json, &q->output_cap);
    } else if (aicpi_slice_is(key, "time")) {
        read_time(r);
    } else if (aicpi_slice_is(key, "tags")) {
        read_names(r, r->tags, &q->tag_count, AICPI_TAGS_MAX);
    } else if (aicpi_slice_is(key, "tools")) {
        read_names(r, r->tools, &q->tool_count, AICPI_TOOLS_MAX);
    } else if (!read_field(r, key)) {
        aicpi_json_skip(&r->json);
    }
}

static aicp_status read_question(reader *r, const char *data, size_t len, aicp_error *err) {
    aicp_clock clock = aicpi_clock(NULL);
    r->question = (aicpi_question){
        .fields = r->fields,
        .tags = r->tags,
        .tools = r->tools,
        .output_cap = -1,
        .wall_ns = aicpi_wall_ns(&clock)};
    if (aicpi_json_object(&r->json)) {
        for (aicpi_slice key; aicpi_json_member(&r->json, &key);) {
            read_member(r, key);
        }
    }
    aicp_status status = aicpi_json_finish(&r->json, err);
    if (status == AICP_OK && r->question.model.len == 0) {
        status = aicpi_fail_at(err, AICP_ERR_PARSE, data, len, 0, "the question has no \"model\"");
    }
    return status;
}

aicp_status aicp_gate_question_parse(
    const char *data,
    size_t len,
    const aicp_policy_entities *entities,
    const aicp_price_table *prices,
    aicp_policy_request *out,
    aicp_error *err) {
    aicpi_arena arena;
    reader r;
    memset(&r, 0, sizeof r);
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_json_init(&r.json, &arena, data, len, 0);
    aicp_status status = read_question(&r, data, len, err);
    if (status == AICP_OK) {
        r.question.prices = prices;
        status = aicpi_question_put(&r.question, entities, out, err);
    }
    aicpi_arena_deinit(&arena);
    return status;
}
