/* One thread at a time leads: it alone uses the connection. The others put what they want in a
 * queue and wait; the leader serves all of them in one transaction. */
#include "lib/budget/remote.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"

#include <errno.h>
#include <time.h>

#define WAITS 16 /* almost a second: others look for recalls every refresh_ns */
#define WAIT_FIRST_NS UINT64_C(4000000)
#define WAIT_MOST_NS UINT64_C(50000000)
#define NODE_ALIVE_PART 10 /* holds count as certain until a tenth of their life before expiry */

/* Deadlines are in the time of the clock hook; waiting is done in real time. */
static struct timespec real_deadline(aicpi_budget_core *c, uint64_t deadline) {
    uint64_t now = aicpi_monotonic_ns(&c->clock);
    uint64_t left = deadline > now ? deadline - now : 0;
    uint64_t most = 3600 * (uint64_t)AICPI_SECOND_NS;
    left = left < most ? left : most;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t at = (uint64_t)t.tv_sec * (uint64_t)AICPI_SECOND_NS + (uint64_t)t.tv_nsec + left;
    t.tv_sec = (time_t)(at / (uint64_t)AICPI_SECOND_NS);
    t.tv_nsec = (long)(at % (uint64_t)AICPI_SECOND_NS);
    return t;
}

aicp_status aicpi_budget_lead(aicpi_budget_core *c, uint64_t deadline, aicp_error *err) {
    struct timespec until = real_deadline(c, deadline);
    while (c->leading) {
        if (pthread_cond_timedwait(&c->changed, &c->lock, &until) == ETIMEDOUT && c->leading) {
            return aicpi_fail(err, AICP_ERR_TIMEOUT, "the ledger's store was busy for too long");
        }
    }
    c->leading = true;
    return AICP_OK;
}

void aicpi_budget_follow(aicpi_budget_core *c) {
    c->leading = false;
    pthread_cond_broadcast(&c->changed);
}

aicp_status aicpi_budget_transact(
    aicpi_budget_core *c, uint64_t deadline, aicpi_sql_fn fn, void *user, aicp_error *err) {
    aicp_status s = aicpi_budget_lead(c, deadline, err);
    if (s != AICP_OK) {
        return s;
    }
    pthread_mutex_unlock(&c->lock);
    s = aicpi_sql_transact(c->db, deadline, fn, user, err);
    pthread_mutex_lock(&c->lock);
    c->metrics.transactions += s == AICP_OK;
    c->metrics.store_errors += s == AICP_ERR_STORE;
    aicpi_budget_follow(c);
    return s;
}

/* ---- passes ---- */

/* Was the batch whose commit got lost on the way committed? */
static aicp_status read_batch(aicpi_sql *db, void *user, aicp_error *err) {
    aicpi_budget_core *c = user;
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s =
        aicpi_sql_prepare(db, "SELECT batch FROM aicp_budget_node WHERE id = ?", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_text(q, 1, c->node, strlen(c->node));
        s = aicpi_sql_step(q, &row, err);
    }
    c->pass.doubt = false;
    c->batch = row ? aicpi_sql_i64(q, 0) : 0;
    return s;
}

/* Needs the lead, not the lock. */
static aicp_status resolve_doubt(aicpi_budget_core *c, uint64_t deadline, aicp_error *err) {
    int64_t wanted = c->pass.batch;
    int64_t before = c->batch;
    if (c->remote) { /* the same message again: it is done now, or was done before */
        aicp_status again = aicpi_budget_remote_pass(c, deadline, err);
        c->pass.doubt = aicpi_budget_remote_unanswered(c);
        c->batch = again == AICP_OK ? wanted : before;
        return c->pass.doubt || again == AICP_OK ? again : AICP_ERR_STORE_BUSY;
    }
    aicp_status s = aicpi_sql_transact(c->db, deadline, read_batch, c, err);
    if (s != AICP_OK) {
        c->pass.doubt = true;
        c->batch = before;
        return s;
    }
    return c->batch == wanted ? AICP_OK : AICP_ERR_STORE_BUSY;
}

static void note_outcome(aicpi_budget_core *c, aicp_status s) {
    if (s == AICP_OK) {
        c->store_down = false;
        c->registered = true;
        c->metrics.transactions++;
        uint64_t ttl = c->options.hold_ttl_ns;
        c->valid_until = c->pass.began + ttl - ttl / NODE_ALIVE_PART;
    } else if (s == AICP_ERR_STORE || s == AICP_ERR_TIMEOUT) {
        if (!c->store_down) {
            aicpi_log_write(&c->log, AICP_LOG_WARN, "the ledger's store does not answer");
        }
        c->store_down = true;
        c->metrics.store_errors++;
    }
}

