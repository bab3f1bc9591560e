/* Readers of the sections that belong to the gate itself: guardrails, accounts, routes, settings.
 */
#include "lib/gate/gate_internal.h"

#include "lib/base/text.h"

#include <stdlib.h>

static bool unknown_key(aicpi_json *r, aicpi_slice key) {
    return aicpi_json_fail(
        r,
        AICP_ERR_PARSE,
        aicpi_json_offset(r),
        "unknown member \"%.*s\"",
        (int)(key.len < 60 ? key.len : 60),
        key.data);
}

static bool no_memory(aicpi_json *r) {
    return aicpi_json_fail(r, AICP_ERR_NOMEM, 0, "out of memory");
}

/* A string that stays with the bundle; must not be empty. */
static bool kept_string(aicpi_json *r, aicp_bundle *b, aicpi_slice *out) {
    size_t offset = aicpi_json_offset(r);
    aicpi_slice text;
    if (!aicpi_json_string(r, &text)) {
        return false;
    }
    if (text.len == 0) {
        return aicpi_json_fail(r, AICP_ERR_PARSE, offset, "must not be empty");
    }
    char *copy = aicpi_arena_strndup(&b->arena, text.data, text.len);
    *out = aicpi_slice_of(copy, text.len);
    return copy || no_memory(r);
}

static bool read_range(aicpi_json *r, int64_t low, int64_t high, int64_t *out) {
    size_t offset = aicpi_json_offset(r);
    int64_t value = 0;
    if (!aicpi_json_int64(r, &value)) {
        return false;
    }
    if (value < low || value > high) {
        return aicpi_json_fail(
            r, AICP_ERR_RANGE, offset, "must be %lld to %lld", (long long)low, (long long)high);
    }
    *out = value;
    return true;
}

/* ---- guardrails: {"default": name, "profiles": [...], "assignments": [{"match", "profile",
 * "priority"}]} ---- */

/* An error inside a profile tells its place in the profile; make it that of the file. */
static aicp_status
shift_error(aicp_error *err, aicp_status status, const char *data, size_t len, size_t base) {
    if (!err || err->line == 0) {
        return status;
    }
    char message[AICP_ERROR_MESSAGE_SIZE];
    memcpy(message, err->message, sizeof message);
    return aicpi_fail_at(err, status, data, len, base + (size_t)err->offset, "%s", message);
}

typedef struct guard_reader {
    aicp_bundle *b;
    aicpi_slice data;
    size_t profile_capacity;
    size_t assignment_capacity;
    aicp_error *err;
    aicp_status profile_status; /* of a profile's own parser */
} guard_reader;

static size_t profile_index(const aicp_bundle *b, aicpi_slice name) {
    size_t i = 0;
    while (i < b->profile_count && !aicpi_slice_eq(b->profiles[i].name, name)) {
        i++;
    }
    return i;
}

static bool read_profile(aicpi_json *r, guard_reader *g) {
    aicp_bundle *b = g->b;
    aicpi_slice raw;
    size_t offset = aicpi_json_offset(r);
    if (!aicpi_json_span(r, &raw)) {
        return false;
    }
    if (!aicpi_arena_grow(
            &b->arena,
            (void **)&b->profiles,
            &g->profile_capacity,
            b->profile_count,
            sizeof *b->profiles)) {
        return no_memory(r);
    }
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    options.allocator = &b->allocator;
    aicp_guard_profile *profile = NULL;
    aicp_status status = aicp_guard_profile_parse(raw.data, raw.len, &options, &profile, g->err);
    if (status != AICP_OK) {
        g->profile_status = shift_error(g->err, status, g->data.data, g->data.len, offset);
        return aicpi_json_fail(r, status, offset, "profile");
    }
    aicpi_slice name = aicpi_slice_cstr(aicp_guard_profile_name(profile));
    bool known = profile_index(b, name) < b->profile_count;
    b->profiles[b->profile_count++] = (aicpi_guard_named){name, profile};
    if (name.len == 0 || known) {
        return aicpi_json_fail(
            r,
            AICP_ERR_PARSE,
            offset,
            name.len ? "profile \"%s\" stands twice" : "a profile needs a name%s",
            name.data);
    }
    return true;
}

