#include "lib/gate/gate_internal.h"

#include "lib/base/crypto.h"
#include "lib/base/file.h"

#include <stdio.h>

#define MANIFEST_FORMAT "aicp-bundle/1"

const char *const aicpi_section_files[AICPI_SECTION_COUNT] = {
    "schema.cedarschema",
    "policies.cedar",
    "entities.json",
    "limits.json",
    "guardrails.json",
    "prices.json",
    "overrides.json",
    "accounts.json",
    "routes.json",
    "settings.json",
};

/* ---- one reader a section ---- */

static aicp_status read_schema(aicp_bundle *b, const char *data, size_t len, aicp_error *err) {
    aicp_policy_schema_options options = AICP_POLICY_SCHEMA_OPTIONS_INIT;
    options.allocator = &b->allocator;
    return aicp_policy_schema_parse(data, len, &options, &b->schema, err);
}

/* The first error of a report, with its place. */
static aicp_status report_error(const aicp_policy_report *report, aicp_error *err) {
    size_t i = 0;
    while (aicp_policy_report_severity(report, i) == AICP_POLICY_SEVERITY_WARNING) {
        i++;
    }
    aicpi_fail(
        err,
        AICP_ERR_INVALID,
        "policy %s: %s",
        aicp_policy_report_id(report, i),
        aicp_policy_report_message(report, i));
    if (err) {
        err->line = aicp_policy_report_line(report, i);
        err->column = aicp_policy_report_column(report, i);
        err->offset = aicp_policy_report_offset(report, i);
    }
    return AICP_ERR_INVALID;
}

/* A rule about something that never asks does no harm; everything else of Cedar's strict validation
 * is an error. */
static aicp_status validate_policies(const aicp_bundle *b, aicp_error *err) {
    aicp_policy_validate_options options = AICP_POLICY_VALIDATE_OPTIONS_INIT;
    aicp_policy_report *report = NULL;
    options.flags = AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS;
    options.allocator = &b->allocator;
    aicp_status status = aicp_policy_validate(b->policies, b->schema, &options, &report, err);
    if (status == AICP_OK && !aicp_policy_report_passed(report)) {
        status = report_error(report, err);
    }
    aicp_policy_report_free(report);
    return status;
}

static aicp_status read_policies(aicp_bundle *b, const char *data, size_t len, aicp_error *err) {
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    options.allocator = &b->allocator;
    aicp_status status = aicp_policy_set_parse(data, len, &options, &b->policies, err);
    return status == AICP_OK && b->schema ? validate_policies(b, err) : status;
}

static aicp_status read_entities(aicp_bundle *b, const char *data, size_t len, aicp_error *err) {
    aicp_policy_entities_options options = AICP_POLICY_ENTITIES_OPTIONS_INIT;
    options.allocator = &b->allocator;
    options.schema = b->schema;
    return aicp_policy_entities_parse(data, len, &options, &b->entities, err);
}

static aicp_status read_limits(aicp_bundle *b, const char *data, size_t len, aicp_error *err) {
    aicp_limit_rules_options options = AICP_LIMIT_RULES_OPTIONS_INIT;
    options.allocator = &b->allocator;
    return aicp_limit_rules_parse(data, len, &options, &b->limits, err);
}

static aicp_status read_prices(aicp_bundle *b, const char *data, size_t len, aicp_error *err) {
    aicp_price_table_options options = AICP_PRICE_TABLE_OPTIONS_INIT;
    options.allocator = &b->allocator;
    return aicp_price_table_parse(data, len, &options, &b->price_map, err);
}

/* Prices above the map; read after it. */
static aicp_status read_overrides(aicp_bundle *b, const char *data, size_t len, aicp_error *err) {
    aicp_price_table_options options = AICP_PRICE_TABLE_OPTIONS_INIT;
    options.allocator = &b->allocator;
    options.base = b->price_map;
    return aicp_price_table_parse(data, len, &options, &b->prices, err);
}

static const aicpi_section_read_fn readers[AICPI_SECTION_COUNT] = {
    read_schema,
    read_policies,
    read_entities,
    read_limits,
    aicpi_read_guardrails,
    read_prices,
    read_overrides,
    aicpi_read_accounts,
    aicpi_read_routes,
    aicpi_read_settings,
};

/* ---- life cycle ---- */

static aicp_status bundle_new(const aicp_allocator *allocator, aicp_bundle **out, aicp_error *err) {
    aicp_allocator a = aicpi_allocator(allocator);
    aicp_bundle *b = aicpi_calloc(&a, 1, sizeof *b);
    if (!b) {
        return aicpi_nomem(err);
    }
    aicpi_ref_init(&b->ref);
    b->allocator = a;
    aicpi_arena_init(&b->arena, &a, 0, 0);
    aicpi_settings_default(&b->settings);
    *out = b;
    return AICP_OK;
}

