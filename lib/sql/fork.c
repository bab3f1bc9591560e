/* Forks. SQLite keeps locks and counts of the whole process: its memory counter, and for each file
 * which byte ranges and which slots of the write-ahead log this process holds. Were a thread inside
 * SQLite at the fork, the child would wait for its mutex for ever, or take a file lock for its own
 * that it has not. So a fork waits until no connection has a statement or transaction open, and
 * the child closes what it inherited before it uses SQLite. */
#include "lib/sql/sql_internal.h"

#include "lib/base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define FORK_WAIT_NS (10 * (uint64_t)AICPI_SECOND_NS)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t quiet;                             /* nobody is inside */
static pthread_cond_t over;                              /* no fork waits any more */
static size_t inside;                                    /* threads, more exactly: entries */
static bool inherited;                                   /* `first` lists the parent's */
static aicpi_sql *first;                                 /* SQLite connections, linked */
static atomic_bool forking;
static atomic_bool torn; /* this process, or one it comes from, was forked inside a transaction */
static _Thread_local size_t depth; /* entries of this thread: an inner one never waits */

static void init_conds(void) {
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&quiet, &a);
    pthread_cond_init(&over, &a);
    pthread_condattr_destroy(&a);
}

/* A thread that is inside may itself wait for something that the forking thread holds (a hook that
 * wants the interpreter's lock), so the wait ends, and the child is told. */
static void before_fork(void) {
    uint64_t until = aicpi_sql_real_ns() + FORK_WAIT_NS;
    struct timespec t = {
        (time_t)(until / (uint64_t)AICPI_SECOND_NS), (long)(until % (uint64_t)AICPI_SECOND_NS)};
    int rc = 0;
    pthread_mutex_lock(&lock);
    atomic_store(&forking, true);
    while (inside > 0 && depth == 0 && rc == 0) {
        rc = pthread_cond_timedwait(&quiet, &lock, &t);
        atomic_store(&forking, true); /* another thread's fork may have ended meanwhile */
    }
}

static void after_in_parent(void) {
    atomic_store(&forking, false);
    pthread_cond_broadcast(&over);
    pthread_mutex_unlock(&lock);
}

static void after_in_child(void) {
    pthread_mutex_init(&lock, NULL);
    init_conds(); /* their waiters do not exist here */
    atomic_store(&forking, false);
    if (inside > 0) {
        atomic_store(&torn, true);
    }
    inside = depth;
    inherited = first != NULL;
}

static void set_up(void) {
    init_conds();
    (void)pthread_atfork(before_fork, after_in_parent, after_in_child);
}

static void close_inherited(void) {
    inherited = false;
    while (first && !atomic_load(&torn)) {
        aicpi_sql *db = first;
        first = db->next;
        db->next = NULL;
        db->listed = false;
        aicpi_sql_sqlite_leave(db);
    }
}

void aicpi_sql_enter(void) {
    pthread_once(&once, set_up);
    pthread_mutex_lock(&lock);
    while (atomic_load(&forking) && depth == 0) {
        pthread_cond_wait(&over, &lock);
    }
    if (inherited) {
        close_inherited();
    }
    inside++;
    depth++;
    pthread_mutex_unlock(&lock);
}

void aicpi_sql_leave(void) {
    pthread_mutex_lock(&lock);
    inside -= inside > 0;
    depth -= depth > 0;
    if (inside == 0) {
        pthread_cond_broadcast(&quiet);
    }
    pthread_mutex_unlock(&lock);
}

void aicpi_sql_hold(aicpi_sql *db) {
    if (db->kind != AICPI_SQL_SQLITE) {
        return;
    }
    if (db->holds == 0) {
        aicpi_sql_enter();
    }
    db->holds++; /* only now: who waits at a fork holds nothing in the child */
}

void aicpi_sql_release(aicpi_sql *db) {
    if (db->kind == AICPI_SQL_SQLITE && --db->holds == 0) {
        aicpi_sql_leave();
    }
}

void aicpi_sql_list(aicpi_sql *db) {
    pthread_mutex_lock(&lock);
    if (!db->listed) {
        db->listed = true;
        db->next = first;
        first = db;
    }
    pthread_mutex_unlock(&lock);
}

void aicpi_sql_unlist(aicpi_sql *db) {
    pthread_mutex_lock(&lock);
    for (aicpi_sql **p = &first; *p && db->listed; p = &(*p)->next) {
        if (*p == db) {
            *p = db->next;
            break;
        }
    }
    db->listed = false;
    db->next = NULL;
    pthread_mutex_unlock(&lock);
}

bool aicpi_sql_fork_waits(void) {
    return atomic_load_explicit(&forking, memory_order_relaxed);
}

bool aicpi_sql_fork_tore(void) {
    return atomic_load_explicit(&torn, memory_order_relaxed);
}
