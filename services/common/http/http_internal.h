/* Inside of the HTTP server: one connection record per socket, one exchange per request.
 *
 * Who owns an exchange: the I/O thread from the request line until it is handed over, then a worker
 * or the wait list while MHD has the connection suspended, then the I/O thread again. A streamed
 * answer is the only time when two threads use it; what they share is behind `lock`. */
#ifndef AICPS_HTTP_INTERNAL_H
#define AICPS_HTTP_INTERNAL_H

#include "services/common/http/http.h"
#include "services/common/http/parse.h"

#include "lib/base/log.h"
#include "lib/base/thread.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/types.h>

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;

#define AICPS_HTTP_TOPICS 16
#define AICPS_HTTP_CLIENT_LEFT 499 /* as nginx logs it; nobody reads it */
#define AICPS_HTTP_STREAM_BUFFER ((size_t)64 << 10)
#define AICPS_HTTP_KEEP_MEMORY ((size_t)64 << 10) /* an idle exchange holds no more of a kind */

/* What a connection waits for; together with its deadline in one word, so that the I/O thread and
 * the watchdog never decide both. */
enum {
    AICPS_HTTP_IDLE = 0,   /* for the first byte of a request; closed without a word */
    AICPS_HTTP_HEAD = 1,   /* for the rest of a header section */
    AICPS_HTTP_BODY = 2,   /* for the rest of a body */
    AICPS_HTTP_BUSY = 3,   /* for a handler or the network: no deadline of the watchdog */
    AICPS_HTTP_KILLED = 4, /* the watchdog has closed it */
    AICPS_HTTP_PHASES = 7  /* mask */
};

typedef struct aicps_http_connection {
    struct aicps_http_connection *prev, *next; /* server's list, under connections_lock */
    aicps_http_server *server;
    struct aicps_http_seat *seat;
    int fd;
    _Atomic uint64_t watch; /* phase in the low three bits, deadline above them */
    uint64_t idle_bytes;    /* watchdog's: bytes received when it first saw the connection idle */
    uint64_t idle_since;    /* watchdog's: `watch` that idle_bytes belongs to */
    aicps_http_exchange *current; /* I/O thread's: the request being read or answered */
    bool fresh;                   /* no request yet */
    bool peer_trusted;
    aicps_http_ip peer;
    char peer_text[AICPS_HTTP_IP_TEXT];
} aicps_http_connection;

/* How far a request has come; changed by its owner only. */
enum {
    AICPS_HTTP_STEP_HEAD,
    AICPS_HTTP_STEP_BODY,
    AICPS_HTTP_STEP_DISCARD, /* refused; the rest of the body is thrown away */
    AICPS_HTTP_STEP_RUNNING,
    AICPS_HTTP_STEP_ANSWER /* the answer is ready, or streaming has begun */
};

typedef struct aicps_http_stream {
    pthread_mutex_t lock;
    pthread_cond_t room;
    aicpi_strbuf data; /* sent up to `sent` */
    size_t sent;
    bool made;
    bool on;     /* the answer is streamed */
    bool ended;  /* no more data will come */
    bool gone;   /* nobody reads any more */
    bool parked; /* MHD has the connection suspended for want of data */
} aicps_http_stream;

struct aicps_http_exchange {
    aicps_http_server *server;
    struct MHD_Connection *mhd;
    aicps_http_connection *connection;
    aicps_http_exchange *next; /* in the queue, the wait list or the free list */
    _Atomic int refs;          /* I/O thread, and the worker of a stream */
    int step;
    bool inlined;
    bool close;         /* no other request on this connection */
    bool counted;       /* in server->live */
    uint64_t random[2]; /* of request ids; not secret */
    struct MHD_Response *stream_response;
    size_t body_max;
    size_t discarded;
    aicpi_arena head_arena; /* of what the request consists of */
    aicpi_arena arena;      /* the handler's */
    aicpi_strbuf body;
    const char *uri;    /* where the target stood in MHD's memory */
    aicpi_slice target; /* copied from there before MHD cut it up */
    aicps_http_head head;
    aicps_http_request request;
    aicps_http_response response;
    aicps_http_pair *added; /* headers of the answer */
    size_t added_count, added_capacity;
    aicps_http_stream stream;
    uint64_t bytes; /* of a body sent */
    bool waiting;   /* aicps_http_wait was called */
    uint32_t wait_topic;
    uint64_t wait_ticket;
    uint64_t wait_until;
};

