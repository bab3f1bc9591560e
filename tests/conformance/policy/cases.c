#include "conformance/policy/cases.h"

#include "lib/base/file.h"
#include "lib/base/strbuf.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

aicpi_slice case_file(const char *folder, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    cr_assert(f, "cannot open %s", path);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *data = malloc((size_t)size + 1);
    cr_assert(data && fread(data, 1, (size_t)size, f) == (size_t)size, "cannot read %s", path);
    fclose(f);
    data[size] = '\0';
    return aicpi_slice_of(data, (size_t)size);
}

void case_free(aicpi_slice file) {
    free((char *)file.data);
}

const char *case_unpack(const char *archive) {
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/aicp-policy-XXXXXX");
    cr_assert(mkdtemp(folder), "cannot make a folder in /tmp");
    char command[2048];
    snprintf(
        command,
        sizeof command,
        "tar -xzf '%s/policy/%s' -C '%s'",
        AICP_TEST_DATA,
        archive,
        folder);
    cr_assert_eq(system(command), 0, "cannot unpack %s", archive);
    return folder;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void case_remove(const char *folder) {
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool case_next_line(aicpi_slice *rest, aicpi_slice *line) {
    if (rest->len == 0) {
        return false;
    }
    const char *end = memchr(rest->data, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    *line = aicpi_slice_of(rest->data, len);
    size_t used = len + (end ? 1 : 0);
    *rest = aicpi_slice_of(rest->data + used, rest->len - used);
    return true;
}

typedef struct json_member {
    aicpi_slice key;
    aicpi_slice value; /* its canonical form */
} json_member;

static int by_key(const void *a, const void *b) {
    return aicpi_slice_cmp(((const json_member *)a)->key, ((const json_member *)b)->key);
}

static aicpi_slice canonical(aicpi_json *json, aicpi_arena *arena);

static void canonical_object(aicpi_json *json, aicpi_arena *arena, aicpi_strbuf *out) {
    json_member *members = NULL;
    size_t capacity = 0;
    size_t count = 0;
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        cr_assert(aicpi_arena_grow(arena, (void **)&members, &capacity, count, sizeof *members));
        members[count].key = key;
        members[count++].value = canonical(json, arena);
    }
    if (count > 0) {
        qsort(members, count, sizeof *members, by_key);
    }
    for (size_t i = 0; i < count; i++) {
        aicpi_strbuf_json(out, members[i].key.data, members[i].key.len);
        aicpi_strbuf_putc(out, ':');
        aicpi_strbuf_append(out, members[i].value.data, members[i].value.len);
    }
}

/* The value at hand with sorted keys, without blanks, in the arena. */
static aicpi_slice canonical(aicpi_json *json, aicpi_arena *arena) {
    aicpi_strbuf out;
    aicpi_slice text = {0};
    aicpi_strbuf_init(&out, NULL, AICPI_STRBUF_MAX);
    switch (aicpi_json_peek(json)) {
    case AICPI_JSON_OBJECT:
        aicpi_strbuf_putc(&out, '{');
        canonical_object(json, arena, &out);
        aicpi_strbuf_putc(&out, '}');
        break;
    case AICPI_JSON_ARRAY:
        aicpi_strbuf_putc(&out, '[');
        for (aicpi_json_array(json); aicpi_json_element(json); aicpi_strbuf_putc(&out, ',')) {
            text = canonical(json, arena);
            aicpi_strbuf_append(&out, text.data, text.len);
        }
        aicpi_strbuf_putc(&out, ']');
        break;
    case AICPI_JSON_STRING:
        aicpi_json_string(json, &text);
        aicpi_strbuf_json(&out, text.data, text.len);
        break;
    default:
        aicpi_json_span(json, &text);
        aicpi_strbuf_append(&out, text.data, text.len);
        break;
    }
    aicpi_slice kept = aicpi_slice_of(aicpi_arena_strndup(arena, out.data, out.len), out.len);
    aicpi_strbuf_deinit(&out);
    return kept;
}

bool case_same_json(aicpi_slice a, aicpi_slice b) {
    aicpi_arena arena;
    aicpi_arena_init(&arena, NULL, 0, 0);
    const aicpi_slice texts[] = {a, b};
    aicpi_slice forms[2];
    for (size_t i = 0; i < 2; i++) {
        aicpi_json json;
        aicp_error err;
        aicpi_json_init(&json, &arena, texts[i].data, texts[i].len, CASE_JSON_DEPTH);
        forms[i] = canonical(&json, &arena);
        cr_assert_eq(aicpi_json_finish(&json, &err), AICP_OK, "%s", err.message);
    }
    bool same = aicpi_slice_eq(forms[0], forms[1]);
    aicpi_arena_deinit(&arena);
    return same;
}

void case_reread(aicp_policy_set **set, int32_t format, uint32_t flags) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = flags;
    aicp_buf text = AICP_BUF_INIT;
    aicp_error err = {0};
    cr_assert_eq(aicp_policy_set_write(*set, format, &text, &err), AICP_OK, "%s", err.message);
    aicp_policy_set_free(*set);
    aicp_status status = aicp_policy_set_parse(text.data, text.len, &options, set, &err);
    cr_assert_eq(status, AICP_OK, "%u:%u: %s", err.line, err.column, err.message);
    aicp_buf_free(&text);
}

static void read_ids(aicpi_json *json, aicpi_slice *ids, size_t *count) {
    *count = 0;
    if (!aicpi_json_array(json)) {
        return;
    }
    while (aicpi_json_element(json)) {
        cr_assert_lt(*count, CASE_IDS_MOST);
        aicpi_json_string(json, &ids[(*count)++]);
    }
}

bool case_answer_member(aicpi_json *json, aicpi_slice key, case_answer *answer) {
    if (aicpi_slice_is(key, "decision")) {
        aicpi_slice text;
        if (aicpi_json_string(json, &text)) {
            answer->allow = aicpi_slice_is(text, "allow");
        }
    } else if (aicpi_slice_is(key, "reason")) {
        read_ids(json, answer->reasons, &answer->reason_count);
    } else if (aicpi_slice_is(key, "errors")) {
        read_ids(json, answer->errors, &answer->error_count);
    } else {
        return false;
    }
    return true;
}

static bool has_id(const aicpi_slice *ids, size_t count, const char *id) {
    for (size_t i = 0; i < count; i++) {
        if (aicpi_slice_is(ids[i], id)) {
            return true;
        }
    }
    return false;
}

bool case_answer_matches(const aicp_policy_response *response, const case_answer *answer) {
    size_t reasons = aicp_policy_response_reason_count(response);
    size_t errors = aicp_policy_response_error_count(response);
    bool allow = aicp_policy_response_decision(response) == AICP_POLICY_ALLOW;
    /* Each id stands at most once on either side, so equal counts and inclusion mean equal sets. */
    if (allow != answer->allow || reasons != answer->reason_count ||
        errors != answer->error_count) {
        return false;
    }
    for (size_t i = 0; i < reasons; i++) {
        if (!has_id(answer->reasons, reasons, aicp_policy_response_reason_id(response, i))) {
            return false;
        }
    }
    for (size_t i = 0; i < errors; i++) {
        if (!has_id(answer->errors, errors, aicp_policy_response_error_id(response, i))) {
            return false;
        }
    }
    return true;
}

aicp_status case_read_uid(aicpi_json *json, aicp_policy_request *request, int part) {
    aicpi_slice type = {0};
    aicpi_slice id = {0};
    if (aicpi_json_object(json)) {
        for (aicpi_slice key; aicpi_json_member(json, &key);) {
            if (aicpi_slice_is(key, "type")) {
                aicpi_json_string(json, &type);
            } else if (aicpi_slice_is(key, "id")) {
                aicpi_json_string(json, &id);
            } else {
                aicpi_json_skip(json);
            }
        }
    }
    switch (part) {
    case CASE_PRINCIPAL:
        return aicp_policy_request_set_principal(
            request, type.data, type.len, id.data, id.len, NULL);
    case CASE_ACTION:
        return aicp_policy_request_set_action(request, type.data, type.len, id.data, id.len, NULL);
    default:
        return aicp_policy_request_set_resource(
            request, type.data, type.len, id.data, id.len, NULL);
    }
}
