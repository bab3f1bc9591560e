/* The validator against the reference: the verdict on every case of the corpus, the verdict and the
 * kinds of errors on every policy, strict and permissive, and our own edge cases. */
#include "conformance/policy/cases.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static aicp_policy_schema *parse_schema(aicpi_slice text, const char *name) {
    aicp_policy_schema *schema = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_schema_parse(text.data, text.len, NULL, &schema, &err);
    cr_assert_eq(status, AICP_OK, "%s: %u:%u: %s", name, err.line, err.column, err.message);
    return schema;
}

static aicp_policy_set *parse_policies(aicpi_slice text, const char *name) {
    aicp_policy_set *set = NULL;
    aicp_error err;
    aicp_status status = aicp_policy_set_parse(text.data, text.len, NULL, &set, &err);
    cr_assert_eq(status, AICP_OK, "%s: %u:%u: %s", name, err.line, err.column, err.message);
    return set;
}

static aicp_policy_report *
validate(const aicp_policy_set *set, const aicp_policy_schema *schema, uint32_t flags) {
    aicp_policy_validate_options options = AICP_POLICY_VALIDATE_OPTIONS_INIT;
    aicp_policy_report *report = NULL;
    aicp_error err;
    options.flags = flags;
    cr_assert_eq(
        aicp_policy_validate(set, schema, &options, &report, &err), AICP_OK, "%s", err.message);
    return report;
}

/* What the report holds, for the message of a failed test. */
static const char *report_text(const aicp_policy_report *report) {
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < aicp_policy_report_count(report) && len < sizeof text; i++) {
        int n = snprintf(
            text + len,
            sizeof text - len,
            "\n  %s %s: %s",
            aicp_policy_report_id(report, i),
            aicp_policy_finding_name(aicp_policy_report_kind(report, i)),
            aicp_policy_report_message(report, i));
        len += (size_t)n;
    }
    return text;
}

/* A folder of files with the policies and the schema of each case. */
typedef struct folder {
    char path[256];
} folder;

static folder folder_of(const char *root, const char *name) {
    folder f;
    snprintf(f.path, sizeof f.path, "%s/%s", root, name);
    return f;
}

static aicpi_slice open_file(const folder *f, const char *name, const char *extension) {
    char file[512];
    snprintf(file, sizeof file, "%s%s", name, extension);
    return case_file(f->path, file);
}

/* Calls `each` with the name, less the extension, of each file of a folder; gives their number. */
static size_t
for_each(const folder *f, const char *extension, void (*each)(void *, const char *), void *user) {
    DIR *dir = opendir(f->path);
    cr_assert(dir, "cannot open %s", f->path);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char name[256];
        size_t len = strlen(entry->d_name);
        size_t tail = strlen(extension);
        if (len <= tail || strcmp(entry->d_name + len - tail, extension) != 0) {
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)(len - tail), entry->d_name);
        each(user, name);
        count++;
    }
    closedir(dir);
    return count;
}

/* ---- verdicts of the corpus ---- */

/* Cases in which versions of the language differ, from version-notes.json. */
typedef struct verdicts {
    folder files;
    aicpi_arena arena;
    aicpi_slice notes;
    size_t disputed;
} verdicts;

static bool should_validate(verdicts *v, const char *name) {
    aicpi_slice text = open_file(&v->files, name, ".json");
    aicpi_json json;
    bool should = false;
    bool found = false;
    aicpi_arena_reset(&v->arena);
    aicpi_json_init(&json, &v->arena, text.data, text.len, 0);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        if (aicpi_slice_is(key, "shouldValidate")) {
            found = aicpi_json_bool(&json, &should);
        } else {
            aicpi_json_skip(&json);
        }
    }
    cr_assert(found && aicpi_json_ok(&json), "%s", name);
    case_free(text);
    return should;
}

static void check_verdict(void *user, const char *name) {
    verdicts *v = user;
    aicpi_slice schema_text = open_file(&v->files, name, ".cedarschema");
    aicpi_slice policy_text = open_file(&v->files, name, ".cedar");
    aicp_policy_schema *schema = parse_schema(schema_text, name);
    aicp_policy_set *set = parse_policies(policy_text, name);
    aicp_policy_report *report = validate(set, schema, 0);
    aicp_policy_report *newer = validate(set, schema, AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS);
    bool should = should_validate(v, name);
    bool disputed = memmem(v->notes.data, v->notes.len, name, strlen(name)) != NULL;
    cr_expect_eq(
        aicp_policy_report_passed(report),
        should,
        "%s: not %d%s",
        name,
        should,
        report_text(report));
    cr_expect_eq(
        aicp_policy_report_passed(newer),
        should || disputed,
        "%s: newer, not %d%s",
        name,
        should || disputed,
        report_text(newer));
    v->disputed += disputed;
    aicp_policy_report_free(report);
    aicp_policy_report_free(newer);
    aicp_policy_set_free(set);
    aicp_policy_schema_free(schema);
    case_free(schema_text);
    case_free(policy_text);
}

