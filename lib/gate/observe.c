/* Events (JSON Lines in a bounded ring; the oldest are dropped and counted) and metrics. */
#include "lib/gate/gate_internal.h"

#include "lib/base/crypto.h"
#include "lib/base/text.h"
#include "lib/gate/fetch.h"
#include "lib/gate/uplink.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* ---- ring ---- */

static void new_boot(aicpi_events *e) {
    unsigned char random[8];
    aicpi_random(random, sizeof random);
    aicpi_hex_encode(random, sizeof random, e->boot);
    e->sequence = 0;
    e->start = 0;
    e->used = 0;
    e->waiting = 0;
}

aicp_status aicpi_events_init(aicp_gate *g, aicp_error *err) {
    aicpi_events *e = &g->events;
    pthread_mutex_init(&e->lock, NULL);
    aicpi_strbuf_init(&e->line, &g->allocator, AICPI_EVENT_LINE);
    e->ring = aicpi_alloc(&g->allocator, AICPI_EVENT_RING);
    if (!e->ring) {
        return aicpi_nomem(err);
    }
    new_boot(e);
    return AICP_OK;
}

void aicpi_events_deinit(aicp_gate *g) {
    aicpi_events *e = &g->events;
    aicpi_strbuf_deinit(&e->line);
    aicpi_free(&g->allocator, e->ring);
    pthread_mutex_destroy(&e->lock);
}

void aicpi_events_reopen(aicp_gate *g) {
    pthread_mutex_init(&g->events.lock, NULL);
    new_boot(&g->events);
}

static void ring_write(aicpi_events *e, const void *data, size_t len) {
    size_t at = (e->start + e->used) % AICPI_EVENT_RING;
    size_t first = len < AICPI_EVENT_RING - at ? len : AICPI_EVENT_RING - at;
    memcpy(e->ring + at, data, first);
    memcpy(e->ring, (const char *)data + first, len - first);
    e->used += len;
}

static void ring_read(const aicpi_events *e, size_t offset, void *out, size_t len) {
    size_t at = (e->start + offset) % AICPI_EVENT_RING;
    size_t first = len < AICPI_EVENT_RING - at ? len : AICPI_EVENT_RING - at;
    memcpy(out, e->ring + at, first);
    memcpy((char *)out + first, e->ring, len - first);
}

/* Length of the oldest line. */
static size_t ring_first(const aicpi_events *e) {
    uint32_t len = 0;
    ring_read(e, 0, &len, sizeof len);
    return len;
}

static void ring_pop(aicpi_events *e) {
    size_t record = sizeof(uint32_t) + ring_first(e);
    e->used -= record;
    e->waiting--;
    /* An empty ring begins anew, so that one which is taken in time stays in its first pages. */
    e->start = e->used > 0 ? (e->start + record) % AICPI_EVENT_RING : 0;
}

/* An empty line with the fields that every event has; the lock is held until event_end. */
static aicpi_strbuf *event_begin(aicp_gate *g, const char *type) {
    aicpi_events *e = &g->events;
    aicpi_strbuf *line = &e->line;
    char time[40];
    pthread_mutex_lock(&e->lock);
    aicpi_strbuf_clear(line);
    aicpi_time_format(aicpi_wall_ns(&g->clock), time);
    aicpi_strbuf_printf(
        line,
        "{\"event\":\"%s\",\"time\":\"%s\",\"boot\":\"%s\",\"sequence\":%llu,\"node\":",
        type,
        time,
        e->boot,
        (unsigned long long)++e->sequence);
    aicpi_strbuf_json(line, g->node, strlen(g->node));
    return line;
}

static void event_end(aicp_gate *g, aicpi_strbuf *line) {
    aicpi_events *e = &g->events;
    aicpi_strbuf_puts(line, "}\n");
    if (line->failed) {
        e->dropped++;
    } else {
        uint32_t len = (uint32_t)line->len;
        while (AICPI_EVENT_RING - e->used < sizeof len + line->len) {
            ring_pop(e);
            e->dropped++;
        }
        ring_write(e, &len, sizeof len);
        ring_write(e, line->data, line->len);
        e->waiting++;
    }
    pthread_mutex_unlock(&e->lock);
}

