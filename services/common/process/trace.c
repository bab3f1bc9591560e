/* Spans. */
#include "services/common/process/process_internal.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/hash.h"
#include "lib/base/text.h"

#include <inttypes.h>

#define SPAN_JSON_MAX ((size_t)16 << 10)

/* Ids are unlike, not secret: no system call for each. */
static void random_id(char *out, size_t bytes) {
    static _Thread_local uint64_t seed;
    static _Thread_local uint64_t count;
    uint64_t id[2];
    if (count++ == 0) {
        aicpi_random(&seed, sizeof seed);
    }
    id[0] = aicpi_hash_mix(seed ^ count, UINT64_C(0x9e3779b97f4a7c15));
    id[1] = aicpi_hash_mix(seed + count, UINT64_C(0xd1b54a32d192ed03));
    id[0] |= id[0] ? 0 : 1; /* all zeros is no id */
    aicpi_hex_encode(id, bytes, out);
}

static uint64_t wall(void) {
    int64_t ns = aicps_wall_ns();
    return ns > 0 ? (uint64_t)ns : 0;
}

void aicps_span_begin(
    aicps_process *p, aicps_span *span, const char *name, int32_t kind, aicpi_slice traceparent) {
    aicps_traceparent parent;
    bool has_parent = traceparent.len > 0 && aicps_traceparent_parse(traceparent, &parent);
    *span = (aicps_span){.name = name, .kind = kind, .start_ns = wall()};
    if (has_parent) {
        memcpy(span->trace_id, parent.trace_id, sizeof span->trace_id);
        memcpy(span->parent_id, parent.parent_id, sizeof span->parent_id);
        span->sampled = parent.sampled;
    } else {
        random_id(span->trace_id, 16);
    }
    const aicps_tracer *tracer = p ? p->tracer : NULL;
    if (aicps_tracer_is_on(tracer)) {
        span->sampled = aicps_tracer_samples(tracer, span, has_parent);
        random_id(span->span_id, 8);
    } else if (has_parent) {
        /* Nobody will see this span: what is called from here belongs to the caller's. */
        memcpy(span->span_id, parent.parent_id, sizeof span->span_id);
    } else {
        random_id(span->span_id, 8);
        span->sampled = false;
    }
}

void aicps_span_child(
    aicps_process *p, const aicps_span *parent, aicps_span *span, const char *name) {
    if (!parent) {
        aicps_span_begin(p, span, name, 3, AICPI_SLICE(""));
        return;
    }
    *span = (aicps_span){.name = name, .kind = 3, .start_ns = wall(), .sampled = parent->sampled};
    memcpy(span->trace_id, parent->trace_id, sizeof span->trace_id);
    memcpy(span->parent_id, parent->span_id, sizeof span->parent_id);
    if (aicps_tracer_is_on(p ? p->tracer : NULL)) {
        random_id(span->span_id, 8);
    } else {
        memcpy(span->span_id, parent->span_id, sizeof span->span_id);
    }
}

void aicps_span_header(const aicps_span *span, char out[56]) {
    memcpy(out, "00-", 3);
    memcpy(out + 3, span->trace_id, 32);
    out[35] = '-';
    memcpy(out + 36, span->span_id, 16);
    memcpy(out + 52, span->sampled ? "-01" : "-00", 4);
}

static void put_attributes(aicpi_strbuf *b, const aicps_log_field *attributes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const aicps_log_field *a = &attributes[i];
        aicpi_strbuf_puts(b, i > 0 ? ",{\"key\":" : "{\"key\":");
        aicpi_strbuf_json(b, a->name, strlen(a->name));
        if (a->text) {
            aicpi_strbuf_puts(b, ",\"value\":{\"stringValue\":");
            aicpi_strbuf_json(b, a->text, strnlen(a->text, 1024));
            aicpi_strbuf_puts(b, "}}");
        } else {
            /* 64-bit numbers are strings in the JSON form of protocol buffers. */
            aicpi_strbuf_printf(b, ",\"value\":{\"intValue\":\"%" PRId64 "\"}}", a->number);
        }
    }
}

void aicps_span_end(
    aicps_process *p, aicps_span *span, const aicps_log_field *attributes, size_t count) {
    span->end_ns = wall();
    if (span->end_ns < span->start_ns) {
        span->end_ns = span->start_ns; /* the clock was set back */
    }
    aicps_tracer *tracer = p ? p->tracer : NULL;
    if (!span->sampled || !aicps_tracer_is_on(tracer)) {
        return;
    }
    const char *name = span->name ? span->name : "";
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, NULL, SPAN_JSON_MAX);
    (void)aicpi_strbuf_reserve(&b, 1024);
    aicpi_strbuf_printf(
        &b, "{\"traceId\":\"%s\",\"spanId\":\"%s\",", span->trace_id, span->span_id);
    if (span->parent_id[0]) {
        aicpi_strbuf_printf(&b, "\"parentSpanId\":\"%s\",", span->parent_id);
    }
    aicpi_strbuf_puts(&b, "\"name\":");
    aicpi_strbuf_json(&b, name, strnlen(name, 512));
    aicpi_strbuf_printf(
        &b,
        ",\"kind\":%" PRId32 ",\"startTimeUnixNano\":\"%" PRIu64 "\",\"endTimeUnixNano\":\"%" PRIu64
        "\",\"attributes\":[",
        span->kind,
        span->start_ns,
        span->end_ns);
    put_attributes(&b, attributes, count);
    aicpi_strbuf_printf(&b, "],\"status\":{%s}}", span->error ? "\"code\":2" : "");
    aicps_tracer_put(tracer, b.failed ? NULL : b.data, b.len);
    aicpi_strbuf_deinit(&b);
}