Test(policy_validate, every_corpus_case_has_the_expected_verdict_in_both_versions) {
    const char *root = case_unpack("corpus-share.tar.gz");
    verdicts v = {
        .files = folder_of(root, "corpus-tests"),
        .notes = case_file(AICP_TEST_DATA "/policy", "version-notes.json")};
    aicpi_arena_init(&v.arena, NULL, 0, 0);
    cr_expect_eq(for_each(&v.files, ".cedar", check_verdict, &v), 2041);
    cr_expect_eq(v.disputed, 14);
    aicpi_arena_deinit(&v.arena);
    case_free(v.notes);
    case_remove(root);
}

/* ---- verdict and kinds of errors of every policy ---- */

/* How the reference words each kind of error. */
static int32_t kind_of(aicpi_slice message) {
    static const struct {
        const char *words;
        int32_t kind;
    } table[] = {
        {"unrecognized entity type", AICP_POLICY_FINDING_ENTITY_TYPE},
        {"unrecognized action", AICP_POLICY_FINDING_ACTION},
        {"unable to find an applicable action", AICP_POLICY_FINDING_INAPPLICABLE},
        {"unexpected type", AICP_POLICY_FINDING_TYPE},
        {"are not compatible", AICP_POLICY_FINDING_INCOMPATIBLE},
        {"access to optional attribute", AICP_POLICY_FINDING_OPTIONAL},
        {"access to tag", AICP_POLICY_FINDING_TAG},
        {"tags", AICP_POLICY_FINDING_NO_TAGS},
        {"wrong number of arguments", AICP_POLICY_FINDING_ARGUMENTS},
        {"extension function argument validation", AICP_POLICY_FINDING_ARGUMENT},
        {"empty set literals", AICP_POLICY_FINDING_EMPTY_SET},
        {"extension constructors", AICP_POLICY_FINDING_CONSTRUCTOR},
        {"enumerated", AICP_POLICY_FINDING_ENUM},
        {"not found", AICP_POLICY_FINDING_ATTRIBUTE},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (memmem(message.data, message.len, table[i].words, strlen(table[i].words))) {
            return table[i].kind;
        }
    }
    cr_assert_fail("unknown message: %.*s", (int)message.len, message.data);
    return 0;
}

/* What is expected of one policy in one mode. */
typedef struct verdict {
    bool passes;
    uint32_t kinds; /* of the errors: 1 << kind */
} verdict;

typedef struct policies {
    folder policies;     /* and schemas */
    folder expectations; /* of the same name */
    aicpi_arena arena;
    size_t count;
} policies;

static uint32_t read_kinds(aicpi_json *json) {
    uint32_t kinds = 0;
    aicpi_json_array(json);
    while (aicpi_json_element(json)) {
        aicpi_slice message;
        if (aicpi_json_string(json, &message)) {
            kinds |= 1u << kind_of(message);
        }
    }
    return kinds;
}

static void check_policy(
    const char *name,
    aicpi_slice policy,
    const char *mode,
    const aicp_policy_report *report,
    verdict expected) {
    verdict got = {.passes = true};
    for (size_t i = 0; i < aicp_policy_report_count(report); i++) {
        if (aicpi_slice_is(policy, aicp_policy_report_id(report, i)) &&
            aicp_policy_report_severity(report, i) == AICP_POLICY_SEVERITY_ERROR) {
            got.passes = false;
            got.kinds |= 1u << aicp_policy_report_kind(report, i);
        }
    }
    cr_expect(
        got.passes == expected.passes && got.kinds == expected.kinds,
        "%s, %.*s, %s: passes %d not %d, kinds %x not %x%s",
        name,
        (int)policy.len,
        policy.data,
        mode,
        got.passes,
        expected.passes,
        got.kinds,
        expected.kinds,
        report_text(report));
}

typedef struct reports {
    aicp_policy_report *strict;
    aicp_policy_report *permissive;
} reports;

