/* An API with test resources, served by the real HTTP server over a real store, and a client. */
#ifndef TESTS_UNIT_SERVICE_API_SERVICE_H
#define TESTS_UNIT_SERVICE_API_SERVICE_H

#include "services/common/api/resource.h"

#include "unit/sql/stores.h"

#include <criterion/criterion.h>
#include <stdio.h>

typedef struct service {
    test_store store;
    aicps_api *api;
    aicps_http_server *server;
    char base[64];
    aicpi_sql *db; /* the test's own connection */
} service;

typedef struct reply {
    int status;
    char *body;
    char *headers; /* all lines */
    struct json_object *json;
} reply;

/* Callers, chosen by "Authorization: Bearer <name>": root (platform admin), ann (organization a),
 * bob (organization b), tea (team t of no organization), guest (may only read), robot (service). */
void service_open(service *s, bool postgres);
void service_close(service *s);
/* The same over the same store, from now on without a key for secrets. */
void service_keyless(service *s);

/* `headers` are separated by newlines; NULL = none. `who` NULL = no credentials. */
reply call_as(
    service *s,
    const char *who,
    const char *method,
    const char *path,
    const char *headers,
    const char *body);
reply get(service *s, const char *path); /* as root */
reply post(service *s, const char *path, const char *body);
reply put(service *s, const char *path, const char *body);
reply delete_at(service *s, const char *path);
void reply_free(reply *r);
/* Value of a header, in a static buffer; "" when absent. */
const char *header_of(const reply *r, const char *name);
/* First column of the first row. */
int64_t number_of(service *s, const char *sql);
/* Makes a widget and gives its id in a static buffer of the caller's choice (0..3). */
const char *make_widget(service *s, int slot, const char *body);

/* Counts how often hooks ran, and makes them fail on demand. Shared by all threads. */
typedef struct hook_state {
    int applied;
    int busy_times; /* `apply` gives ERR_STORE_BUSY that often */
    bool fail;      /* `apply` fails */
} hook_state;
extern hook_state hooks;

#define REPLY_IS(r, expected)                                                                      \
    cr_assert((r).status == (expected), "%d, not %d: %s", (r).status, (expected), (r).body)

#define ON_SERVICE(suite, name)                                                                    \
    static void suite##_##name(service *s);                                                        \
    Test(suite, name##_on_sqlite, .timeout = 300) {                                                \
        service s;                                                                                 \
        service_open(&s, false);                                                                   \
        suite##_##name(&s);                                                                        \
        service_close(&s);                                                                         \
    }                                                                                              \
    Test(suite, name##_on_postgresql, .timeout = 300) {                                            \
        service s;                                                                                 \
        service_open(&s, true);                                                                    \
        suite##_##name(&s);                                                                        \
        service_close(&s);                                                                         \
    }                                                                                              \
    static void suite##_##name(service *s)

#endif