static bool read_profile_name(aicpi_json *r, const aicp_bundle *b, size_t *out) {
    size_t offset = aicpi_json_offset(r);
    aicpi_slice name;
    if (!aicpi_json_string(r, &name)) {
        return false;
    }
    *out = profile_index(b, name);
    return *out < b->profile_count || aicpi_json_fail(
                                          r,
                                          AICP_ERR_PARSE,
                                          offset,
                                          "no profile \"%.*s\" before this place",
                                          (int)(name.len < 60 ? name.len : 60),
                                          name.data);
}

static bool read_assignment(aicpi_json *r, guard_reader *g) {
    aicp_bundle *b = g->b;
    aicpi_guard_assignment a = {.profile = SIZE_MAX};
    aicpi_slice key;
    size_t offset = aicpi_json_offset(r);
    if (!aicpi_json_object(r)) {
        return false;
    }
    while (aicpi_json_member(r, &key)) {
        if (aicpi_slice_is(key, "match")) {
            aicpi_select_read_match(r, &b->arena, &a.select);
        } else if (aicpi_slice_is(key, "profile")) {
            read_profile_name(r, b, &a.profile);
        } else if (aicpi_slice_is(key, "priority")) {
            read_range(r, -1000000, 1000000, &a.priority);
        } else {
            unknown_key(r, key);
        }
    }
    if (!aicpi_json_ok(r)) {
        return false;
    }
    if (a.profile == SIZE_MAX || a.select.count == 0) {
        return aicpi_json_fail(
            r, AICP_ERR_PARSE, offset, "an assignment needs \"match\" and \"profile\"");
    }
    if (!aicpi_arena_grow(
            &b->arena,
            (void **)&b->assignments,
            &g->assignment_capacity,
            b->assignment_count,
            sizeof *b->assignments)) {
        return no_memory(r);
    }
    /* Kept by falling priority; of equal ones the later wins. */
    size_t at = b->assignment_count++;
    while (at > 0 && b->assignments[at - 1].priority <= a.priority) {
        b->assignments[at] = b->assignments[at - 1];
        at--;
    }
    b->assignments[at] = a;
    return true;
}

static void read_guardrail_members(aicpi_json *r, guard_reader *g) {
    aicp_bundle *b = g->b;
    aicpi_slice key;
    aicpi_slice fallback = {0};
    size_t fallback_offset = 0;
    if (!aicpi_json_object(r)) {
        return;
    }
    while (aicpi_json_member(r, &key)) {
        if (aicpi_slice_is(key, "default")) {
            fallback_offset = aicpi_json_offset(r);
            aicpi_json_string(r, &fallback);
        } else if (aicpi_slice_is(key, "profiles")) {
            for (bool ok = aicpi_json_array(r); ok && aicpi_json_element(r);) {
                ok = read_profile(r, g);
            }
        } else if (aicpi_slice_is(key, "assignments")) {
            for (bool ok = aicpi_json_array(r); ok && aicpi_json_element(r);) {
                ok = read_assignment(r, g);
            }
        } else {
            unknown_key(r, key);
        }
    }
    b->default_profile = fallback.data ? profile_index(b, fallback) : b->profile_count;
    if (fallback.data && b->default_profile == b->profile_count) {
        aicpi_json_fail(r, AICP_ERR_PARSE, fallback_offset, "no profile of this name");
    }
}

aicp_status aicpi_read_guardrails(aicp_bundle *b, const char *data, size_t len, aicp_error *err) {
    guard_reader g = {.b = b, .data = {data, len}, .err = err};
    aicpi_json r;
    aicpi_json_init(&r, &b->arena, data, len, 0);
    read_guardrail_members(&r, &g);
    return g.profile_status != AICP_OK ? g.profile_status : aicpi_json_finish(&r, err);
}

/* ---- accounts: [{"id", "name", "match", "per", "hard", "soft", "duration", "timezone",
 * "on_unknown_price"}] ---- */