static void field(aicpi_strbuf *line, const char *name, const char *text) {
    if (*text) {
        aicpi_strbuf_printf(line, ",\"%s\":", name);
        aicpi_strbuf_json(line, text, strlen(text));
    }
}

/* Bytes that a list of names may take in an event, so that no caller can make one too long to be
 * told. */
#define NAMES_MOST 8192

static void money(aicpi_strbuf *line, const char *name, int64_t nano) {
    char text[AICP_MONEY_TEXT_SIZE];
    aicp_money_format(nano, text);
    aicpi_strbuf_printf(line, ",\"%s\":\"%s\"", name, text);
}

static void subject(aicpi_strbuf *line, const aicp_gate_decision *d) {
    field(line, "decision", d->id);
    const aicpi_slice *f = d->subject.fields;
    field(line, "key", f[AICP_GATE_KEY].data);
    field(line, "key_alias", f[AICP_GATE_KEY_ALIAS].data);
    field(line, "user", f[AICP_GATE_USER].data);
    field(line, "team", f[AICP_GATE_TEAM].data);
    field(line, "org", f[AICP_GATE_ORG].data);
    field(line, "end_user", f[AICP_GATE_END_USER].data);
    field(line, "model", d->model);
}

static void names(aicpi_strbuf *line, const char *name, const aicpi_slice *items, size_t count) {
    size_t most = line->len + NAMES_MOST;
    bool cut = false;
    if (count == 0) {
        return;
    }
    aicpi_strbuf_printf(line, ",\"%s\":[", name);
    for (size_t i = 0; i < count && !cut; i++) {
        cut = line->len + items[i].len > most;
        if (!cut) {
            aicpi_strbuf_puts(line, i ? "," : "");
            aicpi_strbuf_json(line, items[i].data, items[i].len);
        }
    }
    aicpi_strbuf_putc(line, ']');
    if (cut) {
        aicpi_strbuf_printf(line, ",\"%s_cut\":true", name);
    }
}

/* With the subject and the model, all that policies are asked (see aicp_gate_question_parse). */
static void question(aicpi_strbuf *line, const aicp_gate_decision *d, const aicpi_body *body) {
    const aicpi_slice *f = d->subject.fields;
    field(line, "action", aicp_gate_action_name(d->subject.action));
    field(line, "role", f[AICP_GATE_ROLE].data);
    field(line, "ip", f[AICP_GATE_IP].data);
    field(line, "source", f[AICP_GATE_SOURCE].data);
    aicpi_strbuf_printf(
        line,
        ",\"stream\":%s,\"output_cap\":%lld",
        d->stream ? "true" : "false",
        (long long)d->quote.output_cap);
    names(line, "tags", d->subject.tags, d->subject.tag_count);
    names(line, "tools", body->tools, body->tool_count);
}

void aicpi_event_decision(aicp_gate *g, const aicp_gate_decision *d, const aicpi_body *body) {
    aicpi_strbuf *line = event_begin(g, "decision");
    subject(line, d);
    question(line, d, body);
    field(line, "bundle", d->bundle->version);
    field(line, "verdict", d->verdict == AICP_GATE_ALLOW ? "allow" : "deny");
    field(line, "step", aicp_gate_step_name(d->refused_step));
    field(line, "type", d->type);
    field(line, "rule", d->rule);
    field(line, "message", d->message);
    aicpi_strbuf_printf(
        line,
        ",\"http_status\":%d,\"input_tokens\":%lld,\"findings\":%zu,\"risk\":%.3f,\"gate_ns\":%llu",
        (int)d->http_status,
        (long long)d->quote.input.tokens,
        d->findings,
        d->risk,
        (unsigned long long)d->step_ns[AICP_GATE_STEP_COUNT]);
    if (d->priced) {
        money(line, "cost_expected", d->quote.cost_expected_nano);
        money(line, "reserved", d->reserved_nano);
    }
    event_end(g, line);
}

void aicpi_event_settled(aicp_gate *g, const aicp_gate_decision *d, int64_t input, int64_t output) {
    aicpi_strbuf *line = event_begin(g, "settled");
    subject(line, d);
    aicpi_strbuf_printf(
        line, ",\"input_tokens\":%lld,\"output_tokens\":%lld", (long long)input, (long long)output);
    money(line, "cost", d->settled_nano);
    if (d->priced) {
        money(line, "cost_expected", d->quote.cost_expected_nano);
    }
    event_end(g, line);
}

