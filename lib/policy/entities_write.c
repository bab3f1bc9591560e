/* Entities as JSON. */
#include "lib/base/error.h"
#include "lib/policy/brief.h"
#include "lib/policy/entities.h"
#include "lib/policy/forms.h"
#include "lib/policy/value_write.h"

static void write_entity(aicpi_policy_writer *w, const aicpi_policy_entity *e) {
    aicpi_strbuf *b = w->out;
    aicpi_strbuf_puts(b, "{\"uid\":");
    aicpi_policy_est_write_uid(b, e->uid);
    aicpi_strbuf_puts(b, ",\"attrs\":");
    aicpi_policy_write_fields(w, e->attrs);
    aicpi_strbuf_puts(b, ",\"parents\":[");
    for (uint32_t i = 0; i < e->parent_count; i++) {
        if (i > 0) {
            aicpi_strbuf_putc(b, ',');
        }
        aicpi_policy_est_write_uid(b, e->parents[i]);
    }
    aicpi_strbuf_putc(b, ']');
    if (e->tags->count > 0) {
        aicpi_strbuf_puts(b, ",\"tags\":");
        aicpi_policy_write_fields(w, e->tags);
    }
    aicpi_strbuf_putc(b, '}');
}

aicp_status
aicp_policy_entities_write(const aicp_policy_entities *entities, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    aicpi_strbuf b;
    aicpi_arena scratch;
    aicpi_strbuf_init(&b, &entities->allocator, AICPI_STRBUF_MAX);
    aicpi_arena_init(&scratch, &entities->allocator, 0, 0);
    aicpi_policy_writer w = {.out = &b, .scratch = &scratch, .texts = &entities->texts};
    const aicpi_policy_entity *e = entities->items;
    aicpi_strbuf_putc(&b, '[');
    for (size_t i = 0; i < entities->count && !b.failed && !w.forbidden; i++, e++) {
        aicpi_strbuf_puts(&b, i > 0 ? ",\n" : "\n");
        aicpi_arena_reset(&scratch);
        write_entity(&w, e);
    }
    aicpi_strbuf_puts(&b, "\n]\n");
    aicpi_arena_deinit(&scratch);
    if (!w.forbidden) {
        return aicpi_strbuf_take(&b, out, err);
    }
    aicpi_strbuf_deinit(&b);
    return aicpi_fail(
        err,
        AICP_ERR_UNSUPPORTED,
        "%s: JSON has no form for a record with the key \"%s\"",
        aicpi_policy_brief_uid(e[-1].uid).text,
        aicpi_policy_brief_str(w.forbidden).text);
}