/* Ends a pass whose outcome was unknown, once it can be known. */
static aicp_status settle_doubt(aicpi_budget_core *c, uint64_t deadline, aicp_error *err) {
    pthread_mutex_unlock(&c->lock);
    aicp_status s = resolve_doubt(c, deadline, err);
    pthread_mutex_lock(&c->lock);
    c->fenced = aicpi_budget_remote_fenced(c) || c->fenced;
    if (c->pass.doubt) {
        note_outcome(c, s);
        return s;
    }
    note_outcome(c, s == AICP_OK ? AICP_OK : AICP_ERR_STORE_BUSY);
    aicpi_budget_apply(c, s == AICP_OK, AICP_ERR_STORE, err);
    return AICP_OK;
}

/* Collect, transact, apply. Needs the lead and the lock; gives the lock up meanwhile. */
static aicp_status
pass_once(aicpi_budget_core *c, uint64_t deadline, bool maintain, aicp_error *err) {
    uint64_t most = aicpi_budget_mono(c) + AICPI_BUDGET_PASS_NS;
    deadline = deadline < most ? deadline : most;
    aicp_status s = c->pass.doubt ? settle_doubt(c, deadline, err) : AICP_OK;
    if (s == AICP_OK && c->fenced) {
        aicpi_budget_rebirth(c);
        c->fenced = false;
        aicpi_log_write(&c->log, AICP_LOG_WARN, "this node was taken for dead; starting anew");
    }
    if (s == AICP_OK) {
        s = aicpi_budget_collect(c, maintain, err);
    }
    if (s != AICP_OK) {
        return s;
    }
    c->pass.batch = c->batch + 1;
    c->pass.began = aicpi_budget_mono(c);
    pthread_mutex_unlock(&c->lock);
    s = c->remote ? aicpi_budget_remote_pass(c, deadline, err)
                  : aicpi_sql_transact(c->db, deadline, aicpi_budget_run, c, err);
    bool doubt = s != AICP_OK &&
                 (c->remote ? aicpi_budget_remote_unanswered(c) : aicpi_sql_commit_unknown(c->db));
    if (doubt) {
        c->pass.doubt = true;
        s = resolve_doubt(c, deadline, err);
        s = s == AICP_OK || c->pass.doubt ? s : AICP_ERR_STORE;
    }
    pthread_mutex_lock(&c->lock);
    note_outcome(c, s);
    if (s == AICP_OK) {
        c->batch = c->pass.batch;
    }
    c->fenced = aicpi_budget_remote_fenced(c) || c->fenced || s == AICP_ERR_STATE;
    aicpi_budget_apply(c, s == AICP_OK, s, err);
    return s;
}

/* A pass, with the journal of what it could not tell the store. */
static aicp_status pass(aicpi_budget_core *c, uint64_t deadline, bool maintain, aicp_error *err) {
    aicp_status s = pass_once(c, deadline, maintain, err);
    if (s == AICP_OK) {
        aicpi_budget_journal_clear(c);
        if (c->replay_due) {
            pthread_mutex_unlock(&c->lock);
            aicpi_budget_journal_replay(c);
            pthread_mutex_lock(&c->lock);
        }
    } else if (c->store_down) {
        aicpi_budget_journal_write(c);
    }
    return s;
}

static void enqueue(aicpi_budget_core *c, aicpi_budget_want *w) {
    w->next = NULL;
    w->queued = true;
    if (c->queue_last) {
        c->queue_last->next = w;
    } else {
        c->queue_first = w;
    }
    c->queue_last = w;
}

static void dequeue(aicpi_budget_core *c, aicpi_budget_want *w) {
    aicpi_budget_want *previous = NULL;
    for (aicpi_budget_want *at = c->queue_first; at; previous = at, at = at->next) {
        if (at != w) {
            continue;
        }
        if (previous) {
            previous->next = w->next;
        } else {
            c->queue_first = w->next;
        }
        c->queue_last = c->queue_last == w ? previous : c->queue_last;
        break;
    }
    w->queued = false;
}