void aicpi_event_output(aicp_gate *g, const aicp_gate_decision *d, const aicp_guard_result *r) {
    aicpi_strbuf *line = event_begin(g, "output");
    subject(line, d);
    field(line, "action", aicp_guard_action_name(aicp_guard_result_action(r)));
    aicpi_strbuf_puts(line, ",\"findings\":[");
    for (size_t i = 0; i < aicp_guard_result_finding_count(r) && i < 50; i++) {
        const aicp_guard_finding *f = aicp_guard_result_finding(r, i);
        aicpi_strbuf_puts(line, i ? ",{\"type\":" : "{\"type\":");
        aicpi_strbuf_json(line, f->type, strlen(f->type));
        aicpi_strbuf_puts(line, ",\"rule\":"); /* names of rules come from the bundle */
        aicpi_strbuf_json(line, f->rule, strlen(f->rule));
        aicpi_strbuf_printf(
            line,
            ",\"score\":%.3f,\"action\":\"%s\"}",
            f->score,
            aicp_guard_action_name(f->action));
    }
    aicpi_strbuf_putc(line, ']');
    event_end(g, line);
}

void aicpi_event_bundle(aicp_gate *g, const char *version, const aicp_error *refused) {
    aicpi_strbuf *line = event_begin(g, "bundle");
    field(line, "bundle", version);
    field(line, "status", refused ? "refused" : "loaded");
    if (refused) {
        field(line, "error", aicp_status_name(refused->code));
        field(line, "message", refused->message);
        aicpi_strbuf_printf(
            line, ",\"line\":%u,\"column\":%u", (unsigned)refused->line, (unsigned)refused->column);
    }
    event_end(g, line);
}

/* ---- out ---- */

uint64_t aicpi_events_take(aicp_gate *g, aicpi_strbuf *out, size_t max) {
    aicpi_events *e = &g->events;
    pthread_mutex_lock(&e->lock);
    while (e->waiting > 0 && ring_first(e) <= max - out->len &&
           aicpi_strbuf_reserve(out, ring_first(e))) {
        size_t len = ring_first(e);
        ring_read(e, sizeof(uint32_t), out->data + out->len, len);
        out->len += len;
        ring_pop(e);
    }
    uint64_t dropped = e->dropped;
    pthread_mutex_unlock(&e->lock);
    return dropped;
}

void aicpi_events_lost(aicp_gate *g, uint64_t count) {
    pthread_mutex_lock(&g->events.lock);
    g->events.dropped += count;
    pthread_mutex_unlock(&g->events.lock);
}

aicp_status aicp_gate_events(aicp_gate *g, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    if (!g || g->events_path || g->uplink) {
        return aicpi_fail(err, AICP_ERR_STATE, "the events of this gate go to a file or a server");
    }
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &g->allocator, AICPI_STRBUF_MAX);
    aicpi_events_take(g, &text, AICPI_STRBUF_MAX);
    return aicpi_strbuf_take(&text, out, err);
}

static aicp_status append_to_file(const char *path, aicpi_slice text, aicp_error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
        return aicpi_fail(err, AICP_ERR_IO, "cannot open %s: %s", path, strerror(errno));
    }
    aicp_status status = AICP_OK;
    while (text.len > 0 && status == AICP_OK) {
        ssize_t n = write(fd, text.data, text.len);
        if (n > 0) {
            text.data += n;
            text.len -= (size_t)n;
        } else if (n < 0 && errno != EINTR) {
            status = aicpi_fail(err, AICP_ERR_IO, "cannot write %s: %s", path, strerror(errno));
        }
    }
    close(fd);
    return status;
}

aicp_status aicpi_events_append(aicp_gate *g, aicpi_slice lines, aicp_error *err) {
    return g->events_path && lines.len ? append_to_file(g->events_path, lines, err) : AICP_OK;
}

aicp_status aicpi_events_write(aicp_gate *g, aicp_error *err) {
    if (!g->events_path || !g->events.ring || g->uplink) {
        return AICP_OK;
    }
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &g->allocator, AICPI_STRBUF_MAX);
    aicpi_events_take(g, &text, AICPI_STRBUF_MAX);
    aicp_status status = aicpi_events_append(g, aicpi_slice_of(text.data, text.len), err);
    aicpi_strbuf_deinit(&text);
    return status;
}

