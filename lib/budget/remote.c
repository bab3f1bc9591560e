/* A ledger whose store is behind a server: it sends what a pass would do in SQL as a message. A
 * message that got no answer is sent again as it was; the server does each batch of a node once. */
#include "lib/budget/remote.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/text.h"
#include "lib/budget/wire.h"
#include "lib/net/net.h"

#include <string.h>

#define PATH "/api/v1/gate/leases"
#define TIMEOUT_MS 5000
#define HELLO_NS (2 * (uint64_t)AICPI_SECOND_NS)
#define URL_MOST 2048
#define KEY_MOST 1024

struct aicpi_budget_remote {
    aicp_allocator allocator;
    aicpi_net_client *net;
    char *url;
    char *key;
    aicpi_strbuf request;
    aicpi_strbuf pass; /* the request of the pass at hand */
    aicpi_strbuf body;
    aicpi_arena arena; /* of the answer at hand */
    bool unanswered;   /* nobody knows whether the pass was done */
    bool fenced;
    bool knows_time;
};

bool aicpi_budget_is_remote(aicpi_slice url) {
    return (url.len > 7 && memcmp(url.data, "http://", 7) == 0) ||
           (url.len > 8 && memcmp(url.data, "https://", 8) == 0);
}

/* ---- transport ---- */

static void build_body(aicpi_budget_core *c, const aicpi_strbuf *message) {
    aicpi_strbuf *b = &c->remote->body;
    aicpi_strbuf_clear(b);
    aicpi_strbuf_puts(b, "{\"format\":\"aicp-leases/1\",\"node\":");
    aicpi_strbuf_json(b, c->name, strlen(c->name));
    aicpi_strbuf_puts(b, ",\"boot\":");
    aicpi_strbuf_json(b, c->node, strlen(c->node));
    aicpi_strbuf_puts(b, ",\"ledger\":{\"data\":\"");
    aicpi_wire_base64(b, message->data, message->len);
    aicpi_strbuf_puts(b, "\"}}");
    b->failed = b->failed || message->failed;
}

aicp_status aicpi_budget_ledger_part(
    aicpi_arena *arena, const char *data, size_t len, aicpi_slice *bytes, aicp_error *err) {
    aicpi_json r;
    aicpi_slice key;
    aicpi_slice format = {NULL, 0};
    aicpi_slice text = {NULL, 0};
    aicpi_json_init(&r, arena, data, len, 0);
    if (aicpi_json_object(&r)) {
        while (aicpi_json_member(&r, &key)) {
            if (aicpi_slice_is(key, "format")) {
                (void)aicpi_json_string(&r, &format);
            } else if (aicpi_slice_is(key, "ledger") && aicpi_json_object(&r)) {
                while (aicpi_json_member(&r, &key)) {
                    bool data_here = aicpi_slice_is(key, "data");
                    (void)(data_here ? aicpi_json_string(&r, &text) : aicpi_json_skip(&r));
                }
            } else {
                (void)aicpi_json_skip(&r);
            }
        }
    }
    aicp_status s = aicpi_json_finish(&r, err);
    if (s != AICP_OK) {
        return s;
    }
    if (!aicpi_slice_is(format, "aicp-leases/1") || !text.data) {
        return aicpi_fail(err, AICP_ERR_PARSE, "no ledger part of the format aicp-leases/1");
    }
    if (text.len / 4 * 3 > AICPI_WIRE_MAX) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "the ledger part is too large");
    }
    unsigned char *out = aicpi_arena_alloc(arena, text.len / 4 * 3 + 6);
    if (!out) {
        return aicpi_nomem(err);
    }
    if (!aicpi_base64_decode(text.data, text.len, out, &bytes->len)) {
        return aicpi_fail(err, AICP_ERR_PARSE, "the ledger part is not base64");
    }
    bytes->data = (const char *)out;
    return AICP_OK;
}

/* What is known of a message. */
typedef enum fate { NOT_DONE, UNKNOWN, ANSWERED } fate;

