/* Streamed answers: a bounded buffer between a worker that writes and the I/O thread that sends. */
#include "services/common/http/http_internal.h"

#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>

bool aicps_http_stream_open(aicps_http_stream *stream, const aicp_allocator *a) {
    aicpi_strbuf_init(&stream->data, a, AICPS_HTTP_STREAM_BUFFER);
    if (pthread_mutex_init(&stream->lock, NULL) != 0) {
        return false;
    }
    if (!aicps_http_cond_init(&stream->room)) {
        pthread_mutex_destroy(&stream->lock);
        return false;
    }
    stream->made = true;
    return true;
}

void aicps_http_stream_close(aicps_http_stream *stream) {
    if (stream->made) {
        pthread_cond_destroy(&stream->room);
        pthread_mutex_destroy(&stream->lock);
    }
    aicpi_strbuf_deinit(&stream->data);
}

void aicps_http_stream_reset(aicps_http_stream *stream) {
    aicpi_strbuf_clear(&stream->data);
    stream->sent = 0;
    stream->on = stream->ended = stream->gone = stream->parked = false;
}

/* With the lock held: wakes the I/O thread when it waits for data. */
static void unpark(aicps_http_exchange *ex) {
    if (ex->stream.parked) {
        ex->stream.parked = false;
        aicps_http_resume(ex);
    }
}

ssize_t aicps_http_stream_read(aicps_http_exchange *ex, char *out, size_t max) {
    aicps_http_stream *stream = &ex->stream;
    ssize_t result;
    pthread_mutex_lock(&stream->lock);
    size_t left = stream->data.len - stream->sent;
    if (stream->gone) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (left > 0) {
        size_t n = left < max ? left : max;
        memcpy(out, stream->data.data + stream->sent, n);
        stream->sent += n;
        ex->bytes += n;
        if (stream->sent == stream->data.len) {
            aicpi_strbuf_clear(&stream->data);
            stream->sent = 0;
        }
        pthread_cond_signal(&stream->room);
        result = (ssize_t)n;
    } else if (stream->ended) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        stream->parked = true;
        MHD_suspend_connection(ex->mhd);
        result = 0;
    }
    pthread_mutex_unlock(&stream->lock);
    return result;
}

/* With the lock held: room for at least one byte; false when there will be none. */
static bool wait_for_room(aicps_http_exchange *ex) {
    aicps_http_stream *stream = &ex->stream;
    uint64_t patience = ex->server->options.body_timeout_ms * UINT64_C(1000000);
    uint64_t until = aicps_http_now() + patience;
    for (;;) {
        if (stream->gone || atomic_load(&ex->server->stopping)) {
            return false;
        }
        if (stream->sent > 0 && stream->data.len == AICPS_HTTP_STREAM_BUFFER) {
            memmove(
                stream->data.data,
                stream->data.data + stream->sent,
                stream->data.len - stream->sent);
            stream->data.len -= stream->sent;
            stream->sent = 0;
        }
        if (stream->data.len < AICPS_HTTP_STREAM_BUFFER) {
            return true;
        }
        if (!aicps_http_cond_wait(&stream->room, &stream->lock, until) &&
            stream->data.len - stream->sent == AICPS_HTTP_STREAM_BUFFER) {
            /* MHD has not let go of the request, so that the socket is still its own. */
            stream->gone = true;
            (void)shutdown(ex->connection->fd, SHUT_RDWR);
            return false;
        }
    }
}

static bool begin(aicps_http_exchange *ex) {
    ex->stream_response = aicps_http_answer_stream(ex);
    if (!ex->stream_response) {
        return false;
    }
    atomic_fetch_add(&ex->refs, 1);
    ex->stream.on = true;
    aicps_http_hand_back(ex);
    aicps_http_stand_up(ex->server);
    return true;
}

static bool append(aicps_http_exchange *ex, const char *data, size_t len) {
    aicps_http_stream *stream = &ex->stream;
    while (len > 0) {
        if (!wait_for_room(ex)) {
            return false;
        }
        size_t room = AICPS_HTTP_STREAM_BUFFER - stream->data.len;
        size_t n = len < room ? len : room;
        aicpi_strbuf_append(&stream->data, data, n);
        if (stream->data.failed) {
            stream->gone = true;
            unpark(ex);
            return false;
        }
        data += n;
        len -= n;
        unpark(ex);
    }
    return true;
}

bool aicps_http_write(aicps_http_response *response, const char *data, size_t len) {
    aicps_http_exchange *ex = response->exchange;
    if (ex->inlined) { /* the I/O thread cannot wait for itself */
        aicpi_strbuf_append(&response->body, data, len);
        return !response->body.failed;
    }
    if (aicpi_slice_is(ex->request.method, "HEAD")) {
        return false;
    }
    pthread_mutex_lock(&ex->stream.lock);
    bool ok = (ex->stream.on || begin(ex)) && append(ex, data, len);
    pthread_mutex_unlock(&ex->stream.lock);
    return ok;
}

void aicps_http_abort(aicps_http_response *response) {
    aicps_http_exchange *ex = response->exchange;
    pthread_mutex_lock(&ex->stream.lock);
    if (ex->stream.on) {
        ex->stream.gone = true;
        unpark(ex);
    }
    pthread_mutex_unlock(&ex->stream.lock);
}

void aicps_http_stream_end(aicps_http_exchange *ex) {
    pthread_mutex_lock(&ex->stream.lock);
    ex->stream.ended = true;
    unpark(ex);
    pthread_mutex_unlock(&ex->stream.lock);
    aicps_http_exchange_put(ex);
}

void aicps_http_stream_gone(aicps_http_exchange *ex) {
    pthread_mutex_lock(&ex->stream.lock);
    ex->stream.gone = true;
    pthread_cond_broadcast(&ex->stream.room);
    pthread_mutex_unlock(&ex->stream.lock);
}