/* ---- metrics ---- */

static unsigned long long load(const atomic_uint_fast64_t *counter) {
    return (unsigned long long)atomic_load_explicit(counter, memory_order_relaxed);
}

static void put_steps(aicp_gate *g, aicpi_strbuf *out) {
    aicpi_strbuf_puts(out, ",\"steps\":{");
    for (int32_t i = 0; i < AICP_GATE_STEP_COUNT; i++) {
        aicpi_strbuf_printf(
            out,
            "%s\"%s\":{\"runs\":%llu,\"refusals\":%llu,\"ns\":%llu}",
            i ? "," : "",
            aicp_gate_step_name(i),
            load(&g->steps[i].runs),
            load(&g->steps[i].refusals),
            load(&g->steps[i].ns));
    }
    aicpi_strbuf_putc(out, '}');
}

static void put_store(aicp_gate *g, aicpi_strbuf *out) {
    aicp_ledger_metrics ledger = AICP_LEDGER_METRICS_INIT;
    aicp_limiter_stats limiter = {.size = sizeof limiter};
    aicp_ledger_metrics_get(g->ledger, &ledger);
    if (aicp_limiter_stats_get(g->limiter, &limiter, NULL) != AICP_OK) {
        return;
    }
    aicpi_strbuf_printf(
        out,
        ",\"ledger\":{\"admitted\":%llu,\"denied\":%llu,\"settled\":%llu,\"released\":%llu,"
        "\"unsent\":%llu,"
        "\"store_errors\":%llu},\"limiter\":{\"allowed\":%llu,\"denied\":%llu,\"keys\":%llu,"
        "\"store_calls\":%llu,\"store_failures\":%llu}",
        (unsigned long long)ledger.admitted,
        (unsigned long long)ledger.denied,
        (unsigned long long)ledger.settled,
        (unsigned long long)ledger.released,
        (unsigned long long)ledger.unsent,
        (unsigned long long)ledger.store_errors,
        (unsigned long long)limiter.allowed,
        (unsigned long long)limiter.denied,
        (unsigned long long)limiter.keys,
        (unsigned long long)limiter.store_calls,
        (unsigned long long)limiter.store_failures);
}

static void put_bundle(aicp_gate *g, aicpi_strbuf *out) {
    pthread_rwlock_rdlock(&g->rules_lock);
    const char *version = g->bundle ? g->bundle->version : "";
    aicpi_strbuf_puts(out, ",\"bundle\":");
    aicpi_strbuf_json(out, version, strlen(version));
    aicpi_strbuf_puts(out, ",\"bundle_error\":");
    aicpi_strbuf_json(out, g->bundle_error, strlen(g->bundle_error));
    pthread_rwlock_unlock(&g->rules_lock);
}

aicp_status aicp_gate_metrics(aicp_gate *g, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    if (!g) {
        return aicpi_fail(err, AICP_ERR_INVALID, "gate is NULL");
    }
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, &g->allocator, AICPI_STRBUF_MAX);
    aicpi_strbuf_printf(
        &text,
        "{\"checks\":%llu,\"refusals\":%llu,\"would_block\":%llu,\"check_ns\":%llu,\"in_flight\":%"
        "lld,\"settled\":%llu",
        load(&g->checks),
        load(&g->refusals),
        load(&g->would_block),
        load(&g->check_ns),
        (long long)atomic_load_explicit(&g->in_flight, memory_order_relaxed),
        load(&g->settled));
    money(&text, "settled_cost", (int64_t)load(&g->settled_nano));
    put_bundle(g, &text);
    put_steps(g, &text);
    put_store(g, &text);
    if (g->fetch) {
        aicpi_fetch_metrics(g->fetch, &text);
    }
    if (g->uplink) {
        aicpi_uplink_metrics(g->uplink, &text);
    }
    pthread_mutex_lock(&g->events.lock);
    aicpi_strbuf_printf(
        &text,
        ",\"events\":{\"waiting\":%llu,\"dropped\":%llu}}",
        (unsigned long long)g->events.waiting,
        (unsigned long long)g->events.dropped);
    pthread_mutex_unlock(&g->events.lock);
    return aicpi_strbuf_take(&text, out, err);
}