/* Sends and reads the outcome; `reply` is left behind it. */
static aicp_status post(
    aicpi_budget_core *c,
    uint64_t deadline,
    const aicpi_strbuf *message,
    aicpi_wire *reply,
    fate *became,
    aicp_error *err) {
    aicpi_budget_remote *r = c->remote;
    uint64_t now = aicpi_monotonic_ns(&c->clock);
    uint64_t left = deadline > now ? (deadline - now) / 1000000 : 0;
    aicpi_net_header headers[] = {
        {aicpi_slice_cstr("Content-Type"), aicpi_slice_cstr("application/json")},
        {aicpi_slice_cstr("X-Service-Key"), aicpi_slice_cstr(r->key)},
    };
    aicpi_net_response response;
    *became = NOT_DONE;
    build_body(c, message);
    if (r->body.failed) {
        return aicpi_nomem(err);
    }
    aicpi_net_request q = {
        .method = "POST",
        .url = aicpi_slice_cstr(r->url),
        .headers = headers,
        .header_count = r->key[0] ? 2 : 1,
        .body = aicpi_slice_of(r->body.data, r->body.len),
        .timeout_ms = left < 1            ? 1
                      : left < TIMEOUT_MS ? left
                                          : TIMEOUT_MS,
        .may_repeat = true,
    };
    aicpi_net_response_init(&response, &c->allocator);
    aicpi_arena_reset(&r->arena);
    aicp_status s = aicpi_net_perform(r->net, &q, &response, err);
    aicpi_slice bytes = {NULL, 0};
    if (s != AICP_OK) {
        bool sent = s != AICP_ERR_NET_CONNECT && s != AICP_ERR_NET_TLS && s != AICP_ERR_INVALID;
        *became = sent ? UNKNOWN : NOT_DONE;
        s = AICP_ERR_STORE;
    } else if (response.status != 200) {
        bool refused = response.status >= 400 && response.status < 500;
        *became = refused ? NOT_DONE : UNKNOWN;
        s = aicpi_fail(
            err, AICP_ERR_STORE, "the ledger's server answered %d", (int)response.status);
    } else {
        s = aicpi_budget_ledger_part(&r->arena, response.body.data, response.body.len, &bytes, err);
        *became = s == AICP_OK ? ANSWERED : UNKNOWN;
        s = s == AICP_OK ? s : AICP_ERR_STORE;
    }
    aicpi_net_response_deinit(&response);
    if (s != AICP_OK) {
        return s;
    }
    aicpi_slice text = {"", 0};
    *reply = (aicpi_wire){
        .at = (const unsigned char *)bytes.data,
        .end = (const unsigned char *)bytes.data + bytes.len,
        .arena = &r->arena};
    aicpi_wire_outcome(reply, &s, &text);
    if (reply->bad) {
        *became = UNKNOWN;
        return aicpi_fail(err, AICP_ERR_STORE, "the ledger's server answered nonsense");
    }
    return s == AICP_OK ? s : aicpi_fail(err, s, "%.*s", (int)text.len, text.data);
}

static aicpi_wire begin(aicpi_budget_core *c, aicpi_strbuf *b, int32_t what) {
    aicpi_wire w = {.out = b};
    int32_t version = AICPI_WIRE_VERSION;
    aicpi_slice node = aicpi_slice_cstr(c->node);
    aicpi_strbuf_clear(b);
    aicpi_wire_i32(&w, &version, 1, INT32_MAX);
    aicpi_wire_i32(&w, &what, 1, WIRE_LAST);
    aicpi_wire_text(&w, &node, 1, AICPI_BUDGET_NODE_SIZE);
    return w;
}

/* Everything but a pass does no harm when it is done twice, so that no answer is just a failure. */
static aicp_status
call(aicpi_budget_core *c, uint64_t deadline, aicpi_wire *reply, aicp_error *err) {
    fate became = NOT_DONE;
    return post(c, deadline, &c->remote->request, reply, &became, err);
}

