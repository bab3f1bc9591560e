/* Shared limits through Redis: a lease source over hiredis, which only this file includes. hiredis
 * connects and reads answers; sending and waiting is done here, because its own would raise SIGPIPE
 * in a program that does not expect that, and knows no deadline of a whole call. */
#include "lib/ratelimit/redis_internal.h"

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "lib/base/text.h"
#include "lib/base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PREFIX "aicp:rate:"
#define MAX_PREFIX 128
#define DEFAULT_CONNECTIONS 4
#define MAX_CONNECTIONS 64
#define DEFAULT_CONNECT_NS UINT64_C(1000000000)
#define PAUSE_FIRST_NS UINT64_C(50000000)  /* after a connection that failed, */
#define PAUSE_MOST_NS UINT64_C(2000000000) /* doubled with each one up to this */
#define NODE_TOUCH_NS UINT64_C(10000000000)
#define LONGEST_WAIT_NS (UINT64_C(3600) * 1000000000)
#define KEY_DIGEST 16 /* bytes of the SHA-256 in a key's name */
#define READ_SIZE 4096

typedef struct script {
    const char *text;
    char sha[41]; /* empty: not loaded over this connection */
} script;

typedef struct connection {
    redisContext *context;
    aicpi_strbuf out;
    aicpi_strbuf body; /* keys and arguments of a script */
    script lease;
    script nodes;
    bool busy;
} connection;

struct aicp_redis_leases {
    aicp_allocator allocator;
    aicp_clock clock;
    aicpi_redis_address at;
    char *prefix;
    uint64_t connect_timeout_ns;
    aicpi_owner owner;
    unsigned char node[8];
    pthread_mutex_t mutex; /* guards what follows, not the connections that are in use */
    pthread_cond_t idle;
    connection *connections;
    uint32_t count;
    uint32_t failed_in_row;
    uint64_t down_until;
    uint64_t node_seen;
    uint32_t nodes;
};

/* One call on its way. */
typedef struct call {
    aicp_redis_leases *r;
    connection *c;
    uint64_t deadline;
    bool sent;   /* the server may have done it */
    bool broken; /* the connection is not in order any more */
} call;

static uint64_t minimum(uint64_t x, uint64_t y) {
    return x < y ? x : y;
}

static uint64_t now_of(const aicp_redis_leases *r) {
    return aicpi_monotonic_ns(&r->clock);
}

static void init_connection(const aicp_redis_leases *r, connection *c) {
    *c = (connection){
        .lease.text = aicpi_redis_lease_script, .nodes.text = aicpi_redis_nodes_script};
    aicpi_strbuf_init(&c->out, &r->allocator, AICPI_STRBUF_MAX);
    aicpi_strbuf_init(&c->body, &r->allocator, AICPI_STRBUF_MAX);
}

static void init_cond(pthread_cond_t *cond) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void make_node(aicp_redis_leases *r) {
    aicpi_random(r->node, sizeof r->node);
    r->node_seen = 0;
    r->nodes = 1;
    r->failed_in_row = 0;
    r->down_until = 0;
    aicpi_owner_set(&r->owner, getpid());
}

/* ---- wire ----------------------------------------------------------------------------------- */

static void disconnect(connection *c) {
    if (c->context) {
        redisFree(c->context);
        c->context = NULL;
    }
}

static aicp_status time_out(const call *x, aicp_error *err) {
    return aicpi_fail(
        err,
        x->sent ? AICP_ERR_TIMEOUT : AICP_ERR_STORE_BUSY,
        "Redis %s:%d does not answer in time",
        x->r->at.host,
        x->r->at.port);
}

static aicp_status lost(const call *x, const char *why, aicp_error *err) {
    return aicpi_fail(
        err,
        x->sent ? AICP_ERR_TIMEOUT : AICP_ERR_STORE,
        "Redis %s:%d: connection lost: %s",
        x->r->at.host,
        x->r->at.port,
        why);
}

static aicp_status wait_for(const call *x, short events, aicp_error *err) {
    for (;;) {
        uint64_t now = now_of(x->r);
        if (now >= x->deadline) {
            return time_out(x, err);
        }
        struct pollfd p = {.fd = x->c->context->fd, .events = events};
        uint64_t ms = (x->deadline - now) / 1000000 + 1;
        int n = poll(&p, 1, (int)minimum(ms, 60000));
        if (n > 0) {
            return AICP_OK;
        }
        if (n < 0 && errno != EINTR) {
            return lost(x, strerror(errno), err);
        }
    }
}