static void
check_policy_member(aicpi_json *json, const char *name, aicpi_slice policy, const reports *r) {
    verdict strict = {0};
    verdict permissive = {0};
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        if (aicpi_slice_is(key, "strict")) {
            aicpi_json_bool(json, &strict.passes);
        } else if (aicpi_slice_is(key, "permissive")) {
            aicpi_json_bool(json, &permissive.passes);
        } else if (aicpi_slice_is(key, "strictErrors")) {
            strict.kinds = read_kinds(json);
        } else if (aicpi_slice_is(key, "permissiveErrors")) {
            permissive.kinds = read_kinds(json);
        } else {
            aicpi_json_skip(json);
        }
    }
    check_policy(name, policy, "strict", r->strict, strict);
    check_policy(name, policy, "permissive", r->permissive, permissive);
}

static void check_validation(policies *p, aicpi_json *json, const char *name, const reports *r) {
    bool strict = false;
    bool permissive = false;
    aicpi_json_object(json);
    for (aicpi_slice key; aicpi_json_member(json, &key);) {
        if (aicpi_slice_is(key, "strict")) {
            aicpi_json_bool(json, &strict);
        } else if (aicpi_slice_is(key, "permissive")) {
            aicpi_json_bool(json, &permissive);
        } else if (aicpi_slice_is(key, "perPolicy")) {
            aicpi_json_object(json);
            for (aicpi_slice policy; aicpi_json_member(json, &policy); p->count++) {
                check_policy_member(json, name, policy, r);
            }
        } else {
            aicpi_json_skip(json);
        }
    }
    cr_expect_eq(aicp_policy_report_passed(r->strict), strict, "%s", name);
    cr_expect_eq(aicp_policy_report_passed(r->permissive), permissive, "%s", name);
}

static void check_policies(void *user, const char *name) {
    policies *p = user;
    aicpi_slice schema_text = open_file(&p->policies, name, ".cedarschema");
    aicpi_slice policy_text = open_file(&p->policies, name, ".cedar");
    aicpi_slice text = open_file(&p->expectations, name, ".validation.json");
    aicp_policy_schema *schema = parse_schema(schema_text, name);
    aicp_policy_set *set = parse_policies(policy_text, name);
    reports r = {validate(set, schema, 0), validate(set, schema, AICP_POLICY_VALIDATE_PERMISSIVE)};
    aicpi_json json;
    aicp_error err;
    aicpi_arena_reset(&p->arena);
    aicpi_json_init(&json, &p->arena, text.data, text.len, 0);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        if (aicpi_slice_is(key, "policyValidation")) {
            check_validation(p, &json, name, &r);
        } else {
            aicpi_json_skip(&json);
        }
    }
    cr_assert_eq(aicpi_json_finish(&json, &err), AICP_OK, "%s: %s", name, err.message);
    aicp_policy_report_free(r.strict);
    aicp_policy_report_free(r.permissive);
    aicp_policy_set_free(set);
    aicp_policy_schema_free(schema);
    case_free(text);
    case_free(schema_text);
    case_free(policy_text);
}

Test(policy_validate, every_corpus_policy_has_the_kinds_of_errors_of_the_reference) {
    char corpus[64];
    snprintf(corpus, sizeof corpus, "%s", case_unpack("corpus-share.tar.gz"));
    const char *extras = case_unpack("corpus-share-extras.tar.gz");
    policies p = {
        .policies = folder_of(corpus, "corpus-tests"),
        .expectations = folder_of(extras, "validation")};
    aicpi_arena_init(&p.arena, NULL, 0, 0);
    cr_expect_eq(for_each(&p.expectations, ".validation.json", check_policies, &p), 2026);
    cr_expect_eq(p.count, 2026);
    aicpi_arena_deinit(&p.arena);
    case_remove(corpus);
    case_remove(extras);
}

Test(policy_validate, every_named_case_has_the_kinds_of_errors_of_the_reference) {
    const char *root = case_unpack("validator-cases.tar.gz");
    policies p = {
        .policies = folder_of(root, "validator-cases"),
        .expectations = folder_of(root, "validator-cases")};
    aicpi_arena_init(&p.arena, NULL, 0, 0);
    cr_expect_eq(for_each(&p.expectations, ".validation.json", check_policies, &p), 110);
    cr_expect_eq(p.count, 338);
    aicpi_arena_deinit(&p.arena);
    case_remove(root);
}