static aicp_status ended(const aicpi_wire *reply, aicp_error *err) {
    return aicpi_wire_end(reply)
               ? AICP_OK
               : aicpi_fail(err, AICP_ERR_STORE, "the ledger's server answered nonsense");
}

/* ---- passes ---- */

static void learn_time(aicpi_budget_core *c, int64_t now_ns) {
    if (!c->remote->knows_time && !c->clock_given) {
        c->wall_offset = now_ns - aicpi_wall_ns(&c->clock);
    }
    c->remote->knows_time = true;
}

/* Ids of changed accounts are read later without a look at their lengths. */
static bool changes_whole(const aicpi_strbuf *b) {
    size_t at = 0;
    while (at + 3 <= b->len) {
        const unsigned char *p = (const unsigned char *)b->data + at;
        at += 3 + ((size_t)p[1] << 8 | p[2]);
    }
    return at == b->len;
}

aicp_status aicpi_budget_remote_pass(aicpi_budget_core *c, uint64_t deadline, aicp_error *err) {
    aicpi_budget_remote *r = c->remote;
    aicpi_wire reply;
    fate became = NOT_DONE;
    if (!r->unanswered) {
        aicpi_wire w = begin(c, &r->pass, WIRE_PASS);
        aicpi_wire_pass(&w, c);
    }
    aicp_status s = post(c, deadline, &r->pass, &reply, &became, err);
    if (s == AICP_OK) {
        aicpi_wire_pass_result(&reply, c);
        bool whole = aicpi_wire_end(&reply) && changes_whole(&c->pass.changed);
        became = whole ? ANSWERED : UNKNOWN;
        s = whole ? s : aicpi_fail(err, AICP_ERR_STORE, "the ledger's server answered nonsense");
    }
    if (s == AICP_OK) {
        learn_time(c, c->pass.now_ns);
    }
    /* Once sent without an answer it stays in question until there is one. */
    r->unanswered = became == UNKNOWN || (became == NOT_DONE && r->unanswered);
    r->fenced = r->fenced || s == AICP_ERR_STATE;
    return s == AICP_OK || s == AICP_ERR_STATE || s == AICP_ERR_STORE_BUSY ? s : AICP_ERR_STORE;
}

bool aicpi_budget_remote_unanswered(const aicpi_budget_core *c) {
    return c->remote->unanswered;
}

bool aicpi_budget_remote_fenced(aicpi_budget_core *c) {
    bool fenced = c->remote && c->remote->fenced;
    if (fenced) {
        c->remote->fenced = false;
    }
    return fenced;
}

/* ---- the other calls ---- */

aicp_status aicpi_budget_remote_news(
    aicpi_budget_core *c, uint64_t deadline, int64_t *rev, int64_t *recalls, aicp_error *err) {
    aicpi_wire reply;
    (void)begin(c, &c->remote->request, WIRE_NEWS);
    aicp_status s = call(c, deadline, &reply, err);
    if (s == AICP_OK) {
        aicpi_wire_i64(&reply, rev, 0, INT64_MAX);
        aicpi_wire_i64(&reply, recalls, 0, INT64_MAX);
        s = ended(&reply, err);
    }
    return s;
}

aicp_status aicpi_budget_remote_recover(
    aicpi_budget_core *c, uint64_t deadline, aicpi_budget_recovery *v, aicp_error *err) {
    aicpi_wire reply;
    aicpi_wire w = begin(c, &c->remote->request, WIRE_RECOVER);
    aicpi_wire_recover(&w, v);
    aicp_status s = call(c, deadline, &reply, err);
    if (s == AICP_OK) {
        aicpi_wire_recovered(&reply, v);
        s = ended(&reply, err);
    }
    return s;
}

static aicp_status hello(aicpi_budget_core *c, uint64_t deadline, aicp_error *err) {
    aicpi_wire reply;
    int64_t now_ns = 0;
    (void)begin(c, &c->remote->request, WIRE_HELLO);
    aicp_status s = call(c, deadline, &reply, err);
    if (s == AICP_OK) {
        aicpi_wire_i64(&reply, &now_ns, INT64_MIN, INT64_MAX);
        s = ended(&reply, err);
    }
    if (s == AICP_OK) {
        learn_time(c, now_ns);
    }
    return s;
}

