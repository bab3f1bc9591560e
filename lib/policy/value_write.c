#include "lib/policy/value_write.h"

#include "lib/policy/extension.h"
#include "lib/policy/forms.h"

#include <inttypes.h>
#include <stdlib.h>

/* Values nest at most as deep as the text they were read from plus the expression that built them,
 * both of which have limits; so the recursion here is bounded. */

/* One member of a record or set, as it was appended. */
typedef struct member {
    size_t start; /* in the output */
    size_t len;
} member;

static int by_text(const void *a, const void *b, void *base) {
    const member *x = a;
    const member *y = b;
    const char *text = base;
    int order = memcmp(text + x->start, text + y->start, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Puts the members, which stand at the end of the output one behind the other, into order with
 * commas between them. */
static void order_members(aicpi_policy_writer *w, member *members, uint32_t count) {
    aicpi_strbuf *b = w->out;
    if (b->failed || count == 0) {
        return;
    }
    size_t start = members[0].start;
    char *copy = aicpi_arena_alloc(w->scratch, b->len - start);
    if (!copy) {
        b->failed = true;
        return;
    }
    memcpy(copy, b->data + start, b->len - start);
    qsort_r(members, count, sizeof *members, by_text, b->data);
    b->len = start;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            aicpi_strbuf_putc(b, ',');
        }
        aicpi_strbuf_append(b, copy + (members[i].start - start), members[i].len);
    }
}

static member *make_members(aicpi_policy_writer *w, uint32_t count) {
    member *members = aicpi_arena_calloc(w->scratch, count, sizeof *members);
    w->out->failed |= !members;
    return members;
}

void aicpi_policy_write_fields(aicpi_policy_writer *w, const aicpi_policy_record *record) {
    aicpi_strbuf *b = w->out;
    member *members = make_members(w, record->count);
    aicpi_strbuf_putc(b, '{');
    for (uint32_t i = 0; members && i < record->count; i++) {
        const aicpi_policy_field *f = &record->fields[i];
        members[i].start = b->len;
        aicpi_strbuf_json(b, f->key->data, f->key->len);
        aicpi_strbuf_putc(b, ':');
        aicpi_policy_write_value(w, f->value);
        members[i].len = b->len - members[i].start;
    }
    order_members(w, members, record->count);
    aicpi_strbuf_putc(b, '}');
}

static void write_record(aicpi_policy_writer *w, const aicpi_policy_record *record) {
    for (uint32_t i = 0; i < record->count; i++) {
        const aicpi_policy_str *key = record->fields[i].key;
        if (aicpi_policy_is_escape(aicpi_policy_text(key))) {
            w->forbidden = key;
        }
    }
    aicpi_policy_write_fields(w, record);
}

static void write_set(aicpi_policy_writer *w, const aicpi_policy_set_value *set) {
    aicpi_strbuf *b = w->out;
    member *members = make_members(w, set->count);
    aicpi_strbuf_putc(b, '[');
    for (uint32_t i = 0; members && i < set->count; i++) {
        members[i].start = b->len;
        aicpi_policy_write_value(w, set->items[i].value);
        members[i].len = b->len - members[i].start;
    }
    order_members(w, members, set->count);
    aicpi_strbuf_putc(b, ']');
}

/* ---- extension values ---- */

static void write_call(aicpi_strbuf *b, int fn, const char *text, size_t len) {
    aicpi_strbuf_printf(b, "{\"__extn\":{\"fn\":\"%s\",\"arg\":", aicpi_policy_fns[fn].name);
    aicpi_strbuf_json(b, text, len);
    aicpi_strbuf_puts(b, "}}");
}

/* A datetime without a text of its own. */
static void write_datetime(aicpi_strbuf *b, const char *duration, size_t len) {
    static const char start[] = AICPI_POLICY_DATETIME_START;
    aicpi_strbuf_puts(b, "{\"__extn\":{\"fn\":\"offset\",\"args\":[");
    write_call(b, AICPI_POLICY_FN_DATETIME, start, sizeof start - 1);
    aicpi_strbuf_putc(b, ',');
    write_call(b, AICPI_POLICY_FN_DURATION, duration, len);
    aicpi_strbuf_puts(b, "]}}");
}

static void write_extension(aicpi_policy_writer *w, aicpi_policy_value v) {
    static const int constructors[] = {
        [AICPI_POLICY_DECIMAL] = AICPI_POLICY_FN_DECIMAL,
        [AICPI_POLICY_IP] = AICPI_POLICY_FN_IP,
        [AICPI_POLICY_DATETIME] = AICPI_POLICY_FN_DATETIME,
        [AICPI_POLICY_DURATION] = AICPI_POLICY_FN_DURATION};
    if (w->texts && v.text > 0 && v.text <= w->texts->count) {
        const aicpi_policy_str *text = w->texts->items[v.text - 1];
        write_call(w->out, constructors[v.kind], text->data, text->len);
        return;
    }
    char text[AICPI_POLICY_EXTENSION_TEXT];
    size_t len = 0;
    switch (v.kind) {
    case AICPI_POLICY_DECIMAL:
        len = aicpi_policy_decimal_format(v.u.integer, text);
        break;
    case AICPI_POLICY_IP:
        len = aicpi_policy_ip_format(v.u.ip, text);
        break;
    default:
        len = aicpi_policy_duration_format(v.u.integer, text);
        break;
    }
    if (v.kind == AICPI_POLICY_DATETIME) {
        write_datetime(w->out, text, len);
    } else {
        write_call(w->out, constructors[v.kind], text, len);
    }
}

void aicpi_policy_write_value(aicpi_policy_writer *w, aicpi_policy_value v) {
    switch (v.kind) {
    case AICPI_POLICY_BOOL:
        aicpi_strbuf_puts(w->out, v.u.boolean ? "true" : "false");
        break;
    case AICPI_POLICY_LONG:
        aicpi_strbuf_printf(w->out, "%" PRId64, v.u.integer);
        break;
    case AICPI_POLICY_STRING:
        aicpi_strbuf_json(w->out, v.u.string->data, v.u.string->len);
        break;
    case AICPI_POLICY_ENTITY:
        aicpi_strbuf_puts(w->out, "{\"__entity\":");
        aicpi_policy_est_write_uid(w->out, v.u.entity);
        aicpi_strbuf_putc(w->out, '}');
        break;
    case AICPI_POLICY_SET:
        write_set(w, v.u.set);
        break;
    case AICPI_POLICY_RECORD:
        write_record(w, v.u.record);
        break;
    default:
        write_extension(w, v);
        break;
    }
}