aicp_bundle *aicp_bundle_ref(aicp_bundle *bundle) {
    if (bundle) {
        aicpi_ref_get(&bundle->ref);
    }
    return bundle;
}

void aicp_bundle_free(aicp_bundle *b) {
    if (!b || !aicpi_ref_put(&b->ref)) {
        return;
    }
    aicp_policy_schema_free(b->schema);
    aicp_policy_set_free(b->policies);
    aicp_policy_entities_free(b->entities);
    aicp_limit_rules_free(b->limits);
    for (size_t i = 0; i < b->profile_count; i++) {
        aicp_guard_profile_free(b->profiles[i].profile);
    }
    aicp_price_table_free(b->prices);
    aicp_price_table_free(b->price_map);
    aicpi_arena_deinit(&b->arena);
    aicp_allocator a = b->allocator;
    aicpi_free(&a, b);
}

const char *aicp_bundle_version(const aicp_bundle *bundle) {
    return bundle->version;
}

/* ---- reading the folder ---- */

static bool join(char *out, size_t size, const char *folder, const char *file) {
    int n = snprintf(out, size, "%s/%s", folder, file);
    return n > 0 && (size_t)n < size;
}

static aicp_status read_in_folder(
    const aicp_allocator *a,
    const char *folder,
    const char *file,
    size_t max,
    aicp_buf *out,
    aicp_error *err) {
    char path[4096];
    *out = (aicp_buf)AICP_BUF_INIT;
    if (!join(path, sizeof path, folder, file)) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "path of the bundle is too long");
    }
    return aicpi_file_read(a, path, max, out, err);
}

static bool is_same(const aicp_bundle *b, const aicp_bundle *previous, int section) {
    return b->sections[section].present == previous->sections[section].present &&
           strcmp(previous->sections[section].sha256, b->sections[section].sha256) == 0;
}

/* Big parts that did not change are taken from the bundle in force instead of being read again. */
static bool share_section(aicp_bundle *b, const aicp_bundle *previous, int section) {
    bool judged = section == AICPI_SECTION_POLICIES || section == AICPI_SECTION_ENTITIES;
    if (!previous || !is_same(b, previous, section) ||
        (judged && !is_same(b, previous, AICPI_SECTION_SCHEMA))) {
        return false;
    }
    switch (section) {
    case AICPI_SECTION_SCHEMA:
        b->schema = aicp_policy_schema_ref(previous->schema);
        return true;
    case AICPI_SECTION_POLICIES:
        b->policies = aicp_policy_set_ref(previous->policies);
        return true;
    case AICPI_SECTION_ENTITIES:
        b->entities = aicp_policy_entities_ref(previous->entities);
        return true;
    case AICPI_SECTION_LIMITS:
        b->limits = aicp_limit_rules_ref(previous->limits);
        return true;
    case AICPI_SECTION_PRICES:
        b->price_map = aicp_price_table_ref(previous->price_map);
        return true;
    default:
        return false;
    }
}

static size_t section_rules(const aicp_bundle *b, int section) {
    switch (section) {
    case AICPI_SECTION_POLICIES:
        return aicp_policy_set_count(b->policies);
    case AICPI_SECTION_ENTITIES:
        return aicp_policy_entities_count(b->entities);
    case AICPI_SECTION_LIMITS:
        return aicp_limit_rules_count(b->limits);
    case AICPI_SECTION_GUARDRAILS:
        return b->profile_count;
    case AICPI_SECTION_PRICES:
        return aicp_price_table_count(b->price_map);
    case AICPI_SECTION_OVERRIDES:
        return aicp_price_table_count(b->prices);
    case AICPI_SECTION_ACCOUNTS:
        return b->account_count;
    case AICPI_SECTION_ROUTES:
        return b->alias_count + b->redirect_count;
    default:
        return 1;
    }
}

/* Reads the bytes of one section file. The hash must be that of the manifest when `expected` is
 * given. */
