/* What the forms share, and the calls that write sets in them. */
#include "lib/policy/forms.h"

#include "lib/base/error.h"
#include "lib/policy/brief.h"
#include "lib/policy/set.h"

#define FORM(op, style, text, json)                                                                \
    { text, json, AICPI_POLICY_OP_##op, AICPI_POLICY_STYLE_##style, false }

static const aicpi_policy_op_form op_forms[] = {
    FORM(OR, CHAIN, "||", "||"),
    FORM(AND, CHAIN, "&&", "&&"),
    FORM(SUM, CHAIN, "+", "+"),
    {"-", "-", AICPI_POLICY_OP_SUM, AICPI_POLICY_STYLE_CHAIN, true},
    FORM(PRODUCT, CHAIN, "*", "*"),
    FORM(NOT, PREFIX, "!", "!"),
    FORM(NEG, PREFIX, "-", "neg"),
    FORM(EQ, INFIX, "==", "=="),
    FORM(NE, INFIX, "!=", "!="),
    FORM(LT, INFIX, "<", "<"),
    FORM(LE, INFIX, "<=", "<="),
    FORM(GT, INFIX, ">", ">"),
    FORM(GE, INFIX, ">=", ">="),
    FORM(IN, INFIX, "in", "in"),
    FORM(IS_EMPTY, TEST, "isEmpty", "isEmpty"),
    FORM(CONTAINS, METHOD, "contains", "contains"),
    FORM(CONTAINS_ALL, METHOD, "containsAll", "containsAll"),
    FORM(CONTAINS_ANY, METHOD, "containsAny", "containsAny"),
    FORM(GET_TAG, METHOD, "getTag", "getTag"),
    FORM(HAS_TAG, METHOD, "hasTag", "hasTag"),
};

#define OP_FORMS (sizeof op_forms / sizeof *op_forms)

const aicpi_policy_op_form *aicpi_policy_op_form_of(uint8_t op, bool minus) {
    for (size_t i = 0; i < OP_FORMS; i++) {
        if (op_forms[i].op == op && op_forms[i].minus == minus) {
            return &op_forms[i];
        }
    }
    return NULL;
}

const aicpi_policy_op_form *aicpi_policy_op_form_find(aicpi_slice json) {
    for (size_t i = 0; i < OP_FORMS; i++) {
        if (aicpi_slice_is(json, op_forms[i].json)) {
            return &op_forms[i];
        }
    }
    return NULL;
}

const char *const aicpi_policy_var_names[] = {"principal", "action", "resource", "context"};
const char *const aicpi_policy_slot_names[] = {"?principal", NULL, "?resource", NULL};

/* ---- writing sets ---- */

/* Of the rules that can be satisfied. */
static bool is_link(const aicpi_policy_rule *rule) {
    return aicpi_policy_is_template(rule->ast);
}

static aicp_status check_format(int32_t format, aicp_error *err) {
    if (format == AICP_POLICY_FORMAT_CEDAR || format == AICP_POLICY_FORMAT_JSON) {
        return AICP_OK;
    }
    return aicpi_fail(
        err, AICP_ERR_INVALID, "the format is %d, neither Cedar nor JSON", (int)format);
}

/* Lays out what was written on one line. */
static aicp_status take_laid_out(aicpi_strbuf *line, aicp_buf *out, aicp_error *err) {
    aicp_status status = AICP_OK;
    if (line->failed) {
        status = aicpi_strbuf_take(line, out, err);
    } else {
        aicp_policy_format_options options = AICP_POLICY_FORMAT_OPTIONS_INIT;
        options.allocator = &line->allocator;
        options.max_bytes = AICPI_STRBUF_MAX;
        options.max_depth = AICP_POLICY_DEPTH_MAX;
        status = aicp_policy_format(line->data ? line->data : "", line->len, &options, out, err);
    }
    aicpi_strbuf_deinit(line);
    return status;
}

static aicp_status write_rule(
    const aicp_policy_set *set,
    const aicpi_policy_rule *rule,
    int32_t format,
    aicp_buf *out,
    aicp_error *err) {
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &set->allocator, AICPI_STRBUF_MAX);
    if (format == AICP_POLICY_FORMAT_JSON) {
        aicpi_policy_est_write_ast(&b, rule->ast, rule->scope);
        return aicpi_strbuf_take(&b, out, err);
    }
    aicpi_policy_write_ast(&b, rule->ast, rule->scope);
    return take_laid_out(&b, out, err);
}