/* One round of the leader for its own want and all others in the queue. A pass that only lost its
 * place (busy, fenced) is repeated while there is time. */
static void serve(aicpi_budget_core *c, aicpi_budget_want *w) {
    c->leading = true;
    aicp_error err = {0};
    aicp_status s = pass(c, w->deadline, false, &err);
    if (s != AICP_OK && !w->done && w->queued && s != AICP_ERR_STATE) {
        dequeue(c, w);
        w->done = true;
        w->status = s;
        w->err = err;
    }
    aicpi_budget_follow(c);
}

static aicp_status ask_once(aicpi_budget_core *c, aicpi_budget_want *w) {
    w->done = false;
    w->saw_dead = false;
    enqueue(c, w);
    struct timespec until = real_deadline(c, w->deadline);
    while (!w->done) {
        if (!c->leading) {
            serve(c, w);
            continue;
        }
        int rc = pthread_cond_timedwait(&c->changed, &c->lock, &until);
        if (rc == ETIMEDOUT && w->queued) {
            dequeue(c, w);
            w->done = true;
            w->status =
                aicpi_fail(&w->err, AICP_ERR_TIMEOUT, "the ledger's store was busy for too long");
        } else if (rc == ETIMEDOUT && !w->done) {
            pthread_cond_wait(&c->changed, &c->lock); /* a pass has it, and ends soon */
        }
    }
    return w->status;
}

static void sleep_without_lock(aicpi_budget_core *c, uint64_t ns) {
    struct timespec t = {0, (long)ns};
    pthread_mutex_unlock(&c->lock);
    (void)nanosleep(&t, NULL);
    pthread_mutex_lock(&c->lock);
}

/* Asks, and while other nodes are to give back what they do not use, asks again. */
static aicp_status ask_patiently(aicpi_budget_core *c, aicpi_budget_want *w) {
    uint64_t wait = WAIT_FIRST_NS;
    aicp_status s = ask_once(c, w);
    for (int i = 0; i < WAITS && s == AICP_ERR_BUDGET_EXCEEDED && w->wait; i++) {
        if (aicpi_budget_mono(c) + wait >= w->deadline) {
            break;
        }
        sleep_without_lock(c, wait);
        wait = wait < WAIT_MOST_NS ? 2 * wait : wait;
        s = ask_once(c, w);
    }
    if (s == AICP_ERR_BUDGET_EXCEEDED && w->wait) {
        c->metrics.denied++;
        for (uint32_t i = 0; i < w->count; i++) {
            aicpi_budget_account *a = aicpi_budget_account_get(c, w->names[i], false);
            if (a) {
                a->waited_ns = a->recall_ns; /* somebody does not answer: do not wait again */
            }
            if (a && w->indexes[i] == w->result.account) {
                aicpi_budget_note_refusal(a, w->amount);
            }
        }
    }
    return s;
}

aicp_status aicpi_budget_ask(aicpi_budget_core *c, aicpi_budget_want *w) {
    aicp_status s = ask_patiently(c, w);
    size_t reaped = 0;
    if (s == AICP_ERR_BUDGET_EXCEEDED && w->saw_dead &&
        aicpi_budget_reap(c, w->deadline, &reaped, NULL) == AICP_OK && reaped > 0) {
        s = ask_patiently(c, w);
    }
    return s;
}

/* Passes until what is dirty now has been sent. Needs the lead. */
static aicp_status
send_all(aicpi_budget_core *c, uint64_t deadline, bool maintain, aicp_error *err) {
    aicp_status s = AICP_OK;
    size_t left = c->dirty.count;
    c->answers = 0;
    for (bool first = true;
         s == AICP_OK && (first || left > 0 || c->fenced || (maintain && c->answers > 0));
         first = false) {
        c->answers = 0;
        s = pass(c, deadline, maintain, err);
        if (s == AICP_ERR_STATE) {
            s = AICP_OK; /* the next round starts anew */
            left = c->dirty.count;
            continue;
        }
        left = left > c->pass.rows_count ? left - c->pass.rows_count : 0;
        if (s == AICP_OK && left > 0 && aicpi_budget_mono(c) >= deadline) {
            s = aicpi_fail(err, AICP_ERR_TIMEOUT, "%zu changes could not be sent in time", left);
        }
    }
    return s;
}