/* A poller: a libmicrohttpd daemon without a thread of its own. One thread at a time leads it:
 * reads what comes in, runs a handler itself, writes the answer. The rest under queue_lock. */
typedef struct aicps_http_seat {
    struct MHD_Daemon *daemon;
    struct aicps_http_server *server;
    int epoll_fd;         /* the daemon's */
    int wake_fd;          /* ends the leader's sleep */
    _Atomic bool resumed; /* requests were given back to the daemon; not under the lock */
    _Atomic bool asleep;
    const void *leader; /* NULL: nobody polls */
    uint64_t since;     /* when its leader began to run a handler; 0: he polls */
} aicps_http_seat;

struct aicps_http_server {
    aicp_allocator allocator;
    aicps_http_options options;
    aicpi_log log;
    aicps_http_seat *seats;
    size_t seat_count;
    int listener; /* -1 once quiesced */
    uint16_t port;
    aicps_http_network *trusted;
    size_t trusted_count;

    pthread_mutex_t connections_lock;
    aicps_http_connection *connections;
    _Atomic uint64_t connection_count;

    pthread_mutex_t free_lock;
    aicps_http_exchange *free_list;
    size_t free_count;

    pthread_mutex_t queue_lock;
    sem_t queue_more;         /* idle workers sleep here */
    pthread_cond_t live_none; /* with queue_lock: `live` has become 0 */
    aicps_http_exchange *queue_first, *queue_last;
    size_t queued;
    size_t idle_workers; /* asleep and not woken yet */
    bool waking;         /* a worker has been signalled and has not come yet */
    size_t running;      /* at most options.workers */
    uint64_t led;        /* handlers that leaders have run */
    bool watch_rests;    /* nobody looks whether a leader is held up */
    bool workers_stop;
    pthread_t *workers;
    size_t worker_count;

    pthread_mutex_t wait_lock;
    pthread_cond_t wait_more; /* the watchdog's bed */
    aicps_http_exchange *waiters;
    uint64_t wake_at;                   /* when the watchdog wakes by itself; under wait_lock */
    uint64_t topics[AICPS_HTTP_TOPICS]; /* under wait_lock */
    bool watchdog_called;               /* a leader has begun to run a handler */
    bool watchdog_stop;
    bool watchdog_started;
    pthread_t watchdog;

    _Atomic bool draining;
    _Atomic bool stopping;
    _Atomic uint64_t rejected;
    _Atomic uint64_t inline_active;
    _Atomic int64_t live; /* requests handed to a handler whose answer has not left yet */
};

/* exchange.c: the life of an exchange. */
aicps_http_exchange *aicps_http_exchange_get(aicps_http_server *server);
void aicps_http_exchange_put(aicps_http_exchange *ex); /* gives back one reference */
void aicps_http_exchange_destroy(aicps_http_exchange *ex);

/* serve.c: what MHD calls. */
aicp_status aicps_http_seats_start(aicps_http_server *server, aicp_error *err);
void aicps_http_seats_stop(aicps_http_server *server);

/* answer.c */
/* The refusal of a request by the server itself, as its answer; closes the connection. */
void aicps_http_answer_refuse(
    aicps_http_exchange *ex, int32_t status, const char *type, const char *text);