static bool read_money(aicpi_json *r, int64_t *out) {
    size_t offset = aicpi_json_offset(r);
    aicpi_slice text;
    bool ok = aicpi_json_peek(r) == AICPI_JSON_STRING ? aicpi_json_string(r, &text)
                                                      : aicpi_json_number(r, &text);
    if (!ok) {
        return false;
    }
    if (aicp_money_parse(text.data, text.len, out, NULL) != AICP_OK || *out < 0) {
        return aicpi_json_fail(
            r, AICP_ERR_PARSE, offset, "expected an amount of dollars, 0 or more");
    }
    return true;
}

static bool read_soft(aicpi_json *r, aicp_bundle *b, aicpi_account_rule *rule) {
    size_t capacity = 0;
    if (!aicpi_json_array(r)) {
        return false;
    }
    while (aicpi_json_element(r)) {
        int64_t nano = 0;
        if (!read_money(r, &nano)) {
            return false;
        }
        if (rule->soft_count == AICP_LEDGER_THRESHOLDS_MAX) {
            return aicpi_json_fail(
                r, AICP_ERR_LIMIT, r->pos, "more than %d soft limits", AICP_LEDGER_THRESHOLDS_MAX);
        }
        if (!aicpi_arena_grow(
                &b->arena,
                (void **)&rule->soft_nano,
                &capacity,
                rule->soft_count,
                sizeof *rule->soft_nano)) {
            return no_memory(r);
        }
        rule->soft_nano[rule->soft_count++] = nano;
    }
    return aicpi_json_ok(r);
}

static bool read_name(aicpi_json *r, aicp_bundle *b, const char **out) {
    aicpi_slice text;
    if (!aicpi_json_string(r, &text)) {
        return false;
    }
    size_t len = aicpi_utf8_cut(text.data, text.len, AICPI_RULE_NAME_MAX);
    *out = aicpi_arena_strndup(&b->arena, text.data, len);
    return *out || no_memory(r);
}

static bool read_unknown_price(aicpi_json *r, aicpi_account_rule *rule) {
    size_t offset = aicpi_json_offset(r);
    aicpi_slice text;
    if (!aicpi_json_string(r, &text)) {
        return false;
    }
    rule->allow_unknown_price = aicpi_slice_is(text, "allow");
    return rule->allow_unknown_price || aicpi_slice_is(text, "deny") ||
           aicpi_json_fail(r, AICP_ERR_PARSE, offset, "expected \"deny\" or \"allow\"");
}

/* Checks duration and zone now, so that a bundle with a wrong one is refused as a whole. */
static bool check_window(aicpi_json *r, const aicpi_account_rule *rule, size_t offset) {
    aicp_budget_window_options options = AICP_BUDGET_WINDOW_OPTIONS_INIT;
    options.timezone = rule->timezone;
    options.timezone_len = rule->timezone ? strlen(rule->timezone) : 0;
    aicp_budget_window *window = NULL;
    aicp_error err = {0};
    const char *text = rule->duration ? rule->duration : "";
    aicp_status status = aicp_budget_window_parse(text, strlen(text), &options, &window, &err);
    aicp_budget_window_free(window);
    return status == AICP_OK || aicpi_json_fail(r, status, offset, "%s", err.message);
}

static bool read_account(aicpi_json *r, aicp_bundle *b, aicpi_account_rule *rule) {
    aicpi_slice key;
    aicpi_slice text = {0};
    size_t offset = aicpi_json_offset(r);
    rule->hard_nano = -1;
    if (!aicpi_json_object(r)) {
        return false;
    }
    while (aicpi_json_member(r, &key)) {
        if (aicpi_slice_is(key, "id")) {
            kept_string(r, b, &rule->id);
        } else if (aicpi_slice_is(key, "name")) {
            read_name(r, b, &rule->name);
        } else if (aicpi_slice_is(key, "match")) {
            aicpi_select_read_match(r, &b->arena, &rule->select);
        } else if (aicpi_slice_is(key, "per")) {
            aicpi_select_read_per(r, &rule->select);
        } else if (aicpi_slice_is(key, "hard")) {
            read_money(r, &rule->hard_nano);
        } else if (aicpi_slice_is(key, "soft")) {
            read_soft(r, b, rule);
        } else if (aicpi_slice_is(key, "duration")) {
            rule->duration = kept_string(r, b, &text) ? text.data : NULL;
        } else if (aicpi_slice_is(key, "timezone")) {
            rule->timezone = kept_string(r, b, &text) ? text.data : NULL;
        } else if (aicpi_slice_is(key, "on_unknown_price")) {
            read_unknown_price(r, rule);
        } else if (aicpi_slice_is(key, "description")) {
            aicpi_json_skip(r);
        } else {
            unknown_key(r, key);
        }
    }
    if (!aicpi_json_ok(r)) {
        return false;
    }
    if (rule->id.len == 0 || rule->id.len > 128) {
        return aicpi_json_fail(
            r, AICP_ERR_PARSE, offset, "an account needs an \"id\" of 1 to 128 bytes");
    }
    return check_window(r, rule, offset);
}

