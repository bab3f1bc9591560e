/* An exchange: from the request line to the moment when nobody needs it any more. */
#include "services/common/http/http_internal.h"

#include "lib/base/crypto.h"

#include <string.h>

static void exchange_init(aicps_http_server *server, aicps_http_exchange *ex) {
    const aicp_allocator *a = &server->allocator;
    ex->server = server;
    aicpi_arena_init(&ex->head_arena, a, 4096, 0);
    aicpi_arena_init(&ex->arena, a, 4096, 0);
    aicpi_strbuf_init(&ex->body, a, AICPI_STRBUF_MAX);
    aicpi_strbuf_init(&ex->response.body, a, AICPI_STRBUF_MAX);
    aicpi_random(ex->random, sizeof ex->random);
}

aicps_http_exchange *aicps_http_exchange_get(aicps_http_server *server) {
    pthread_mutex_lock(&server->free_lock);
    aicps_http_exchange *ex = server->free_list;
    if (ex) {
        server->free_list = ex->next;
        server->free_count--;
    }
    pthread_mutex_unlock(&server->free_lock);
    if (!ex) {
        ex = aicpi_calloc(&server->allocator, 1, sizeof *ex);
        if (!ex) {
            return NULL;
        }
        exchange_init(server, ex);
        if (!aicps_http_stream_open(&ex->stream, &server->allocator)) {
            aicps_http_exchange_destroy(ex);
            return NULL;
        }
    }
    atomic_store(&ex->refs, 1);
    ex->next = NULL;
    ex->mhd = NULL;
    ex->connection = NULL;
    ex->step = AICPS_HTTP_STEP_HEAD;
    ex->inlined = ex->close = ex->waiting = ex->counted = false;
    ex->discarded = 0;
    ex->bytes = 0;
    ex->stream_response = NULL;
    memset(&ex->request, 0, sizeof ex->request);
    ex->request.exchange = ex;
    ex->request.arena = &ex->arena;
    ex->request.kept = &ex->head_arena;
    ex->request.client_ip = "";
    aicps_http_answer_reset(ex);
    return ex;
}

void aicps_http_exchange_destroy(aicps_http_exchange *ex) {
    aicps_http_stream_close(&ex->stream);
    aicpi_arena_deinit(&ex->head_arena);
    aicpi_arena_deinit(&ex->arena);
    aicpi_strbuf_deinit(&ex->body);
    aicpi_strbuf_deinit(&ex->response.body);
    aicp_allocator a = ex->server->allocator;
    aicpi_free(&a, ex);
}

static void trim_buf(aicpi_strbuf *b) {
    if (b->capacity > AICPS_HTTP_KEEP_MEMORY) {
        aicpi_strbuf_deinit(b);
    }
    aicpi_strbuf_clear(b);
}

static void trim_arena(aicpi_arena *arena) {
    if (arena->total > AICPS_HTTP_KEEP_MEMORY) {
        aicp_allocator a = arena->allocator;
        aicpi_arena_deinit(arena);
        aicpi_arena_init(arena, &a, 4096, 0);
    } else {
        aicpi_arena_reset(arena);
    }
}

static void report(aicps_http_exchange *ex) {
    aicps_http_server *server = ex->server;
    if (ex->step != AICPS_HTTP_STEP_HEAD && server->options.on_done) {
        server->options.on_done(server->options.user, &ex->request, ex->response.status, ex->bytes);
    }
}

void aicps_http_exchange_put(aicps_http_exchange *ex) {
    aicps_http_server *server = ex->server;
    if (atomic_fetch_sub(&ex->refs, 1) != 1) {
        return;
    }
    bool counted = ex->counted;
    report(ex);
    aicps_http_answer_drop(ex);
    trim_arena(&ex->head_arena);
    trim_arena(&ex->arena);
    trim_buf(&ex->body);
    trim_buf(&ex->response.body);
    aicps_http_stream_reset(&ex->stream);
    pthread_mutex_lock(&server->free_lock);
    bool keep = server->free_count < 256;
    if (keep) {
        ex->next = server->free_list;
        server->free_list = ex;
        server->free_count++;
    }
    pthread_mutex_unlock(&server->free_lock);
    if (!keep) {
        aicps_http_exchange_destroy(ex);
    }
    if (counted) {
        aicps_http_live(server, -1);
    }
}