/* As the leader, without the lock. */
typedef aicp_status (*asking)(aicpi_budget_core *c, uint64_t deadline, void *user, aicp_error *err);

static aicp_status
lead_and(aicpi_budget_core *c, uint64_t deadline, asking ask, void *user, aicp_error *err) {
    aicp_status s = aicpi_budget_lead(c, deadline, err);
    if (s != AICP_OK) {
        return s;
    }
    pthread_mutex_unlock(&c->lock);
    s = ask(c, deadline, user, err);
    pthread_mutex_lock(&c->lock);
    c->metrics.transactions += s == AICP_OK;
    c->metrics.store_errors += s == AICP_ERR_STORE;
    aicpi_budget_follow(c);
    return s;
}

typedef struct putting {
    aicpi_slice id;
    aicp_ledger_account account;
} putting;

static aicp_status ask_put(aicpi_budget_core *c, uint64_t deadline, void *user, aicp_error *err) {
    putting *p = user;
    aicpi_wire reply;
    aicpi_wire w = begin(c, &c->remote->request, WIRE_PUT);
    aicpi_wire_put(&w, &p->id, &p->account);
    aicp_status s = call(c, deadline, &reply, err);
    return s == AICP_OK ? ended(&reply, err) : s;
}

aicp_status aicpi_budget_remote_put(
    aicpi_budget_core *c,
    uint64_t deadline,
    aicpi_slice id,
    const aicp_ledger_account *account,
    aicp_error *err) {
    putting p = {id, *account};
    return lead_and(c, deadline, ask_put, &p, err);
}

static aicp_status
ask_status(aicpi_budget_core *c, uint64_t deadline, void *user, aicp_error *err) {
    aicpi_budget_reading *r = user;
    aicpi_wire reply;
    aicpi_wire w = begin(c, &c->remote->request, WIRE_STATUS);
    aicpi_wire_text(&w, &r->id, 1, AICP_LEDGER_ACCOUNT_MAX);
    aicp_status s = call(c, deadline, &reply, err);
    if (s == AICP_OK) {
        aicpi_wire_reading(&reply, r);
        s = ended(&reply, err);
    }
    return s;
}

aicp_status aicpi_budget_remote_status(
    aicpi_budget_core *c, uint64_t deadline, aicpi_budget_reading *r, aicp_error *err) {
    return lead_and(c, deadline, ask_status, r, err);
}

typedef struct adjusting {
    aicpi_slice id;
    aicp_ledger_adjustment adjustment;
} adjusting;

static aicp_status
ask_adjust(aicpi_budget_core *c, uint64_t deadline, void *user, aicp_error *err) {
    adjusting *a = user;
    aicpi_wire reply;
    aicpi_wire w = begin(c, &c->remote->request, WIRE_ADJUST);
    aicpi_wire_adjust(&w, &a->id, &a->adjustment);
    aicp_status s = call(c, deadline, &reply, err);
    return s == AICP_OK ? ended(&reply, err) : s;
}

aicp_status aicpi_budget_remote_adjust(
    aicpi_budget_core *c,
    uint64_t deadline,
    aicpi_slice id,
    const aicp_ledger_adjustment *adjustment,
    aicp_error *err) {
    adjusting a = {id, *adjustment};
    return lead_and(c, deadline, ask_adjust, &a, err);
}

static aicp_status
ask_recover(aicpi_budget_core *c, uint64_t deadline, void *user, aicp_error *err) {
    return aicpi_budget_remote_recover(c, deadline, user, err);
}

aicp_status aicpi_budget_remote_settle(
    aicpi_budget_core *c, uint64_t deadline, aicpi_budget_recovery *v, aicp_error *err) {
    return lead_and(c, deadline, ask_recover, v, err);
}

