/* A server of gates for tests (docs/gate-protocol.md): bundle with long poll, sections by hash,
 * leases, events; and what can go wrong on the way. */
#ifndef TESTS_UNIT_GATE_FAKE_SERVER_H
#define TESTS_UNIT_GATE_FAKE_SERVER_H

#include "unit/gate/gate_support.h"

#include <pthread.h>
#include <stdbool.h>

typedef enum fake_fault {
    FAKE_NONE,
    FAKE_AWAY,           /* connections end without an answer */
    FAKE_OTHER_SECTIONS, /* sections have other bytes of the same length */
    FAKE_LONG_SECTIONS,  /* sections are longer than the manifest says */
    FAKE_BAD_MANIFEST,
    FAKE_LOST_ANSWER, /* events are taken, but nobody hears of it */
    FAKE_POISON,      /* events are refused for good */
} fake_fault;

typedef struct fake_server {
    struct http_server *http;
    char url[64];
    gate_folder folder; /* what is served; seal it, then call fake_changed */
    aicp_rate_store *rates;
    pthread_mutex_t lock;
    pthread_cond_t news;
    fake_fault fault;
    bool closing;
    unsigned version;
    /* What came; read with the lock, or with fake_count. */
    int polls;
    int waiting; /* long polls that have no answer yet */
    int unchanged;
    int sections;
    int leases;   /* messages of leases */
    int messages; /* of events */
    int accepted;
    int duplicates;
    int poll_errors; /* polls that told of an error */
    char last_target[1024];
    char boots[8][32]; /* of the events' senders */
    long last_sequence[8];
    int boot_count;
    long dropped;
} fake_server;

void fake_start(fake_server *s);
void fake_stop(fake_server *s);
void fake_changed(fake_server *s);
void fake_set(fake_server *s, fake_fault fault);
int fake_count(fake_server *s, const int *what);

#define FAKE_KEY "a-service-key-of-the-tests-0123456789"

#endif
