/* Forks. The forking thread holds every shard for that moment, so that a child finds none locked or
 * half changed; nothing slow happens under a shard's lock. */
#include "lib/ratelimit/ratelimit_internal.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list of limiters */
static aicp_limiter *first;

static void before_fork(void) {
    pthread_mutex_lock(&lock);
    for (aicp_limiter *l = first; l; l = l->next) {
        for (uint32_t i = 0; i < l->shard_count; i++) {
            aicpi_limit_mutex_lock(&l->shards[i].lock);
        }
    }
}

static void after_fork(void) {
    for (aicp_limiter *l = first; l; l = l->next) {
        for (uint32_t i = 0; i < l->shard_count; i++) {
            aicpi_limit_mutex_unlock(&l->shards[i].lock);
        }
    }
    pthread_mutex_unlock(&lock);
}

static void set_up(void) {
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}

void aicpi_limiter_list(aicp_limiter *l) {
    pthread_once(&once, set_up);
    pthread_mutex_lock(&lock);
    l->next = first;
    first = l;
    pthread_mutex_unlock(&lock);
}

void aicpi_limiter_unlist(aicp_limiter *l) {
    pthread_mutex_lock(&lock);
    aicp_limiter **p = &first;
    while (*p && *p != l) {
        p = &(*p)->next;
    }
    if (*p) {
        *p = l->next;
    }
    pthread_mutex_unlock(&lock);
}

/* Places that the store counts for the parent are the parent's to keep and to release. */
static void leave_slots(aicpi_limit_slots *s) {
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->items[i].id != 0 && s->items[i].store_deadline != 0) {
            aicpi_limit_slots_release(s, i);
        }
    }
}

static void leave_entry(aicpi_limit_entry *e) {
    if (e->lease) {
        e->lease->available = 0;
        e->lease->on_record = 0;
        e->lease->returned = 0;
        e->lease->debt = 0;
    }
    if (e->slots) {
        leave_slots(e->slots);
    }
    e->dirty = false;
    e->next_dirty = 0;
}

void aicpi_limiter_leave_parent(aicp_limiter *l) {
    for (uint32_t i = 0; l->has_source && i < l->shard_count; i++) {
        aicpi_limit_shard *s = &l->shards[i];
        aicpi_limit_mutex_lock(&s->lock);
        for (uint32_t k = 0; k < s->next_entry; k++) {
            leave_entry(aicpi_limit_entry_at(s, k));
        }
        s->dirty = 0;
        aicpi_limit_touch_idle(s);
        aicpi_limit_mutex_unlock(&s->lock);
    }
}