/* ---- our own edge cases ---- */

#define FINDINGS_MOST 16

typedef struct golden {
    aicpi_slice text;
    aicpi_slice schema;
    bool passes;
    aicpi_slice kinds[2][FINDINGS_MOST]; /* of errors, of warnings */
    size_t counts[2];
} golden;

/* [[kind, message], …] */
static void read_findings(aicpi_json *json, aicpi_slice *kinds, size_t *count) {
    aicpi_json_array(json);
    while (aicpi_json_element(json)) {
        cr_assert_lt(*count, FINDINGS_MOST);
        aicpi_json_array(json);
        for (size_t i = 0; aicpi_json_element(json); i++) {
            aicpi_slice text;
            aicpi_json_string(json, &text);
            if (i == 0) {
                kinds[*count] = text;
            }
        }
        ++*count;
    }
}

static golden read_golden(aicpi_arena *arena, aicpi_slice line) {
    golden g = {0};
    aicpi_json json;
    aicp_error err;
    aicpi_arena_reset(arena);
    aicpi_json_init(&json, arena, line.data, line.len, 0);
    aicpi_json_object(&json);
    for (aicpi_slice key; aicpi_json_member(&json, &key);) {
        if (aicpi_slice_is(key, "text")) {
            aicpi_json_string(&json, &g.text);
        } else if (aicpi_slice_is(key, "schema")) {
            aicpi_json_string(&json, &g.schema);
        } else if (aicpi_slice_is(key, "got")) {
            aicpi_json_object(&json);
            for (aicpi_slice member; aicpi_json_member(&json, &member);) {
                if (aicpi_slice_is(member, "passed")) {
                    aicpi_json_bool(&json, &g.passes);
                } else {
                    size_t which = aicpi_slice_is(member, "warnings");
                    read_findings(&json, g.kinds[which], &g.counts[which]);
                }
            }
        } else {
            aicpi_json_skip(&json);
        }
    }
    cr_assert_eq(aicpi_json_finish(&json, &err), AICP_OK, "%s", err.message);
    return g;
}

static size_t count_expected(const golden *g, size_t which, const char *kind) {
    size_t n = 0;
    for (size_t i = 0; i < g->counts[which]; i++) {
        n += aicpi_slice_is(g->kinds[which][i], kind);
    }
    return n;
}

static bool is_as_expected(const golden *g, const aicp_policy_report *report) {
    size_t total = aicp_policy_report_count(report);
    if (aicp_policy_report_passed(report) != g->passes || total != g->counts[0] + g->counts[1]) {
        return false;
    }
    for (size_t i = 0; i < total; i++) {
        const char *kind = aicp_policy_finding_name(aicp_policy_report_kind(report, i));
        size_t which = aicp_policy_report_severity(report, i) == AICP_POLICY_SEVERITY_WARNING;
        size_t same = 0;
        for (size_t j = 0; j < total; j++) {
            const char *other = aicp_policy_finding_name(aicp_policy_report_kind(report, j));
            same += strcmp(kind, other) == 0;
        }
        if (same != count_expected(g, which, kind)) {
            return false;
        }
    }
    return true;
}

Test(policy_validate, edge_cases_have_the_findings_of_the_reference) {
    aicpi_slice file = case_file(AICP_TEST_DATA "/policy/golden", "validate.jsonl");
    aicpi_arena arena;
    aicpi_arena_init(&arena, NULL, 0, 0);
    size_t count = 0;
    aicpi_slice rest = file;
    for (const char *end; (end = memchr(rest.data, '\n', rest.len)) != NULL; count++) {
        size_t len = (size_t)(end - rest.data);
        golden g = read_golden(&arena, aicpi_slice_of(rest.data, len));
        aicp_policy_schema *schema = parse_schema(g.schema, "validate.jsonl");
        aicp_policy_set *set = parse_policies(g.text, "validate.jsonl");
        aicp_policy_report *report = validate(set, schema, AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS);
        cr_expect(
            is_as_expected(&g, report),
            "%.*s: %s%s",
            (int)g.text.len,
            g.text.data,
            g.passes ? "should pass" : "should not pass",
            report_text(report));
        aicp_policy_report_free(report);
        aicp_policy_set_free(set);
        aicp_policy_schema_free(schema);
        rest = aicpi_slice_of(end + 1, rest.len - len - 1);
    }
    cr_expect_eq(count, 76);
    aicpi_arena_deinit(&arena);
    case_free(file);
}