static aicp_status load_section(
    aicp_bundle *b,
    const char *folder,
    int section,
    const aicpi_section *expected,
    const aicp_bundle *previous,
    aicp_error *err) {
    const char *file = aicpi_section_files[section];
    aicp_buf text = AICP_BUF_INIT;
    aicp_status status = read_in_folder(&b->allocator, folder, file, (size_t)1 << 30, &text, err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_section *s = &b->sections[section];
    s->present = true;
    s->size = text.len;
    aicpi_sha256_hex(text.data, text.len, s->sha256);
    if (expected && (s->size != expected->size || strcmp(s->sha256, expected->sha256) != 0)) {
        status = aicpi_fail(
            err,
            AICP_ERR_BUNDLE,
            "%s is not the file that the manifest names (%zu bytes, sha256 %.12s…; expected %zu "
            "bytes, %.12s…)",
            file,
            s->size,
            s->sha256,
            expected->size,
            expected->sha256);
    } else if (!share_section(b, previous, section)) {
        status = readers[section](b, text.data, text.len, err);
        if (status != AICP_OK) {
            aicpi_error_prefix(err, status, "%s", file);
        }
    }
    if (status == AICP_OK) {
        s->rules = section_rules(b, section);
    }
    aicp_buf_free(&text);
    return status;
}

/* ---- manifest ---- */

/* Section name = file name without its ending. */
static int section_of(aicpi_slice name) {
    for (int i = 0; i < AICPI_SECTION_COUNT; i++) {
        const char *dot = strchr(aicpi_section_files[i], '.');
        size_t len = (size_t)(dot - aicpi_section_files[i]);
        if (name.len == len && memcmp(name.data, aicpi_section_files[i], len) == 0) {
            return i;
        }
    }
    return -1;
}

static bool is_hash(aicpi_slice text) {
    bool ok = text.len == 64;
    for (size_t i = 0; ok && i < text.len; i++) {
        char c = text.data[i];
        ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    }
    return ok;
}

static bool read_manifest_section(aicpi_json *r, aicpi_section *s) {
    aicpi_slice key;
    aicpi_slice hash = {0};
    int64_t size = -1;
    size_t start = aicpi_json_offset(r);
    if (!aicpi_json_object(r)) {
        return false;
    }
    while (aicpi_json_member(r, &key)) {
        if (aicpi_slice_is(key, "sha256")) {
            aicpi_json_string(r, &hash);
        } else if (aicpi_slice_is(key, "size")) {
            aicpi_json_int64(r, &size);
        } else {
            aicpi_json_skip(r);
        }
    }
    if (!aicpi_json_ok(r)) {
        return false;
    }
    if (!hash.data || !is_hash(hash) || size < 0) {
        return aicpi_json_fail(
            r,
            AICP_ERR_BUNDLE,
            start,
            "a section needs \"sha256\" (64 small hex digits) and \"size\"");
    }
    s->present = true;
    s->size = (size_t)size;
    memcpy(s->sha256, hash.data, 64);
    return true;
}

static void read_manifest_sections(aicpi_json *r, aicpi_manifest *m) {
    aicpi_slice key;
    if (!aicpi_json_object(r)) {
        return;
    }
    while (aicpi_json_member(r, &key)) {
        int section = section_of(key);
        if (section < 0) {
            aicpi_json_fail(
                r,
                AICP_ERR_BUNDLE,
                aicpi_json_offset(r),
                "unknown section \"%.*s\"",
                (int)(key.len < 60 ? key.len : 60),
                key.data);
            return;
        }
        if (!read_manifest_section(r, &m->sections[section])) {
            return;
        }
    }
}

aicp_status aicpi_manifest_parse(
    aicpi_arena *arena, const char *data, size_t len, aicpi_manifest *m, aicp_error *err) {
    *m = (aicpi_manifest){0};
    aicpi_json r;
    aicpi_slice key;
    aicpi_slice format = {0};
    aicpi_json_init(&r, arena, data, len, 0);
    if (aicpi_json_object(&r)) {
        while (aicpi_json_member(&r, &key)) {
            if (aicpi_slice_is(key, "format")) {
                aicpi_json_string(&r, &format);
            } else if (aicpi_slice_is(key, "version")) {
                aicpi_json_string(&r, &m->version);
            } else if (aicpi_slice_is(key, "sections")) {
                read_manifest_sections(&r, m);
            } else {
                aicpi_json_skip(&r);
            }
        }
    }
    aicp_status status = aicpi_json_finish(&r, err);
    if (status == AICP_OK && !aicpi_slice_is(format, MANIFEST_FORMAT)) {
        status = aicpi_fail(err, AICP_ERR_BUNDLE, "\"format\" is not \"%s\"", MANIFEST_FORMAT);
    }
    if (status == AICP_OK && (m->version.len == 0 || m->version.len > 256)) {
        status = aicpi_fail(err, AICP_ERR_BUNDLE, "\"version\" must have 1 to 256 bytes");
    }
    return status;
}

/* Sections in their order: later ones may build on earlier ones. `m` NULL takes every file that is
 * there. */
static aicp_status load_sections(
    aicp_bundle *b,
    const char *folder,
    const aicpi_manifest *m,
    const aicp_bundle *previous,
    aicp_error *err) {
    for (int i = 0; i < AICPI_SECTION_COUNT; i++) {
        aicp_error own = {0};
        if (m && !m->sections[i].present) {
            continue;
        }
        aicp_status status = load_section(b, folder, i, m ? &m->sections[i] : NULL, previous, &own);
        bool absent = !m && status == AICP_ERR_NOT_FOUND && !b->sections[i].present;
        if (status != AICP_OK && !absent) {
            if (err) {
                *err = own;
            }
            return status;
        }
    }
    if (!b->prices && b->price_map) {
        b->prices = aicp_price_table_ref(b->price_map);
    }
    return AICP_OK;
}

aicp_status aicpi_bundle_open(
    const char *path,
    const aicp_allocator *allocator,
    const aicp_bundle *previous,
    aicp_bundle **out,
    aicp_error *err) {
    *out = NULL;
    if (!path) {
        return aicpi_fail(err, AICP_ERR_INVALID, "path of the bundle is NULL");
    }
    aicp_bundle *b = NULL;
    aicp_buf text = AICP_BUF_INIT;
    aicpi_manifest m = {0};
    aicp_status status = bundle_new(allocator, &b, err);
    if (status != AICP_OK) {
        return status;
    }
    status = read_in_folder(&b->allocator, path, "manifest.json", AICPI_MANIFEST_MAX, &text, err);
    if (status == AICP_OK) {
        status = aicpi_manifest_parse(&b->arena, text.data, text.len, &m, err);
        if (status != AICP_OK) {
            aicpi_error_prefix(err, status, "manifest.json");
        }
    }
    if (status == AICP_OK) {
        b->version = aicpi_arena_strndup(&b->arena, m.version.data, m.version.len);
        status = b->version ? load_sections(b, path, &m, previous, err) : aicpi_nomem(err);
    }
    aicp_buf_free(&text);
    if (status != AICP_OK) {
        aicp_bundle_free(b);
        return status;
    }
    *out = b;
    return AICP_OK;
}

aicp_status aicp_bundle_open(
    const char *path, const aicp_allocator *allocator, aicp_bundle **out, aicp_error *err) {
    return aicpi_bundle_open(path, allocator, NULL, out, err);
}

/* ---- writing the manifest ---- */

static void write_manifest(const aicp_bundle *b, const char *version, aicpi_strbuf *out) {
    char created[40];
    aicp_clock clock = aicpi_clock(NULL);
    aicpi_time_format(aicpi_wall_ns(&clock), created);
    aicpi_strbuf_puts(out, "{\n  \"format\": \"" MANIFEST_FORMAT "\",\n  \"version\": ");
    aicpi_strbuf_json(out, version, strlen(version));
    aicpi_strbuf_printf(out, ",\n  \"created\": \"%s\",\n  \"sections\": {", created);
    const char *separator = "\n";
    for (int i = 0; i < AICPI_SECTION_COUNT; i++) {
        const aicpi_section *s = &b->sections[i];
        if (!s->present) {
            continue;
        }
        size_t name = strcspn(aicpi_section_files[i], ".");
        aicpi_strbuf_printf(
            out,
            "%s    \"%.*s\": {\"sha256\": \"%s\", \"size\": %zu}",
            separator,
            (int)name,
            aicpi_section_files[i],
            s->sha256,
            s->size);
        separator = ",\n";
    }
    aicpi_strbuf_puts(out, "\n  }\n}\n");
}

aicp_status aicp_bundle_seal(const char *path, const char *version, aicp_error *err) {
    if (!path || !version || !*version || strlen(version) > 256) {
        return aicpi_fail(err, AICP_ERR_INVALID, "path or version is missing or too long");
    }
    aicp_bundle *b = NULL;
    char file[4096];
    if (!join(file, sizeof file, path, "manifest.json")) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "path of the bundle is too long");
    }
    aicp_status status = bundle_new(NULL, &b, err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &b->allocator, AICPI_MANIFEST_MAX);
    status = load_sections(b, path, NULL, NULL, err);
    if (status == AICP_OK) {
        write_manifest(b, version, &text);
        status = text.failed ? aicpi_nomem(err) : aicpi_file_write(file, text.data, text.len, err);
    }
    aicpi_strbuf_deinit(&text);
    aicp_bundle_free(b);
    return status;
}

aicp_status aicp_bundle_describe(const aicp_bundle *b, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &b->allocator, AICPI_MANIFEST_MAX);
    aicpi_strbuf_puts(&text, "{\"version\":");
    aicpi_strbuf_json(&text, b->version, strlen(b->version));
    aicpi_strbuf_puts(&text, ",\"sections\":{");
    const char *separator = "";
    for (int i = 0; i < AICPI_SECTION_COUNT; i++) {
        const aicpi_section *s = &b->sections[i];
        if (s->present) {
            aicpi_strbuf_printf(
                &text,
                "%s\"%.*s\":{\"size\":%zu,\"sha256\":\"%s\",\"rules\":%zu}",
                separator,
                (int)strcspn(aicpi_section_files[i], "."),
                aicpi_section_files[i],
                s->size,
                s->sha256,
                s->rules);
            separator = ",";
        }
    }
    aicpi_strbuf_puts(&text, "}}");
    return aicpi_strbuf_take(&text, out, err);
}