static aicp_status send_all(call *x, aicp_error *err) {
    const aicpi_strbuf *out = &x->c->out;
    if (out->failed) {
        return aicpi_nomem(err);
    }
    for (size_t done = 0; done < out->len;) {
        ssize_t n =
            send(x->c->context->fd, out->data + done, out->len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            done += (size_t)n;
            x->sent = true;
            continue;
        }
        if (n < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
            return lost(x, strerror(errno), err);
        }
        aicp_status status = wait_for(x, POLLOUT, err);
        if (status != AICP_OK) {
            return status;
        }
    }
    return AICP_OK;
}

static aicp_status receive(call *x, redisReply **reply, aicp_error *err) {
    redisReader *reader = x->c->context->reader;
    char bytes[READ_SIZE];
    *reply = NULL;
    for (;;) {
        void *found = NULL;
        if (redisReaderGetReply(reader, &found) != REDIS_OK) {
            return lost(x, reader->errstr, err);
        }
        if (found) {
            *reply = found;
            return AICP_OK;
        }
        aicp_status status = wait_for(x, POLLIN, err);
        if (status != AICP_OK) {
            return status;
        }
        ssize_t n = recv(x->c->context->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0) {
            return lost(x, "closed by the server", err);
        }
        if (n < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
            return lost(x, strerror(errno), err);
        }
        if (n > 0 && redisReaderFeed(reader, bytes, (size_t)n) != REDIS_OK) {
            return lost(x, reader->errstr, err);
        }
    }
}

/* One answer. An answer that is an error is OK here. */
static aicp_status exchange(call *x, redisReply **reply, aicp_error *err) {
    aicp_status status = send_all(x, err);
    aicpi_strbuf_clear(&x->c->out);
    if (status == AICP_OK) {
        status = receive(x, reply, err);
    }
    x->broken = x->broken || status != AICP_OK;
    return status;
}

static void put_array(aicpi_strbuf *out, size_t count) {
    aicpi_strbuf_printf(out, "*%zu\r\n", count);
}

static void put(aicpi_strbuf *out, const void *data, size_t len) {
    aicpi_strbuf_printf(out, "$%zu\r\n", len);
    aicpi_strbuf_append(out, data, len);
    aicpi_strbuf_append(out, "\r\n", 2);
}

static void put_text(aicpi_strbuf *out, const char *text) {
    put(out, text, strlen(text));
}

static void put_number(aicpi_strbuf *out, uint64_t number) {
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    put(out, text, (size_t)n);
}