static bool account_known(const aicp_bundle *b, aicpi_slice id) {
    for (size_t i = 0; i < b->account_count; i++) {
        if (aicpi_slice_eq(b->accounts[i].id, id)) {
            return true;
        }
    }
    return false;
}

aicp_status aicpi_read_accounts(aicp_bundle *b, const char *data, size_t len, aicp_error *err) {
    aicpi_json r;
    size_t capacity = 0;
    aicpi_json_init(&r, &b->arena, data, len, 0);
    if (aicpi_json_array(&r)) {
        while (aicpi_json_element(&r)) {
            aicpi_account_rule rule = {0};
            size_t offset = aicpi_json_offset(&r);
            if (!read_account(&r, b, &rule)) {
                break;
            }
            rule.digest = aicpi_hash(0, data + offset, r.pos - offset);
            if (account_known(b, rule.id)) {
                aicpi_json_fail(
                    &r, AICP_ERR_EXISTS, offset, "account \"%s\" stands twice", rule.id.data);
                break;
            }
            if (!aicpi_arena_grow(
                    &b->arena, (void **)&b->accounts, &capacity, b->account_count, sizeof rule)) {
                no_memory(&r);
                break;
            }
            b->accounts[b->account_count++] = rule;
        }
    }
    return aicpi_json_finish(&r, err);
}

/* ---- routes: {"maintenance": {"enabled", "message"}, "aliases": {from: to}, "redirects": [...]}
 * ---- */

static bool read_maintenance(aicpi_json *r, aicp_bundle *b) {
    aicpi_slice key;
    if (!aicpi_json_object(r)) {
        return false;
    }
    while (aicpi_json_member(r, &key)) {
        if (aicpi_slice_is(key, "enabled")) {
            aicpi_json_bool(r, &b->maintenance);
        } else if (aicpi_slice_is(key, "message")) {
            kept_string(r, b, &b->maintenance_message);
        } else {
            unknown_key(r, key);
        }
    }
    return aicpi_json_ok(r);
}

static bool read_aliases(aicpi_json *r, aicp_bundle *b) {
    aicpi_slice key;
    size_t capacity = 0;
    if (!aicpi_json_object(r)) {
        return false;
    }
    while (aicpi_json_member(r, &key)) {
        aicpi_alias alias = {0};
        char *from = aicpi_arena_strndup(&b->arena, key.data, key.len);
        if (!from ||
            !aicpi_arena_grow(
                &b->arena, (void **)&b->aliases, &capacity, b->alias_count, sizeof *b->aliases)) {
            return no_memory(r);
        }
        alias.from = aicpi_slice_of(from, key.len);
        if (!kept_string(r, b, &alias.to)) {
            return false;
        }
        b->aliases[b->alias_count++] = alias;
    }
    return aicpi_json_ok(r);
}