/* Empties the answer for a (further) run of the handler. */
void aicps_http_answer_reset(aicps_http_exchange *ex);
/* Turns the answer into MHD's; NULL for want of memory. */
struct MHD_Response *aicps_http_answer_build(aicps_http_exchange *ex);
struct MHD_Response *aicps_http_answer_stream(aicps_http_exchange *ex);
/* Of a stream whose connection ended before its answer was queued. */
void aicps_http_answer_drop(aicps_http_exchange *ex);
/* The error body without a request; returns its length, at most size - 1. */
size_t
aicps_http_problem_text(char *out, size_t size, int32_t status, const char *type, const char *text);
/* Writes a whole refusal by hand into a socket on which nothing else is being written. */
void aicps_http_answer_raw(int fd, int32_t status, const char *type, const char *text);

/* refusal.c: libmicrohttpd's MHD_queue_response. */
bool aicps_http_queue(struct MHD_Connection *mhd, unsigned status, struct MHD_Response *response);

/* stream.c */
bool aicps_http_stream_open(aicps_http_stream *stream, const aicp_allocator *a);
void aicps_http_stream_close(aicps_http_stream *stream);
void aicps_http_stream_reset(aicps_http_stream *stream);
ssize_t aicps_http_stream_read(aicps_http_exchange *ex, char *out, size_t max);
void aicps_http_stream_end(aicps_http_exchange *ex);  /* the handler has returned */
void aicps_http_stream_gone(aicps_http_exchange *ex); /* MHD has let go of the request */

/* worker.c */
uint64_t aicps_http_now(void);                   /* ns of CLOCK_MONOTONIC */
bool aicps_http_cond_init(pthread_cond_t *cond); /* of the monotonic clock */
/* False when the time is over. */
bool aicps_http_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ns);
aicp_status aicps_http_workers_start(aicps_http_server *server, aicp_error *err);
void aicps_http_workers_stop(aicps_http_server *server);
/* The thread, if it leads, will be held up: another one shall read what comes in. */
void aicps_http_stand_up(aicps_http_server *server);
/* Takes the seats of leaders that a handler holds up; false: no handler was led since `*led`. */
bool aicps_http_seats_watch(aicps_http_server *server, uint64_t now, uint64_t *led);
/* Queues a new request; false when the queue is full. */
bool aicps_http_queue_push(aicps_http_server *server, aicps_http_exchange *ex);
/* Queues one that waited, however full it is. */
void aicps_http_queue_again(aicps_http_server *server, aicps_http_exchange *ex);
/* MHD_resume_connection, and wakes who polls: a daemon without a thread does not wake by itself.
 * Afterwards the exchange may be gone. */
void aicps_http_resume(aicps_http_exchange *ex);
/* Gives a suspended request back to its I/O thread; the caller must not touch it any more. */
void aicps_http_hand_back(aicps_http_exchange *ex);
/* Runs the handler once in this thread. */
void aicps_http_run(aicps_http_exchange *ex, void *worker);
void aicps_http_live(aicps_http_server *server, int change);
/* Waits until no handler runs and all answers have left, or until `until_ns`. */
void aicps_http_live_wait(aicps_http_server *server, uint64_t until_ns);

/* wait.c */
/* After a handler called aicps_http_wait: sets the request aside, or has it run again at once. */
void aicps_http_wait_park(aicps_http_exchange *ex);
/* Has those run again whose time is over. */
void aicps_http_wait_expire(aicps_http_server *server, uint64_t now);
/* Gives up those whose client has closed its side. */
void aicps_http_wait_sweep(aicps_http_server *server);
/* Runs all waiting requests again (drain). */
void aicps_http_wait_flush(aicps_http_server *server);

/* watch.c */
aicp_status aicps_http_watch_start(aicps_http_server *server, aicp_error *err);
void aicps_http_watch_stop(aicps_http_server *server);
bool aicps_http_watch_killed(aicps_http_connection *c);
/* Moves a connection on; false: the watchdog has closed it. deadline_ns 0 = none. */
bool aicps_http_watch_set(aicps_http_connection *c, unsigned phase, uint64_t deadline_ns);

#endif
