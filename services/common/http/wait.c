/* Long poll: requests that wait for a topic, without a worker. */
#include "services/common/http/http_internal.h"

#include <poll.h>

uint64_t aicps_http_ticket(aicps_http_server *server, uint32_t topic) {
    pthread_mutex_lock(&server->wait_lock);
    uint64_t ticket = server->topics[topic % AICPS_HTTP_TOPICS];
    pthread_mutex_unlock(&server->wait_lock);
    return ticket;
}

void aicps_http_wait(
    aicps_http_response *response, uint32_t topic, uint64_t ticket, uint64_t until_ns) {
    aicps_http_exchange *ex = response->exchange;
    ex->waiting = true;
    ex->wait_topic = topic % AICPS_HTTP_TOPICS;
    ex->wait_ticket = ticket;
    ex->wait_until = until_ns;
}

void aicps_http_wait_park(aicps_http_exchange *ex) {
    aicps_http_server *server = ex->server;
    ex->request.resumed = true;
    pthread_mutex_lock(&server->wait_lock);
    bool parked = server->topics[ex->wait_topic] == ex->wait_ticket &&
                  aicps_http_now() < ex->wait_until && !atomic_load(&server->draining);
    if (parked) {
        ex->next = server->waiters;
        server->waiters = ex;
        if (ex->wait_until < server->wake_at) {
            pthread_cond_signal(&server->wait_more);
        }
    }
    pthread_mutex_unlock(&server->wait_lock);
    if (!parked) {
        aicps_http_queue_again(server, ex);
    }
}

/* With the lock held: takes those off the list that `topic` (or all of them, when it is
 * AICPS_HTTP_TOPICS) or the time `now` concerns. */
static aicps_http_exchange *take(aicps_http_server *server, uint32_t topic, uint64_t now) {
    aicps_http_exchange *taken = NULL, **at = &server->waiters;
    while (*at) {
        aicps_http_exchange *ex = *at;
        if (topic == AICPS_HTTP_TOPICS || ex->wait_topic == topic || ex->wait_until <= now) {
            *at = ex->next;
            ex->next = taken;
            taken = ex;
        } else {
            at = &ex->next;
        }
    }
    return taken;
}

static void run_again(aicps_http_server *server, aicps_http_exchange *list) {
    while (list) {
        aicps_http_exchange *ex = list;
        list = ex->next;
        aicps_http_queue_again(server, ex);
    }
}

void aicps_http_notify(aicps_http_server *server, uint32_t topic) {
    topic %= AICPS_HTTP_TOPICS;
    pthread_mutex_lock(&server->wait_lock);
    server->topics[topic]++;
    aicps_http_exchange *list = take(server, topic, 0);
    pthread_mutex_unlock(&server->wait_lock);
    run_again(server, list);
}

void aicps_http_wait_flush(aicps_http_server *server) {
    pthread_mutex_lock(&server->wait_lock);
    aicps_http_exchange *list = take(server, AICPS_HTTP_TOPICS, 0);
    pthread_mutex_unlock(&server->wait_lock);
    run_again(server, list);
}

void aicps_http_wait_expire(aicps_http_server *server, uint64_t now) {
    pthread_mutex_lock(&server->wait_lock);
    aicps_http_exchange *list = take(server, AICPS_HTTP_TOPICS + 1, now);
    pthread_mutex_unlock(&server->wait_lock);
    run_again(server, list);
}

static bool left(const aicps_http_exchange *ex) {
    struct pollfd p = {ex->connection->fd, POLLRDHUP, 0};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void aicps_http_wait_sweep(aicps_http_server *server) {
    aicps_http_exchange *list = NULL;
    pthread_mutex_lock(&server->wait_lock);
    for (aicps_http_exchange **at = &server->waiters; *at;) {
        aicps_http_exchange *ex = *at;
        if (left(ex)) { /* MHD keeps the socket of a suspended connection open */
            *at = ex->next;
            ex->next = list;
            list = ex;
        } else {
            at = &ex->next;
        }
    }
    pthread_mutex_unlock(&server->wait_lock);
    while (list) {
        aicps_http_exchange *ex = list;
        list = ex->next;
        aicps_http_answer_reset(ex);
        ex->response.status = AICPS_HTTP_CLIENT_LEFT;
        ex->close = true;
        aicps_http_hand_back(ex);
    }
}