static aicp_status write_one(
    const aicp_policy_set *set,
    const aicpi_policy_rule *rules,
    size_t count,
    size_t index,
    int32_t format,
    aicp_buf *out,
    aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    aicp_status status = check_format(format, err);
    if (status != AICP_OK) {
        return status;
    }
    if (index >= count) {
        return aicpi_fail(
            err, AICP_ERR_NOT_FOUND, "the index is %zu, and there are %zu", index, count);
    }
    return write_rule(set, &rules[index], format, out, err);
}

aicp_status aicp_policy_set_write_policy(
    const aicp_policy_set *set, size_t index, int32_t format, aicp_buf *out, aicp_error *err) {
    return write_one(set, set->rules, set->count, index, format, out, err);
}

aicp_status aicp_policy_set_write_template(
    const aicp_policy_set *set, size_t index, int32_t format, aicp_buf *out, aicp_error *err) {
    return write_one(set, set->templates, set->template_count, index, format, out, err);
}

/* Static policies and templates in the order of their text. */
static aicp_status write_cedar(aicpi_strbuf *b, const aicp_policy_set *set, aicp_error *err) {
    size_t next = 0;
    for (size_t i = 0; i < set->count; i++) {
        const aicpi_policy_rule *rule = &set->rules[i];
        if (is_link(rule)) {
            return aicpi_fail(
                err,
                AICP_ERR_INVALID,
                "the link \"%s\" has no form in Cedar's text; write the set as JSON",
                aicpi_policy_brief_str(rule->id).text);
        }
        for (; next < set->template_count && set->templates[next].ast->pos < rule->ast->pos;
             next++) {
            aicpi_policy_write_ast(b, set->templates[next].ast, set->templates[next].scope);
        }
        aicpi_policy_write_ast(b, rule->ast, rule->scope);
    }
    for (; next < set->template_count; next++) {
        aicpi_policy_write_ast(b, set->templates[next].ast, set->templates[next].scope);
    }
    return AICP_OK;
}

/* A member of an object of policies by id. */
static void write_named(aicpi_strbuf *b, const aicpi_policy_rule *rule, bool *first) {
    aicpi_strbuf_puts(b, *first ? "" : ",");
    *first = false;
    aicpi_strbuf_json(b, rule->id->data, rule->id->len);
    aicpi_strbuf_putc(b, ':');
    aicpi_policy_est_write_ast(b, rule->ast, rule->scope);
}

static void write_link(aicpi_strbuf *b, const aicpi_policy_rule *rule, bool *first) {
    aicpi_strbuf_puts(b, *first ? "{\"templateId\":" : ",{\"templateId\":");
    *first = false;
    aicpi_strbuf_json(b, rule->ast->id->data, rule->ast->id->len);
    aicpi_strbuf_puts(b, ",\"newId\":");
    aicpi_strbuf_json(b, rule->id->data, rule->id->len);
    aicpi_strbuf_puts(b, ",\"values\":{");
    bool first_value = true;
    for (int var = AICPI_POLICY_VAR_PRINCIPAL; var <= AICPI_POLICY_VAR_RESOURCE; var++) {
        if (rule->scope[var].slot) {
            const char *slot = aicpi_policy_slot_names[var];
            aicpi_strbuf_printf(b, first_value ? "\"%s\":" : ",\"%s\":", slot);
            first_value = false;
            aicpi_policy_est_write_uid(b, rule->scope[var].entity);
        }
    }
    aicpi_strbuf_puts(b, "}}");
}

static void write_json(aicpi_strbuf *b, const aicp_policy_set *set) {
    bool first = true;
    aicpi_strbuf_puts(b, "{\"staticPolicies\":{");
    for (size_t i = 0; i < set->count; i++) {
        if (!is_link(&set->rules[i])) {
            write_named(b, &set->rules[i], &first);
        }
    }
    first = true;
    aicpi_strbuf_puts(b, "},\"templates\":{");
    for (size_t i = 0; i < set->template_count; i++) {
        write_named(b, &set->templates[i], &first);
    }
    first = true;
    aicpi_strbuf_puts(b, "},\"templateLinks\":[");
    for (size_t i = 0; i < set->count; i++) {
        if (is_link(&set->rules[i])) {
            write_link(b, &set->rules[i], &first);
        }
    }
    aicpi_strbuf_puts(b, "]}");
}

aicp_status
aicp_policy_set_write(const aicp_policy_set *set, int32_t format, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    aicp_status status = check_format(format, err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &set->allocator, AICPI_STRBUF_MAX);
    if (format == AICP_POLICY_FORMAT_JSON) {
        write_json(&b, set);
        return aicpi_strbuf_take(&b, out, err);
    }
    status = write_cedar(&b, set, err);
    if (status != AICP_OK) {
        aicpi_strbuf_deinit(&b);
        return status;
    }
    return take_laid_out(&b, out, err);
}
