/* The bounded queue and the threads that run handlers. */
#include "services/common/http/http_internal.h"

#include "lib/base/error.h"

#include <microhttpd.h>
#include <string.h>
#include <time.h>

uint64_t aicps_http_now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

bool aicps_http_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(cond, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return ok;
}

bool aicps_http_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ns) {
    struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    return pthread_cond_timedwait(cond, lock, &until) == 0;
}

/* With the lock held: whether a worker is to be woken. Only one is on its way at a time; it wakes
 * the next when there is more to do. Quick handlers thus keep few threads busy instead of waking
 * one for each request. */
static bool wake_one(aicps_http_server *server) {
    if (server->waking || server->idle_workers == 0) {
        return false;
    }
    server->idle_workers--;
    server->waking = true;
    return true;
}

static bool push(aicps_http_server *server, aicps_http_exchange *ex, size_t max) {
    pthread_mutex_lock(&server->queue_lock);
    bool ok = !server->workers_stop && server->queued < max;
    if (ok) {
        ex->next = NULL;
        if (server->queue_last) {
            server->queue_last->next = ex;
        } else {
            server->queue_first = ex;
        }
        server->queue_last = ex;
        server->queued++;
    }
    bool wake = ok && wake_one(server);
    pthread_mutex_unlock(&server->queue_lock);
    if (wake) {
        sem_post(&server->queue_more);
    }
    return ok;
}

void aicps_http_hand_back(aicps_http_exchange *ex) {
    ex->step = AICPS_HTTP_STEP_ANSWER;
    MHD_resume_connection(ex->mhd);
}

static void refuse_stopping(aicps_http_exchange *ex) {
    aicps_http_answer_reset(ex);
    aicps_http_answer_refuse(ex, 503, "unavailable", "The service is shutting down.");
    aicps_http_hand_back(ex);
}

bool aicps_http_queue_push(aicps_http_server *server, aicps_http_exchange *ex) {
    return push(server, ex, server->options.queue_max);
}

void aicps_http_queue_again(aicps_http_server *server, aicps_http_exchange *ex) {
    if (!push(server, ex, SIZE_MAX)) {
        refuse_stopping(ex);
    }
}

void aicps_http_run(aicps_http_exchange *ex, void *worker) {
    aicps_http_server *server = ex->server;
    aicps_http_answer_reset(ex);
    ex->waiting = false;
    ex->request.worker = worker;
    server->options.handler(server->options.user, &ex->request, &ex->response);
}

static void run_in_worker(aicps_http_exchange *ex, void *worker) {
    aicps_http_server *server = ex->server;
    if (atomic_load(&server->stopping)) {
        refuse_stopping(ex);
        return;
    }
    aicps_http_run(ex, worker);
    if (ex->stream.on) {
        aicps_http_stream_end(ex);
    } else if (!ex->waiting) {
        aicps_http_hand_back(ex);
    } else if (atomic_load(&server->draining)) {
        refuse_stopping(ex);
    } else {
        aicps_http_wait_park(ex);
    }
}

/* Waits for a request; NULL: the worker is to end. A semaphore, as a mutex that comes back from a
 * condition variable is taken for contended and costs a system call to give back. */
static aicps_http_exchange *pop(aicps_http_server *server, bool was_running) {
    pthread_mutex_lock(&server->queue_lock);
    server->running -= was_running;
    while (!server->queue_first && !server->workers_stop) {
        server->idle_workers++;
        pthread_mutex_unlock(&server->queue_lock);
        while (sem_wait(&server->queue_more) != 0) { /* EINTR */
        }
        pthread_mutex_lock(&server->queue_lock);
        server->waking = false;
    }
    aicps_http_exchange *ex = server->queue_first;
    bool wake = false;
    if (ex) {
        server->queue_first = ex->next;
        server->queue_last = ex->next ? server->queue_last : NULL;
        server->queued--;
        server->running++;
        wake = ex->next && wake_one(server);
    }
    pthread_mutex_unlock(&server->queue_lock);
    if (wake) {
        sem_post(&server->queue_more);
    }
    return ex;
}

static void *worker_main(void *user) {
    aicps_http_server *server = user;
    const aicps_http_options *o = &server->options;
    void *worker = o->worker_open ? o->worker_open(o->user) : NULL;
    aicps_http_exchange *ex = pop(server, false);
    while (ex) {
        run_in_worker(ex, worker);
        ex = pop(server, true);
    }
    if (o->worker_close) {
        o->worker_close(o->user, worker);
    }
    return NULL;
}

aicp_status aicps_http_workers_start(aicps_http_server *server, aicp_error *err) {
    server->workers =
        aicpi_calloc(&server->allocator, server->options.workers, sizeof *server->workers);
    if (!server->workers) {
        return aicpi_nomem(err);
    }
    for (size_t i = 0; i < server->options.workers; i++) {
        int code = pthread_create(&server->workers[i], NULL, worker_main, server);
        if (code != 0) {
            return aicpi_fail(err, AICP_ERR_IO, "cannot start a worker: %s", strerror(code));
        }
        server->worker_count++;
    }
    return AICP_OK;
}

void aicps_http_workers_stop(aicps_http_server *server) {
    pthread_mutex_lock(&server->queue_lock);
    server->workers_stop = true;
    pthread_mutex_unlock(&server->queue_lock);
    for (size_t i = 0; i < server->worker_count; i++) {
        sem_post(&server->queue_more);
    }
    for (size_t i = 0; i < server->worker_count; i++) {
        pthread_join(server->workers[i], NULL);
    }
    server->worker_count = 0;
    aicpi_free(&server->allocator, server->workers);
    server->workers = NULL;
}

void aicps_http_live(aicps_http_server *server, int change) {
    int64_t before = atomic_fetch_add(&server->live, change);
    if (before + change == 0 && atomic_load(&server->draining)) {
        pthread_mutex_lock(&server->queue_lock);
        pthread_cond_broadcast(&server->live_none);
        pthread_mutex_unlock(&server->queue_lock);
    }
}

void aicps_http_live_wait(aicps_http_server *server, uint64_t until_ns) {
    pthread_mutex_lock(&server->queue_lock);
    while (atomic_load(&server->live) > 0 &&
           aicps_http_cond_wait(&server->live_none, &server->queue_lock, until_ns)) {
    }
    pthread_mutex_unlock(&server->queue_lock);
}