static bool is_error(const redisReply *reply, const char *code) {
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

/* The server did not do it. */
static aicp_status refused(const call *x, const redisReply *reply, aicp_error *err) {
    bool told = reply->type == REDIS_REPLY_ERROR || reply->type == REDIS_REPLY_STATUS;
    return aicpi_fail(
        err,
        AICP_ERR_STORE,
        "Redis %s:%d: %s",
        x->r->at.host,
        x->r->at.port,
        told ? reply->str : "unexpected answer");
}

/* ---- connections ---------------------------------------------------------------------------- */

/* Log-in, database and scripts in one go. */
static void put_greeting(const aicp_redis_leases *r, connection *c, size_t *answers) {
    *answers = 2;
    if (r->at.password) {
        put_array(&c->out, r->at.user ? 3 : 2);
        put_text(&c->out, "AUTH");
        if (r->at.user) {
            put_text(&c->out, r->at.user);
        }
        put_text(&c->out, r->at.password);
        ++*answers;
    }
    if (r->at.database != 0) {
        put_array(&c->out, 2);
        put_text(&c->out, "SELECT");
        put_number(&c->out, r->at.database);
        ++*answers;
    }
    script *scripts[2] = {&c->lease, &c->nodes};
    for (size_t i = 0; i < 2; i++) {
        put_array(&c->out, 3);
        put_text(&c->out, "SCRIPT");
        put_text(&c->out, "LOAD");
        put_text(&c->out, scripts[i]->text);
    }
}

/* `*answered`: the server is there and said something. */
static aicp_status greet(call *x, bool *answered, aicp_error *err) {
    connection *c = x->c;
    size_t answers = 0;
    put_greeting(x->r, c, &answers);
    aicp_status status = send_all(x, err);
    aicpi_wipe(c->out.data, c->out.len);
    aicpi_strbuf_clear(&c->out);
    aicp_status first = AICP_OK;
    for (size_t i = 0; status == AICP_OK && i < answers; i++) {
        redisReply *reply = NULL;
        status = receive(x, &reply, err);
        if (status != AICP_OK) {
            break;
        }
        *answered = !is_error(reply, "LOADING");
        script *s = i + 2 == answers ? &c->lease : &c->nodes;
        if (i + 2 < answers ? reply->type != REDIS_REPLY_STATUS
                            : reply->type != REDIS_REPLY_STRING || reply->len != 40) {
            first = first == AICP_OK ? refused(x, reply, err) : first;
        } else if (i + 2 >= answers) {
            memcpy(s->sha, reply->str, 41);
        }
        freeReplyObject(reply);
    }
    return status == AICP_OK ? first : status;
}

static aicp_status dial(call *x, bool *answered, aicp_error *err) {
    aicp_redis_leases *r = x->r;
    uint64_t now = now_of(r);
    if (now >= x->deadline) {
        return time_out(x, err);
    }
    uint64_t ns = minimum(r->connect_timeout_ns, x->deadline - now);
    struct timeval wait = {
        (time_t)(ns / 1000000000), (suseconds_t)(ns % 1000000000 / 1000) + (ns < 1000)};
    x->c->context = redisConnectWithTimeout(r->at.host, r->at.port, wait);
    if (!x->c->context) {
        return aicpi_nomem(err);
    }
    if (x->c->context->err != 0) {
        return aicpi_fail(
            err,
            AICP_ERR_STORE,
            "cannot connect to Redis %s:%d: %s",
            r->at.host,
            r->at.port,
            x->c->context->errstr);
    }
    (void)fcntl(x->c->context->fd, F_SETFD, FD_CLOEXEC);
    (void)redisEnableKeepAlive(x->c->context);
    uint64_t deadline = x->deadline;
    x->deadline = minimum(deadline, now + r->connect_timeout_ns);
    aicp_status status = greet(x, answered, err);
    x->deadline = deadline;
    x->sent = false; /* of the call itself nothing */
    return status == AICP_ERR_TIMEOUT ? AICP_ERR_STORE : status;
}

/* While the server is away only one call now and then tries it, the others fail at once. */
static aicp_status connect_to(call *x, bool *answered, aicp_error *err) {
    aicp_redis_leases *r = x->r;
    pthread_mutex_lock(&r->mutex);
    bool down = now_of(r) < r->down_until;
    pthread_mutex_unlock(&r->mutex);
    if (down) {
        return aicpi_fail(
            err,
            AICP_ERR_STORE,
            "Redis %s:%d is away, waiting to try again",
            r->at.host,
            r->at.port);
    }
    aicp_status status = dial(x, answered, err);
    pthread_mutex_lock(&r->mutex);
    if (status == AICP_OK) {
        r->failed_in_row = 0;
        r->down_until = 0;
    } else {
        uint64_t pause = PAUSE_FIRST_NS << minimum(r->failed_in_row++, 6);
        r->down_until = now_of(r) + minimum(pause, PAUSE_MOST_NS);
        disconnect(x->c);
    }
    pthread_mutex_unlock(&r->mutex);
    return status;
}

/* Sees a connection that the server has closed before anything is sent over it. */
static bool is_stale(const connection *c) {
    char byte;
    ssize_t n = recv(c->context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static struct timespec timespec_of(uint64_t ns) {
    return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

/* A connection for this call: an open one before one that must be made. */
static connection *enter(aicp_redis_leases *r, uint64_t deadline) {
    connection *found = NULL;
    int wait = 0;
    pthread_mutex_lock(&r->mutex);
    while (!found && wait == 0) {
        for (uint32_t i = 0; i < r->count && !(found && found->context); i++) {
            connection *c = &r->connections[i];
            if (!c->busy && (!found || c->context)) {
                found = c;
            }
        }
        struct timespec until = timespec_of(deadline);
        wait = found ? 0 : pthread_cond_timedwait(&r->idle, &r->mutex, &until);
    }
    if (found) {
        found->busy = true;
    }
    pthread_mutex_unlock(&r->mutex);
    return found;
}

static void leave(aicp_redis_leases *r, connection *c) {
    pthread_mutex_lock(&r->mutex);
    c->busy = false;
    pthread_cond_signal(&r->idle);
    pthread_mutex_unlock(&r->mutex);
}

/* ---- scripts -------------------------------------------------------------------------------- */

/* The keys and arguments stand in the connection's `body`. */
static aicp_status
run_script(call *x, const script *s, size_t words, redisReply **reply, aicp_error *err) {
    aicpi_strbuf *out = &x->c->out;
    const aicpi_strbuf *body = &x->c->body;
    if (body->failed) {
        return aicpi_nomem(err);
    }
    for (int round = 0;; round++) {
        put_array(out, words + 2);
        put_text(out, round == 0 ? "EVALSHA" : "EVAL");
        put_text(out, round == 0 ? s->sha : s->text);
        aicpi_strbuf_append(out, body->data, body->len);
        aicp_status status = exchange(x, reply, err);
        /* The server was told to forget its scripts: EVAL makes it learn this one again. */
        if (status != AICP_OK || round != 0 || !is_error(*reply, "NOSCRIPT")) {
            return status;
        }
        freeReplyObject(*reply);
        x->sent = false;
    }
}

/* Now and then the node shows itself and learns how many there are. */
static aicp_status touch_node(call *x, aicp_error *err) {
    aicp_redis_leases *r = x->r;
    aicpi_strbuf *body = &x->c->body;
    uint64_t now = now_of(r);
    pthread_mutex_lock(&r->mutex);
    bool due = r->node_seen == 0 || now - r->node_seen >= NODE_TOUCH_NS;
    if (due) {
        r->node_seen = now;
    }
    pthread_mutex_unlock(&r->mutex);
    if (!due) {
        return AICP_OK;
    }
    char key[MAX_PREFIX + 8];
    int n = snprintf(key, sizeof key, "%snodes", r->prefix);
    aicpi_strbuf_clear(body);
    put_number(body, 1);
    put(body, key, (size_t)n);
    put(body, r->node, sizeof r->node);
    redisReply *reply = NULL;
    aicp_status status = run_script(x, &x->c->nodes, 3, &reply, err);
    if (status == AICP_OK && reply->type != REDIS_REPLY_INTEGER) {
        status = refused(x, reply, err);
    }
    pthread_mutex_lock(&r->mutex);
    if (status == AICP_OK) {
        long long nodes = reply->integer;
        r->nodes = nodes < 1 ? 1 : nodes > 1000000 ? 1000000 : (uint32_t)nodes;
    } else {
        r->node_seen = 0;
    }
    pthread_mutex_unlock(&r->mutex);
    freeReplyObject(reply);
    x->sent = false;
    return status == AICP_ERR_TIMEOUT ? AICP_ERR_STORE : status; /* the lease was not sent */
}

/* ---- leases --------------------------------------------------------------------------------- */

static void put_double(unsigned char *at, double value) {
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    for (size_t i = 0; i < 8; i++) {
        at[i] = (unsigned char)(bits >> (8 * i));
    }
}

static double get_double(const char *at) {
    uint64_t bits = 0;
    double value = 0;
    for (size_t i = 0; i < 8; i++) {
        bits |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Whole and not negative; what does not fit is the greatest number. */
static uint64_t to_u64(double value) {
    return value >= 18446744073709551615.0 ? UINT64_MAX : value > 0 ? (uint64_t)value : 0;
}

static uint64_t to_ns(double us) {
    return us < 0 ? AICP_LIMIT_NEVER : to_u64(us * 1000);
}

static void put_request(aicpi_strbuf *body, const aicp_lease_request *q) {
    bool slots = q->kind == AICP_LIMIT_CONCURRENCY;
    const double values[AICPI_REDIS_REQUEST_DOUBLES] = {
        slots ? AICP_LIMIT_SLOTS : q->algorithm,
        (double)q->limit,
        (double)q->burst,
        (double)q->window_ns / 1000,
        (double)q->need,
        (double)q->extra,
        (double)q->held,
        (double)q->returned,
        (double)q->debt,
        ceil((double)q->ttl_ns / 1000)};
    unsigned char packed[AICPI_REDIS_REQUEST_SIZE];
    for (size_t i = 0; i < AICPI_REDIS_REQUEST_DOUBLES; i++) {
        put_double(packed + 8 * i, values[i]);
    }
    memcpy(packed + 8 * AICPI_REDIS_REQUEST_DOUBLES, &q->slot, 8);
    put(body, packed, sizeof packed);
}

static void put_key(aicpi_strbuf *body, const aicp_redis_leases *r, const aicp_lease_request *q) {
    unsigned char digest[AICPI_SHA256_SIZE];
    char key[MAX_PREFIX + 2 * KEY_DIGEST + 1];
    size_t len = strlen(r->prefix);
    aicpi_sha256(q->key, q->key_len, digest);
    memcpy(key, r->prefix, len);
    aicpi_hex_encode(digest, KEY_DIGEST, key + len);
    put(body, key, len + 2 * (size_t)KEY_DIGEST);
}

static void read_grant(
    const aicp_redis_leases *r,
    const aicp_lease_request *q,
    const char *at,
    aicp_lease_grant *out) {
    aicp_lease_grant g = {
        .size = out->size,
        .granted = minimum(to_u64(get_double(at)), q->need + q->extra),
        .retry_after_ns = to_ns(get_double(at + 8)),
        .remaining = to_u64(get_double(at + 16)),
        .reset_ns = to_ns(get_double(at + 24)),
        .nodes = r->nodes,
    };
    memcpy(out, &g, minimum(out->size, sizeof g));
}

static aicp_status
ask(call *x, const aicp_lease_request *q, aicp_lease_grant *grants, size_t count, aicp_error *err) {
    aicpi_strbuf *body = &x->c->body;
    aicp_status status = touch_node(x, err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_strbuf_clear(body);
    put_number(body, count);
    for (size_t i = 0; i < count; i++) {
        put_key(body, x->r, &q[i]);
    }
    put(body, x->r->node, sizeof x->r->node);
    for (size_t i = 0; i < count; i++) {
        put_request(body, &q[i]);
    }
    redisReply *reply = NULL;
    status = run_script(x, &x->c->lease, 2 * count + 2, &reply, err);
    if (status != AICP_OK) {
        return status;
    }
    if (reply->type != REDIS_REPLY_STRING || reply->len != count * AICPI_REDIS_GRANT_SIZE) {
        status = refused(x, reply, err);
    }
    pthread_mutex_lock(&x->r->mutex); /* for the number of nodes */
    for (size_t i = 0; status == AICP_OK && i < count; i++) {
        read_grant(x->r, &q[i], reply->str + i * AICPI_REDIS_GRANT_SIZE, &grants[i]);
    }
    pthread_mutex_unlock(&x->r->mutex);
    freeReplyObject(reply);
    return status;
}

static aicp_status call_over(
    call *x, const aicp_lease_request *q, aicp_lease_grant *grants, size_t count, aicp_error *err) {
    bool answered = false;
    aicp_status status = AICP_OK;
    if (x->c->context && is_stale(x->c)) {
        disconnect(x->c);
    }
    if (!x->c->context) {
        status = connect_to(x, &answered, err);
    }
    for (size_t i = 0; status == AICP_OK && i < count; i += AICPI_REDIS_LEASES_MAX) {
        size_t some = minimum(count - i, AICPI_REDIS_LEASES_MAX);
        x->sent = false;
        status = ask(x, q + i, grants + i, some, err);
    }
    if (x->broken) {
        disconnect(x->c);
    }
    return status;
}

/* In the child of a fork the parent's connections must not be used. What another thread was at work
 * on at the fork is left alone. */
static void leave_parent(aicp_redis_leases *r) {
    if (!aicpi_owner_claim(&r->owner, getpid())) {
        return;
    }
    pthread_mutex_init(&r->mutex, NULL);
    init_cond(&r->idle);
    for (uint32_t i = 0; i < r->count; i++) {
        connection *c = &r->connections[i];
        if (c->busy && c->context) {
            (void)close(c->context->fd);
        } else {
            disconnect(c);
        }
        if (c->busy) {
            init_connection(r, c);
        }
    }
    make_node(r);
}

aicp_status aicpi_redis_lease_many(
    aicp_redis_leases *r,
    const aicp_lease_request *requests,
    aicp_lease_grant *grants,
    size_t count,
    uint64_t timeout_ns,
    aicp_error *err) {
    if (!aicpi_owner_is(&r->owner, getpid())) {
        leave_parent(r);
    }
    call x = {.r = r, .deadline = now_of(r) + minimum(timeout_ns, LONGEST_WAIT_NS)};
    x.c = enter(r, x.deadline);
    if (!x.c) {
        return aicpi_fail(
            err, AICP_ERR_STORE_BUSY, "all connections to Redis are in use and time ran out");
    }
    aicp_status status = call_over(&x, requests, grants, count, err);
    leave(r, x.c);
    return status;
}

static aicp_status
lease_call(void *user, const aicp_lease_request *q, aicp_lease_grant *grant, aicp_error *err) {
    return aicpi_redis_lease_many(user, q, grant, 1, q->timeout_ns, err);
}

static aicp_status lease_many_call(
    void *user,
    const aicp_lease_request *requests,
    aicp_lease_grant *grants,
    size_t count,
    aicp_error *err) {
    return count == 0
               ? AICP_OK
               : aicpi_redis_lease_many(user, requests, grants, count, requests[0].timeout_ns, err);
}

void aicp_redis_leases_source(aicp_redis_leases *leases, aicp_lease_source *out) {
    *out = (aicp_lease_source){.user = leases, .lease = lease_call, .lease_many = lease_many_call};
}

/* ---- life ----------------------------------------------------------------------------------- */

void aicp_redis_leases_options_init(aicp_redis_leases_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

static aicp_status
set_options(aicp_redis_leases *r, const aicp_redis_leases_options *o, aicp_error *err) {
    const char *prefix = o->prefix ? o->prefix : DEFAULT_PREFIX;
    if (o->connections > MAX_CONNECTIONS || strlen(prefix) > MAX_PREFIX) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "at most %d connections to Redis, and %d bytes of key prefix",
            MAX_CONNECTIONS,
            MAX_PREFIX);
    }
    r->connect_timeout_ns = o->connect_timeout_ns ? o->connect_timeout_ns : DEFAULT_CONNECT_NS;
    r->prefix = aicpi_strndup(&r->allocator, prefix, strlen(prefix));
    uint32_t count = o->connections ? o->connections : DEFAULT_CONNECTIONS;
    r->connections = aicpi_calloc(&r->allocator, count, sizeof *r->connections);
    if (!r->prefix || !r->connections) {
        return aicpi_nomem(err);
    }
    r->count = count;
    for (uint32_t i = 0; i < count; i++) {
        init_connection(r, &r->connections[i]);
    }
    return AICP_OK;
}

/* A server that answers and does not let us in is an error of the settings. */
static aicp_status try_first(aicp_redis_leases *r, aicp_error *err) {
    bool answered = false;
    aicp_error own = {0};
    call x = {.r = r, .c = &r->connections[0], .deadline = now_of(r) + 2 * r->connect_timeout_ns};
    aicp_status status = connect_to(&x, &answered, &own);
    bool fatal = status != AICP_OK && (answered || status == AICP_ERR_NOMEM);
    if (fatal && err) {
        *err = own;
    }
    return fatal ? status : AICP_OK;
}

aicp_status aicp_redis_leases_open(
    const char *url,
    size_t url_len,
    const aicp_redis_leases_options *options,
    aicp_redis_leases **out,
    aicp_error *err) {
    if (!out) {
        return aicpi_fail(err, AICP_ERR_INVALID, "no place for the lease source");
    }
    *out = NULL;
    aicp_redis_leases_options o;
    aicp_status status =
        aicpi_options_copy(&o, sizeof o, options, "aicp_redis_leases_options", err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_allocator a = aicpi_allocator(o.allocator);
    aicp_redis_leases *r = aicpi_calloc(&a, 1, sizeof *r);
    if (!r) {
        return aicpi_nomem(err);
    }
    r->allocator = a;
    r->clock = aicpi_clock(NULL);
    pthread_mutex_init(&r->mutex, NULL);
    init_cond(&r->idle);
    make_node(r);
    status = aicpi_redis_address_parse(&r->at, &r->allocator, url, url_len, err);
    if (status == AICP_OK) {
        status = set_options(r, &o, err);
    }
    if (status == AICP_OK) {
        status = try_first(r, err);
    }
    if (status != AICP_OK) {
        aicp_redis_leases_free(r);
        return status;
    }
    *out = r;
    return AICP_OK;
}

void aicp_redis_leases_free(aicp_redis_leases *leases) {
    if (!leases) {
        return;
    }
    aicp_redis_leases *r = leases;
    if (!aicpi_owner_is(&r->owner, getpid())) {
        leave_parent(r);
    }
    for (uint32_t i = 0; i < r->count; i++) {
        disconnect(&r->connections[i]);
        aicpi_strbuf_deinit(&r->connections[i].out);
        aicpi_strbuf_deinit(&r->connections[i].body);
    }
    pthread_cond_destroy(&r->idle);
    pthread_mutex_destroy(&r->mutex);
    aicp_allocator a = r->allocator;
    aicpi_redis_address_deinit(&r->at);
    aicpi_free(&a, r->connections);
    aicpi_free(&a, r->prefix);
    aicpi_free(&a, r);
}