static aicp_status ask_reap(aicpi_budget_core *c, uint64_t deadline, void *user, aicp_error *err) {
    aicpi_wire reply;
    (void)begin(c, &c->remote->request, WIRE_REAP);
    aicp_status s = call(c, deadline, &reply, err);
    if (s == AICP_OK) {
        aicpi_wire_i64(&reply, user, 0, INT64_MAX);
        s = ended(&reply, err);
    }
    return s;
}

aicp_status aicpi_budget_remote_reap(
    aicpi_budget_core *c, uint64_t deadline, int64_t *reaped, aicp_error *err) {
    return lead_and(c, deadline, ask_reap, reaped, err);
}

static aicp_status ask_leave(aicpi_budget_core *c, uint64_t deadline, void *user, aicp_error *err) {
    aicpi_wire reply;
    (void)user;
    (void)begin(c, &c->remote->request, WIRE_LEAVE);
    aicp_status s = call(c, deadline, &reply, err);
    return s == AICP_OK ? ended(&reply, err) : s;
}

aicp_status aicpi_budget_remote_leave(aicpi_budget_core *c, uint64_t deadline, aicp_error *err) {
    return lead_and(c, deadline, ask_leave, NULL, err);
}

/* ---- life ---- */

void aicpi_budget_remote_free(aicpi_budget_core *c) {
    aicpi_budget_remote *r = c->remote;
    if (!r) {
        return;
    }
    aicpi_net_client_free(r->net);
    aicpi_free(&c->allocator, r->url);
    aicpi_free(&c->allocator, r->key);
    aicpi_strbuf_deinit(&r->request);
    aicpi_strbuf_deinit(&r->pass);
    aicpi_strbuf_deinit(&r->body);
    aicpi_arena_deinit(&r->arena);
    aicpi_free(&c->allocator, r);
    c->remote = NULL;
}

/* The server may be away: then everything that needs the store fails until it is there. */
aicp_status aicpi_budget_remote_open(aicpi_budget_core *c, aicp_error *err) {
    const aicp_ledger_options *o = &c->options;
    aicpi_budget_remote *r = aicpi_calloc(&c->allocator, 1, sizeof *r);
    if (!r) {
        return aicpi_nomem(err);
    }
    c->remote = r;
    r->allocator = c->allocator;
    aicpi_strbuf_init(&r->request, &r->allocator, AICPI_WIRE_MAX);
    aicpi_strbuf_init(&r->pass, &r->allocator, AICPI_WIRE_MAX);
    aicpi_strbuf_init(&r->body, &r->allocator, 2 * AICPI_WIRE_MAX);
    aicpi_arena_init(&r->arena, &r->allocator, 0, 0);
    size_t len = c->url_len;
    while (len > 0 && c->url[len - 1] == '/') {
        len--;
    }
    if (len > URL_MOST || o->service_key_len > KEY_MOST) {
        return aicpi_fail(err, AICP_ERR_INVALID, "the ledger's URL or service key is too long");
    }
    r->url = aicpi_calloc(&r->allocator, len + sizeof PATH, 1);
    r->key =
        aicpi_strndup(&r->allocator, o->service_key_len ? o->service_key : "", o->service_key_len);
    if (!r->url || !r->key) {
        return aicpi_nomem(err);
    }
    memcpy(r->url, c->url, len);
    memcpy(r->url + len, PATH, sizeof PATH);
    aicpi_net_options net = {
        .allocator = &r->allocator, .timeout_ms = TIMEOUT_MS, .max_response = 2 * AICPI_WIRE_MAX};
    aicp_status s = aicpi_net_client_new(&net, &r->net, err);
    aicp_error away = {0};
    if (s == AICP_OK && hello(c, aicpi_monotonic_ns(&c->clock) + HELLO_NS, &away) != AICP_OK) {
        c->store_down = true;
        aicpi_log_write(&c->log, AICP_LOG_WARN, "the ledger's server: %s", away.message);
    }
    return s;
}
