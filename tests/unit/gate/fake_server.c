#include "unit/gate/fake_server.h"

#include "lib/base/crypto.h"
#include "lib/gate/gate_internal.h"
#include "unit/net/http_server.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static size_t read_served(fake_server *s, const char *file, char *out, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", s->folder.path, file);
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(out, 1, size, f) : 0;
    if (f) {
        fclose(f);
    }
    return n;
}

static void reply_bytes(http_connection *c, const char *headers, const char *data, size_t len) {
    char head[512];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", len, headers);
    http_puts(c, head);
    http_send(c, data, len);
}

/* ---- bundle --------------------------------------------------------------------------------- */

/* Waits with the lock held until the version is another one, or for `seconds`. */
static void wait_for_news(fake_server *s, unsigned known, long seconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    s->waiting++;
    while (s->version == known && !s->closing && s->fault == FAKE_NONE) {
        if (pthread_cond_timedwait(&s->news, &s->lock, &until) != 0) {
            break;
        }
    }
    s->waiting--;
}

static void answer_bundle(fake_server *s, const http_request *q, http_connection *c) {
    char body[16384];
    char etag[64];
    unsigned known = 0;
    const char *mark = strcasestr(q->head, "if-none-match: \"v");
    const char *wait = strstr(q->target, "wait=");
    pthread_mutex_lock(&s->lock);
    s->polls++;
    s->poll_errors += strstr(q->target, "&error=") != NULL;
    memcpy(s->last_target, q->target, sizeof s->last_target);
    if (mark) {
        known = (unsigned)strtoul(mark + strlen("if-none-match: \"v"), NULL, 10);
    }
    long seconds = wait ? strtol(wait + 5, NULL, 10) : 0;
    if (known == s->version && seconds > 0) {
        wait_for_news(s, known, seconds);
    }
    bool same = known == s->version;
    s->unchanged += same;
    snprintf(etag, sizeof etag, "ETag: \"v%u\"\r\n", s->version);
    size_t len = read_served(s, "manifest.json", body, sizeof body);
    if (s->fault == FAKE_BAD_MANIFEST) {
        len = (size_t)snprintf(body, sizeof body, "{\n  \"format\": nonsense }");
    }
    pthread_mutex_unlock(&s->lock);
    if (same) {
        http_puts(c, "HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n");
    } else {
        reply_bytes(c, etag, body, len);
    }
}

static void answer_section(fake_server *s, const char *wanted, http_connection *c) {
    static char body[1 << 20];
    pthread_mutex_lock(&s->lock);
    s->sections++;
    size_t len = 0;
    bool found = false;
    for (int i = 0; i < AICPI_SECTION_COUNT && !found; i++) {
        char hash[65];
        len = read_served(s, aicpi_section_files[i], body, sizeof body - 1);
        aicpi_sha256_hex(body, len, hash);
        found = len > 0 && strncmp(hash, wanted, 64) == 0;
    }
    if (s->fault == FAKE_OTHER_SECTIONS) {
        body[0] ^= 1;
    }
    len += s->fault == FAKE_LONG_SECTIONS;
    if (found) {
        reply_bytes(c, "", body, len);
    } else {
        http_reply(c, 404, "", "{}");
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- leases and events ---------------------------------------------------------------------- */

static void answer_leases(fake_server *s, const http_request *q, http_connection *c) {
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    pthread_mutex_lock(&s->lock);
    s->leases++;
    pthread_mutex_unlock(&s->lock);
    if (aicp_rate_store_serve(s->rates, q->body, q->body_len, &out, &err) != AICP_OK) {
        http_reply(c, 400, "", err.message);
        return;
    }
    char answer[4096];
    snprintf(answer, sizeof answer, "{\"rates\":%.*s}", (int)out.len, (const char *)out.data);
    aicp_buf_free(&out);
    http_reply(c, 200, "", answer);
}

static long *sequence_of(fake_server *s, const char *body) {
    const char *boot = strstr(body, "\"boot\":\"") + strlen("\"boot\":\"");
    for (int i = 0; i < s->boot_count; i++) {
        if (strncmp(s->boots[i], boot, 16) == 0) {
            return &s->last_sequence[i];
        }
    }
    snprintf(s->boots[s->boot_count], sizeof s->boots[0], "%.16s", boot);
    return &s->last_sequence[s->boot_count++];
}

static void answer_events(fake_server *s, const http_request *q, http_connection *c) {
    pthread_mutex_lock(&s->lock);
    s->messages++;
    fake_fault fault = s->fault;
    if (fault == FAKE_POISON) {
        pthread_mutex_unlock(&s->lock);
        http_reply(c, 422, "", "{\"error\":\"no\"}");
        return;
    }
    long *last = sequence_of(s, q->body);
    s->dropped = strtol(strstr(q->body, "\"dropped\":") + 10, NULL, 10);
    const char *at = strstr(q->body, "\"events\":[");
    while ((at = strstr(at, "\"sequence\":")) != NULL) {
        long sequence = strtol(at + 11, NULL, 10);
        s->accepted += sequence > *last;
        s->duplicates += sequence <= *last;
        *last = sequence > *last ? sequence : *last;
        at++;
    }
    pthread_mutex_unlock(&s->lock);
    if (fault == FAKE_LOST_ANSWER) {
        http_reset(c);
    } else {
        http_reply(c, 200, "", "{\"accepted\":1,\"duplicates\":0,\"next\":2}");
    }
}

static void handle(void *user, const http_request *q, http_connection *c) {
    fake_server *s = user;
    static const char prefix[] = "/api/v1/gate/";
    const char *path = strstr(q->target, prefix);
    pthread_mutex_lock(&s->lock);
    bool away = s->fault == FAKE_AWAY;
    pthread_mutex_unlock(&s->lock);
    if (away) {
        http_reset(c);
    } else if (!strstr(q->head, "Authorization: Bearer " FAKE_KEY)) {
        http_reply(c, 401, "", "{\"message\":\"no such key\"}");
    } else if (path && strncmp(path + 13, "bundle?", 7) == 0) {
        answer_bundle(s, q, c);
    } else if (path && strncmp(path + 13, "bundle/sections/", 16) == 0) {
        answer_section(s, path + 29, c);
    } else if (path && strcmp(path + 13, "leases") == 0) {
        answer_leases(s, q, c);
    } else if (path && strcmp(path + 13, "events") == 0) {
        answer_events(s, q, c);
    } else {
        http_reply(c, 404, "", "");
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

void fake_start(fake_server *s) {
    static const char memory[] = "sqlite::memory:";
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->news, NULL);
    s->version = 1;
    s->folder = gate_folder_standard();
    cr_assert_eq(aicp_rate_store_open(memory, strlen(memory), &s->rates, NULL), AICP_OK);
    s->http = http_server_start(handle, s);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", http_server_port(s->http));
}

void fake_stop(fake_server *s) {
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->lock);
    http_server_stop(s->http);
    aicp_rate_store_free(s->rates);
    gate_folder_remove(&s->folder);
}

void fake_changed(fake_server *s) {
    pthread_mutex_lock(&s->lock);
    s->version++;
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->lock);
}

void fake_set(fake_server *s, fake_fault fault) {
    pthread_mutex_lock(&s->lock);
    s->fault = fault;
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->lock);
}

int fake_count(fake_server *s, const int *what) {
    pthread_mutex_lock(&s->lock);
    int count = *what;
    pthread_mutex_unlock(&s->lock);
    return count;
}