aicp_status
aicpi_budget_flush(aicpi_budget_core *c, uint64_t deadline, bool maintain, aicp_error *err) {
    aicp_status s = aicpi_budget_lead(c, deadline, err);
    if (s != AICP_OK) {
        return s;
    }
    s = send_all(c, deadline, maintain, err);
    bool dead = s == AICP_OK && c->pass.dead;
    aicpi_budget_follow(c);
    size_t reaped = 0;
    return dead ? aicpi_budget_reap(c, deadline, &reaped, err) : s;
}

aicp_status
aicpi_budget_sync(aicpi_budget_core *c, aicpi_slice id, uint64_t deadline, aicp_error *err) {
    aicp_status s = AICP_OK;
    for (;;) {
        const aicpi_budget_record *r = aicpi_budget_find(&c->table, id);
        if (s != AICP_OK || !r || !(r->flags & (FLAG_DIRTY | FLAG_BUSY))) {
            return s;
        }
        s = aicpi_budget_lead(c, deadline, err);
        r = aicpi_budget_find(&c->table, id);
        if (s == AICP_OK) {
            if (r && r->flags & FLAG_DIRTY) {
                s = pass(c, deadline, false, err);
                s = s == AICP_ERR_STATE ? AICP_OK : s;
            }
            aicpi_budget_follow(c);
        }
    }
}

/* ---- news of other processes ---- */

bool aicpi_budget_has_idle(aicpi_budget_core *c, uint64_t now) {
    size_t pos = 0;
    for (aicpi_map_slot *s; (s = aicpi_map_next(&c->accounts, &pos)) != NULL;) {
        const aicpi_budget_account *a = s->value.ptr;
        for (const aicpi_budget_hold *h = a->holds; h; h = h->next) {
            bool given = h != a->current || a->tight || a->stale || c->closing ||
                         a->recall_ns > h->answered_ns || now - h->used_ns >= c->options.idle_ns;
            bool recalled = h == a->current && h->durable > 0 && a->recall_ns > h->answered_ns;
            if (h->give_back > 0 || recalled || (h->free > 0 && given)) {
                return true;
            }
        }
    }
    return false;
}

/* The numbers of the last put and the last recall, without a transaction. Needs the lead, not the
 * lock. */
static aicp_status
read_news(aicpi_budget_core *c, int64_t *rev, int64_t *recalls, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s =
        aicpi_sql_prepare(c->db, "SELECT n FROM aicp_budget_meta ORDER BY k DESC", &q, err);
    s = s == AICP_OK ? aicpi_sql_step(q, &row, err) : s;
    if (s == AICP_OK) {
        *rev = aicpi_sql_i64(q, 0);
        s = aicpi_sql_step(q, &row, err);
    }
    if (s == AICP_OK) {
        *recalls = aicpi_sql_i64(q, 0);
        aicpi_sql_reset(q);
    }
    return s;
}

aicp_status
aicpi_budget_refresh(aicpi_budget_core *c, uint64_t deadline, bool always, aicp_error *err) {
    aicp_status s = aicpi_budget_lead(c, deadline, err);
    if (s != AICP_OK) {
        return s;
    }
    int64_t rev = c->top_rev;
    int64_t recalls = c->recalls;
    pthread_mutex_unlock(&c->lock);
    s = c->remote ? aicpi_budget_remote_news(c, deadline, &rev, &recalls, err)
                  : read_news(c, &rev, &recalls, err);
    pthread_mutex_lock(&c->lock);
    uint64_t now = aicpi_budget_mono(c);
    c->refresh_at = now + c->options.refresh_ns;
    bool due = always || rev != c->top_rev || recalls != c->recalls || now >= c->maintain_at ||
               aicpi_budget_has_idle(c, now);
    if (s != AICP_OK) {
        due = true; /* a transaction opens a lost connection again */
        s = AICP_OK;
    }
    bool dead = false;
    if (due) {
        s = send_all(c, deadline, true, err);
        dead = s == AICP_OK && c->pass.dead;
    }
    if (s == AICP_OK && due) {
        c->recalls = recalls;
        uint64_t third = c->options.hold_ttl_ns / 3;
        uint64_t second = (uint64_t)AICPI_SECOND_NS;
        c->maintain_at = now + (third < 10 * second ? third : 10 * second);
    }
    aicpi_budget_follow(c);
    size_t reaped = 0;
    s = dead ? aicpi_budget_reap(c, deadline, &reaped, err) : s;
    return s == AICP_OK ? aicpi_budget_prune(c, now, deadline, err) : s;
}
