/* The bounded queue and the threads: each runs handlers, and one at a time leads each poller.
 *
 * Handing a request to another thread and its answer back costs two wake-ups, more than most
 * handlers. So who has read a request runs its handler, too, and meanwhile keeps the poller: mostly
 * he is back before anything comes in. When the handler takes long the watchdog gives the poller to
 * another thread. What a leader reads beyond one request others run. */
#include "services/common/http/http_internal.h"

#include "lib/base/error.h"

#include <microhttpd.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 1000 /* most; libmicrohttpd closes idle connections meanwhile */
#define HELD_UP_NS UINT64_C(1000000)

/* A thread that runs handlers. */
typedef struct lane {
    aicps_http_seat *seat; /* that it leads, or led when it last looked */
    bool polling;
} lane;

static _Thread_local lane own;

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
    bool wake = ok && !own.polling && wake_one(server); /* who polls looks himself */
    pthread_mutex_unlock(&server->queue_lock);
    if (wake) {
        sem_post(&server->queue_more);
    }
    return ok;
}

static void wake_seat(const aicps_http_seat *seat) {
    uint64_t one = 1;
    (void)!write(seat->wake_fd, &one, sizeof one);
}

void aicps_http_resume(aicps_http_exchange *ex) {
    aicps_http_seat *seat = ex->connection->seat;
    MHD_resume_connection(ex->mhd);
    atomic_store(&seat->resumed, true);
    if (atomic_exchange(&seat->asleep, false)) {
        wake_seat(seat);
    }
}

void aicps_http_hand_back(aicps_http_exchange *ex) {
    ex->step = AICPS_HTTP_STEP_ANSWER;
    aicps_http_resume(ex);
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

/* ---- pollers; the queue's lock is held ---- */

static bool leads(void) {
    return own.seat && own.seat->leader == &own;
}

static void look_for_seat(aicps_http_server *server) {
    own.seat = leads() ? own.seat : NULL;
    for (size_t i = 0; i < server->seat_count && !own.seat; i++) {
        if (!server->seats[i].leader) {
            own.seat = &server->seats[i];
            own.seat->leader = &own;
        }
    }
    if (own.seat) {
        own.seat->since = 0;
    }
}

/* Until something comes in or is resumed. */
static void sleep_on(aicps_http_seat *seat) {
    struct pollfd fds[2] = {{seat->epoll_fd, POLLIN, 0}, {seat->wake_fd, POLLIN, 0}};
    MHD_UNSIGNED_LONG_LONG left = POLL_MS;
    uint64_t waste;
    if (MHD_get_timeout(seat->daemon, &left) != MHD_YES || left > POLL_MS) {
        left = POLL_MS;
    }
    atomic_store(&seat->asleep, true);
    if (left > 0 && !atomic_load(&seat->resumed)) {
        (void)poll(fds, 2, (int)left);
    }
    atomic_store(&seat->asleep, false);
    if (fds[1].revents) {
        (void)!read(seat->wake_fd, &waste, sizeof waste);
    }
}

static void poll_seat(aicps_http_server *server, bool wait) {
    aicps_http_seat *seat = own.seat;
    pthread_mutex_unlock(&server->queue_lock);
    own.polling = true;
    if (wait) {
        sleep_on(seat);
    }
    atomic_store(&seat->resumed, false);
    (void)MHD_run(seat->daemon);
    own.polling = false;
    pthread_mutex_lock(&server->queue_lock);
}

void aicps_http_stand_up(aicps_http_server *server) {
    pthread_mutex_lock(&server->queue_lock);
    bool led = leads();
    if (led) {
        own.seat->leader = NULL;
    }
    bool wake = led && wake_one(server);
    pthread_mutex_unlock(&server->queue_lock);
    if (wake) {
        sem_post(&server->queue_more);
    }
}

bool aicps_http_seats_watch(aicps_http_server *server, uint64_t now, uint64_t *led) {
    bool wake = false;
    pthread_mutex_lock(&server->queue_lock);
    bool led_since = *led != server->led;
    *led = server->led;
    for (size_t i = 0; i < server->seat_count; i++) {
        aicps_http_seat *seat = &server->seats[i];
        led_since = led_since || (seat->leader && seat->since);
        if (seat->leader && seat->since && now > seat->since + HELD_UP_NS) {
            seat->leader = NULL;
        }
        wake = wake || (!seat->leader && wake_one(server));
    }
    server->watch_rests = !led_since;
    pthread_mutex_unlock(&server->queue_lock);
    if (wake) {
        sem_post(&server->queue_more);
    }
    return led_since;
}

/* ---- the threads ---- */

static void call_watchdog(aicps_http_server *server) {
    pthread_mutex_lock(&server->wait_lock);
    server->watchdog_called = true;
    pthread_cond_signal(&server->wait_more);
    pthread_mutex_unlock(&server->wait_lock);
}

/* With the lock held: polls or sleeps until there is a request that may run, or the end. A
 * semaphore, as a mutex that comes back from a condition variable is taken for contended and costs
 * a system call to give back. */
static void wait_for_work(aicps_http_server *server) {
    bool polled = false;
    for (;;) {
        look_for_seat(server);
        bool ready = server->queue_first && server->running < server->options.workers;
        if (server->workers_stop || (ready && (polled || !own.seat))) {
            return;
        }
        if (own.seat) {
            poll_seat(server, !ready);
            polled = true;
            continue;
        }
        server->idle_workers++;
        pthread_mutex_unlock(&server->queue_lock);
        while (sem_wait(&server->queue_more) != 0) { /* EINTR */
        }
        pthread_mutex_lock(&server->queue_lock);
        server->waking = false;
    }
}

/* Waits for a request; NULL: the worker is to end. */
static aicps_http_exchange *pop(aicps_http_server *server, bool was_running) {
    pthread_mutex_lock(&server->queue_lock);
    server->running -= was_running;
    wait_for_work(server);
    aicps_http_exchange *ex = server->queue_first;
    bool wake = false;
    bool call = false;
    if (ex) {
        server->queue_first = ex->next;
        server->queue_last = ex->next ? server->queue_last : NULL;
        server->queued--;
        server->running++;
        wake = ex->next && server->running < server->options.workers && wake_one(server);
    }
    if (ex && own.seat) {
        own.seat->since = aicps_http_now();
        server->led++;
        call = server->watch_rests;
        server->watch_rests = false;
    }
    pthread_mutex_unlock(&server->queue_lock);
    if (wake) {
        sem_post(&server->queue_more);
    }
    if (call) {
        call_watchdog(server);
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
    /* When as many as may run handlers do, there is still one for each poller. */
    size_t count = server->options.workers + server->seat_count;
    server->workers = aicpi_calloc(&server->allocator, count, sizeof *server->workers);
    if (!server->workers) {
        return aicpi_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
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
    for (size_t i = 0; i < server->seat_count; i++) {
        wake_seat(&server->seats[i]);
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