static bool read_redirect(aicpi_json *r, aicp_bundle *b, aicpi_redirect *out) {
    aicpi_slice key;
    size_t offset = aicpi_json_offset(r);
    *out = (aicpi_redirect){.percent = 100};
    if (!aicpi_json_object(r)) {
        return false;
    }
    while (aicpi_json_member(r, &key)) {
        if (aicpi_slice_is(key, "id")) {
            kept_string(r, b, &out->id);
        } else if (aicpi_slice_is(key, "match")) {
            aicpi_select_read_match(r, &b->arena, &out->select);
        } else if (aicpi_slice_is(key, "to")) {
            kept_string(r, b, &out->to);
        } else if (aicpi_slice_is(key, "percent")) {
            read_range(r, 0, 100, &out->percent);
        } else {
            unknown_key(r, key);
        }
    }
    if (!aicpi_json_ok(r)) {
        return false;
    }
    return (out->id.len > 0 && out->to.len > 0 && out->select.count > 0) ||
           aicpi_json_fail(
               r, AICP_ERR_PARSE, offset, "a redirect needs \"id\", \"match\" and \"to\"");
}

static bool read_redirects(aicpi_json *r, aicp_bundle *b) {
    size_t capacity = 0;
    if (!aicpi_json_array(r)) {
        return false;
    }
    while (aicpi_json_element(r)) {
        aicpi_redirect redirect;
        if (!read_redirect(r, b, &redirect)) {
            return false;
        }
        if (!aicpi_arena_grow(
                &b->arena, (void **)&b->redirects, &capacity, b->redirect_count, sizeof redirect)) {
            return no_memory(r);
        }
        b->redirects[b->redirect_count++] = redirect;
    }
    return aicpi_json_ok(r);
}

aicp_status aicpi_read_routes(aicp_bundle *b, const char *data, size_t len, aicp_error *err) {
    aicpi_json r;
    aicpi_slice key;
    aicpi_json_init(&r, &b->arena, data, len, 0);
    if (aicpi_json_object(&r)) {
        while (aicpi_json_member(&r, &key)) {
            if (aicpi_slice_is(key, "maintenance")) {
                read_maintenance(&r, b);
            } else if (aicpi_slice_is(key, "aliases")) {
                read_aliases(&r, b);
            } else if (aicpi_slice_is(key, "redirects")) {
                read_redirects(&r, b);
            } else {
                unknown_key(&r, key);
            }
        }
    }
    return aicpi_json_finish(&r, err);
}

/* ---- settings ---- */

void aicpi_settings_default(aicpi_settings *s) {
    *s = (aicpi_settings){
        .budget_status = 422,
        .reservation_ttl_s = 900,
        .min_output_tokens = 16,
        .default_output_tokens = 1024,
        .patch_max_tokens = true,
        .ratelimit_headers = true,
    };
}

static bool read_budget_status(aicpi_json *r, aicpi_settings *s) {
    size_t offset = aicpi_json_offset(r);
    if (!aicpi_json_int64(r, &s->budget_status)) {
        return false;
    }
    int64_t v = s->budget_status;
    return v == 422 || v == 429 || v == 402 || v == 400 ||
           aicpi_json_fail(r, AICP_ERR_RANGE, offset, "expected 422, 429, 402 or 400");
}

aicp_status aicpi_read_settings(aicp_bundle *b, const char *data, size_t len, aicp_error *err) {
    aicpi_settings *s = &b->settings;
    aicpi_json r;
    aicpi_slice key;
    aicpi_json_init(&r, &b->arena, data, len, 0);
    if (aicpi_json_object(&r)) {
        while (aicpi_json_member(&r, &key)) {
            if (aicpi_slice_is(key, "budget_status")) {
                read_budget_status(&r, s);
            } else if (aicpi_slice_is(key, "reservation_ttl_seconds")) {
                read_range(&r, 60, 86400, &s->reservation_ttl_s);
            } else if (aicpi_slice_is(key, "min_output_tokens")) {
                read_range(&r, 1, 1000000, &s->min_output_tokens);
            } else if (aicpi_slice_is(key, "default_output_tokens")) {
                read_range(&r, 1, 10000000, &s->default_output_tokens);
            } else if (aicpi_slice_is(key, "patch_max_tokens")) {
                aicpi_json_bool(&r, &s->patch_max_tokens);
            } else if (aicpi_slice_is(key, "ratelimit_headers")) {
                aicpi_json_bool(&r, &s->ratelimit_headers);
            } else {
                unknown_key(&r, key);
            }
        }
    }
    return aicpi_json_finish(&r, err);
}
