/* The SQL interface: one suite over SQLite and PostgreSQL. */
#include "unit/sql/stores.h"
#include "unit/support.h"

#include "lib/base/clock.h"
#include "lib/sql/sql.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static aicpi_sql *open_db(const test_store *store) {
    aicpi_sql *db = NULL;
    aicp_error err = {0};
    aicp_status s = aicpi_sql_open(store->url, strlen(store->url), NULL, &db, &err);
    cr_assert_eq(s, AICP_OK, "%s", err.message);
    return db;
}

static void exec_ok(aicpi_sql *db, const char *script) {
    aicp_error err = {0};
    cr_assert_eq(aicpi_sql_exec(db, script, &err), AICP_OK, "%s", err.message);
}

static int64_t read_i64(aicpi_sql *db, const char *text) {
    aicpi_sql_stmt *q = NULL;
    aicp_error err = {0};
    bool row = false;
    cr_assert_eq(aicpi_sql_prepare(db, text, &q, &err), AICP_OK);
    cr_assert_eq(aicpi_sql_step(q, &row, &err), AICP_OK, "%s", err.message);
    cr_assert(row);
    int64_t v = aicpi_sql_i64(q, 0);
    aicpi_sql_reset(q);
    return v;
}

static const char *const blob_table[] = {
    "CREATE TABLE v (k TEXT PRIMARY KEY, n BIGINT, b AICPI_BLOB)",
};

TEST_BOTH_STORES(sql, values_come_back_as_they_went_in) {
    aicpi_sql *db = open_db(store);
    aicp_error err = {0};
    cr_assert_eq(aicpi_sql_migrate(db, "v", blob_table, 1, &err), AICP_OK, "%s", err.message);
    aicpi_sql_stmt *q = NULL;
    const char text[] = "it's ? a \"text\" \xc3\xa9";
    const char blob[] = "\0\1\2\xff'";
    cr_assert_eq(
        aicpi_sql_prepare(db, "INSERT INTO v (k, n, b) VALUES (?, ?, ?)", &q, &err), AICP_OK);
    aicpi_sql_bind_text(q, 1, text, strlen(text));
    aicpi_sql_bind_i64(q, 2, INT64_MIN);
    aicpi_sql_bind_blob(q, 3, blob, sizeof blob);
    cr_assert_eq(aicpi_sql_run(q, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(aicpi_sql_changes(db), 1);
    cr_assert_eq(
        aicpi_sql_prepare(db, "INSERT INTO v (k, n, b) VALUES (?, ?, ?)", &q, &err), AICP_OK);
    aicpi_sql_bind_text(q, 1, "", 0);
    cr_assert_eq(aicpi_sql_run(q, &err), AICP_OK, "%s", err.message);

    cr_assert_eq(
        aicpi_sql_prepare(db, "SELECT k, n, b FROM v WHERE k <> '?' ORDER BY k DESC", &q, &err),
        AICP_OK);
    bool row = false;
    cr_assert_eq(aicpi_sql_step(q, &row, &err), AICP_OK, "%s", err.message);
    cr_assert(row);
    cr_assert(aicpi_slice_is(aicpi_sql_text(q, 0), text));
    cr_assert_eq(aicpi_sql_i64(q, 1), INT64_MIN);
    aicpi_slice b = aicpi_sql_blob(q, 2);
    cr_assert_eq(b.len, sizeof blob);
    cr_assert_arr_eq(b.data, blob, sizeof blob);
    cr_assert_eq(aicpi_sql_step(q, &row, &err), AICP_OK);
    cr_assert(row);
    cr_assert_eq(aicpi_sql_text(q, 0).len, 0);
    cr_assert_not(aicpi_sql_is_null(q, 0));
    cr_assert(aicpi_sql_is_null(q, 1));
    cr_assert(aicpi_sql_is_null(q, 2));
    cr_assert_eq(aicpi_sql_i64(q, 1), 0);
    cr_assert_eq(aicpi_sql_step(q, &row, &err), AICP_OK);
    cr_assert_not(row);
    aicpi_sql_free(db);
}

TEST_BOTH_STORES(sql, errors_have_their_kinds) {
    aicpi_sql *db = open_db(store);
    aicp_error err = {0};
    exec_ok(db, "CREATE TABLE u (k BIGINT PRIMARY KEY); INSERT INTO u VALUES (1)");
    cr_assert_eq(aicpi_sql_exec(db, "INSERT INTO u VALUES (1)", &err), AICP_ERR_CONSTRAINT);
    cr_assert_eq(err.code, AICP_ERR_CONSTRAINT);
    cr_assert_eq(aicpi_sql_exec(db, "SELEKT 1", &err), AICP_ERR_STORE);
    aicpi_sql_stmt *q = NULL;
    cr_assert_eq(aicpi_sql_prepare(db, "SELECT ?, 2", &q, &err), AICP_OK);
    aicpi_sql_bind_i64(q, 2, 1);
    cr_assert_eq(aicpi_sql_run(q, &err), AICP_ERR_INVALID);
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM u"), 1);
    aicpi_sql_free(db);
}

/* Inserts the keys later, then asks for the number of rows if `count` is not NULL. */
typedef struct later_case {
    int64_t keys[40];
    size_t key_count;
    int64_t *count;
    aicp_status seen; /* of the question */
    int runs;
} later_case;

static aicp_status insert_later(aicpi_sql *db, int64_t key, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    aicp_status s = aicpi_sql_prepare(db, "INSERT INTO l (k) VALUES (?)", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, key);
        s = aicpi_sql_run_later(q, err);
    }
    return s;
}

static aicp_status run_later_case(aicpi_sql *db, void *user, aicp_error *err) {
    later_case *c = user;
    aicp_status s = AICP_OK;
    c->runs++;
    for (size_t i = 0; i < c->key_count && s == AICP_OK; i++) {
        s = insert_later(db, c->keys[i], err);
    }
    if (s == AICP_OK && c->count) {
        aicpi_sql_stmt *q = NULL;
        bool row = false;
        s = aicpi_sql_prepare(db, "SELECT count(*) FROM l", &q, err);
        c->seen = aicpi_sql_step(q, &row, err);
        *c->count = row ? aicpi_sql_i64(q, 0) : -1;
        s = c->seen;
    }
    return s;
}

TEST_BOTH_STORES(sql, a_later_statement_is_part_of_its_transaction) {
    aicpi_sql *db = open_db(store);
    aicp_error err = {0};
    int64_t n = 0;
    exec_ok(db, "CREATE TABLE l (k BIGINT PRIMARY KEY)");
    later_case c = {.keys = {1, 2}, .key_count = 2, .count = &n};
    cr_assert_eq(aicpi_sql_transact(db, 0, run_later_case, &c, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(n, 2, "the next statement sees what was to run later");
    c = (later_case){.keys = {3}, .key_count = 1};
    cr_assert_eq(aicpi_sql_transact(db, 0, run_later_case, &c, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM l"), 3, "so does the commit");
    cr_assert_eq(insert_later(db, 4, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM l"), 4, "and outside it runs at once");
    aicpi_sql_free(db);
}

TEST_BOTH_STORES(sql, more_statements_than_travel_at_once_may_run_later) {
    aicpi_sql *db = open_db(store);
    aicp_error err = {0};
    exec_ok(db, "CREATE TABLE l (k BIGINT PRIMARY KEY)");
    later_case c = {.key_count = 40};
    for (size_t i = 0; i < c.key_count; i++) {
        c.keys[i] = (int64_t)i;
    }
    cr_assert_eq(aicpi_sql_transact(db, 0, run_later_case, &c, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(read_i64(db, "SELECT sum(k) FROM l"), 780);
    aicpi_sql_free(db);
}

TEST_BOTH_STORES(sql, a_failing_later_statement_undoes_the_transaction) {
    aicpi_sql *db = open_db(store);
    aicp_error err = {0};
    int64_t n = 0;
    exec_ok(db, "CREATE TABLE l (k BIGINT PRIMARY KEY); INSERT INTO l VALUES (7)");
    later_case c = {.keys = {1, 7, 2}, .key_count = 3};
    cr_assert_eq(aicpi_sql_transact(db, 0, run_later_case, &c, &err), AICP_ERR_CONSTRAINT);
    cr_assert_not(aicpi_sql_commit_unknown(db));
    cr_assert_eq(c.runs, 1);
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM l"), 1);
    c = (later_case){.keys = {1, 7}, .key_count = 2, .count = &n};
    cr_assert_eq(aicpi_sql_transact(db, 0, run_later_case, &c, &err), AICP_ERR_CONSTRAINT);
    cr_assert_eq(err.code, AICP_ERR_CONSTRAINT);
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM l"), 1);
    c = (later_case){.keys = {1}, .key_count = 1, .count = &n};
    cr_assert_eq(aicpi_sql_transact(db, 0, run_later_case, &c, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(n, 2);
    aicpi_sql_free(db);
}

static aicp_status script_between(aicpi_sql *db, void *user, aicp_error *err) {
    (void)user;
    aicp_status s = insert_later(db, 1, err);
    s = s ? s : aicpi_sql_exec(db, "INSERT INTO l VALUES (2); INSERT INTO l VALUES (3)", err);
    return s ? s : insert_later(db, 4, err);
}

TEST_BOTH_STORES(sql, a_script_may_stand_between_later_statements) {
    aicpi_sql *db = open_db(store);
    aicp_error err = {0};
    exec_ok(db, "CREATE TABLE l (k BIGINT PRIMARY KEY)");
    cr_assert_eq(aicpi_sql_transact(db, 0, script_between, NULL, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(read_i64(db, "SELECT sum(k) FROM l"), 10);
    cr_assert_eq(aicpi_sql_transact(db, 0, script_between, NULL, &err), AICP_ERR_CONSTRAINT);
    cr_assert_eq(read_i64(db, "SELECT sum(k) FROM l"), 10);
    aicpi_sql_free(db);
}

/* Says that all is well although a statement failed. */
static aicp_status swallow(aicpi_sql *db, void *user, aicp_error *err) {
    aicp_status s = insert_later(db, 1, err);
    (void)aicpi_sql_exec(db, user, NULL);
    return s;
}

Test(sql, a_commit_that_the_server_made_a_rollback_is_an_error, .timeout = 120) {
    test_store store;
    test_store_open(&store, true);
    aicpi_sql *db = open_db(&store);
    aicp_error err = {0};
    static char bad[] = "SELEKT 1";
    exec_ok(db, "CREATE TABLE l (k BIGINT PRIMARY KEY)");
    cr_assert_eq(aicpi_sql_transact(db, 0, swallow, bad, &err), AICP_ERR_STORE);
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM l"), 0);
    aicpi_sql_free(db);
    test_store_close(&store);
}

Test(sql, unknown_urls_are_refused) {
    const char *bad[] = {
        "",
        "sqlite",
        "sqlite://",
        "sqlite:///",
        "sqlite://relative",
        "mysql://x",
        "postgres:x",
        "sqlite:///tmp/a%00b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        aicpi_sql *db = (aicpi_sql *)&db;
        aicp_error err = {0};
        cr_assert_eq(
            aicpi_sql_open(bad[i], strlen(bad[i]), NULL, &db, &err),
            AICP_ERR_INVALID,
            "%s",
            bad[i]);
        cr_assert_null(db);
    }
}

Test(sql, a_missing_store_is_an_error_that_hides_the_password) {
    const char *bad[] = {
        "sqlite:///nonexistent-directory/x.db",
        "postgresql://user:hunter2secret@localhost:1/none?host=/nonexistent-directory"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        aicpi_sql *db = NULL;
        aicp_error err = {0};
        cr_assert_eq(aicpi_sql_open(bad[i], strlen(bad[i]), NULL, &db, &err), AICP_ERR_STORE);
        cr_assert_null(strstr(err.message, "hunter2secret"));
        cr_assert_gt(strlen(err.message), 10);
    }
}

static aicp_status insert_then_fail(aicpi_sql *db, void *user, aicp_error *err) {
    aicp_status s = aicpi_sql_exec(db, "INSERT INTO u VALUES (7)", err);
    return s == AICP_OK ? *(aicp_status *)user : s;
}

TEST_BOTH_STORES(sql, a_failed_transaction_leaves_nothing) {
    aicpi_sql *db = open_db(store);
    exec_ok(db, "CREATE TABLE u (k BIGINT PRIMARY KEY)");
    aicp_status wanted = AICP_ERR_STATE;
    cr_assert_eq(aicpi_sql_transact(db, 0, insert_then_fail, &wanted, NULL), AICP_ERR_STATE);
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM u"), 0);
    wanted = AICP_OK;
    cr_assert_eq(aicpi_sql_transact(db, 0, insert_then_fail, &wanted, NULL), AICP_OK);
    cr_assert_eq(aicpi_sql_transact(db, 0, insert_then_fail, &wanted, NULL), AICP_ERR_CONSTRAINT);
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM u"), 1);
    aicpi_sql_free(db);
}

typedef struct busy_script {
    int runs;
    int busy;
} busy_script;

static aicp_status busy_at_first(aicpi_sql *db, void *user, aicp_error *err) {
    busy_script *b = user;
    aicp_status s = aicpi_sql_exec(db, "INSERT INTO u VALUES (1)", err);
    if (s != AICP_OK) {
        return s;
    }
    return b->runs++ < b->busy ? AICP_ERR_STORE_BUSY : AICP_OK;
}

TEST_BOTH_STORES(sql, busy_transactions_are_repeated_from_scratch) {
    aicpi_sql *db = open_db(store);
    exec_ok(db, "CREATE TABLE u (k BIGINT PRIMARY KEY)");
    busy_script b = {0, 3};
    cr_assert_eq(aicpi_sql_transact(db, 0, busy_at_first, &b, NULL), AICP_OK);
    cr_assert_eq(b.runs, 4);
    exec_ok(db, "DELETE FROM u");
    busy_script never = {0, 1 << 30};
    aicp_clock clock = aicpi_clock(NULL);
    uint64_t start = aicpi_monotonic_ns(&clock);
    aicp_status s = aicpi_sql_transact(db, start + 50000000u, busy_at_first, &never, NULL);
    cr_assert_eq(s, AICP_ERR_STORE_BUSY, "the deadline ends it");
    cr_assert_gt(never.runs, 1);
    aicpi_sql_free(db);
}

static aicp_status add_one(aicpi_sql *db, void *user, aicp_error *err) {
    (void)user;
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    bool pg = aicpi_sql_engine(db) == AICPI_SQL_POSTGRES;
    const char *text =
        pg ? "SELECT n FROM c WHERE k = 1 FOR UPDATE" : "SELECT n FROM c WHERE k = 1";
    aicp_status s = aicpi_sql_prepare(db, text, &q, err);
    if (s == AICP_OK) {
        s = aicpi_sql_step(q, &row, err);
    }
    if (s != AICP_OK) {
        return s;
    }
    int64_t n = aicpi_sql_i64(q, 0);
    s = aicpi_sql_prepare(db, "UPDATE c SET n = ? WHERE k = 1", &q, err);
    if (s == AICP_OK) {
        aicpi_sql_bind_i64(q, 1, n + 1);
        s = aicpi_sql_run(q, err);
    }
    return s;
}

#define ADDERS 4
#define ADDS 50

static void *adder(void *user) {
    aicpi_sql *db = open_db(user);
    for (int i = 0; i < ADDS; i++) {
        aicp_error err = {0};
        cr_assert_eq(aicpi_sql_transact(db, 0, add_one, NULL, &err), AICP_OK, "%s", err.message);
    }
    aicpi_sql_free(db);
    return NULL;
}

TEST_BOTH_STORES(sql, read_modify_write_loses_nothing_between_connections) {
    aicpi_sql *db = open_db(store);
    exec_ok(db, "CREATE TABLE c (k BIGINT PRIMARY KEY, n BIGINT); INSERT INTO c VALUES (1, 0)");
    pthread_t threads[ADDERS];
    for (int i = 0; i < ADDERS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, adder, store), 0);
    }
    for (int i = 0; i < ADDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_eq(read_i64(db, "SELECT n FROM c"), ADDERS * ADDS);
    aicpi_sql_free(db);
}

static const char *const two_steps[] = {
    "CREATE TABLE m (k BIGINT PRIMARY KEY); INSERT INTO m VALUES (1)",
    "ALTER TABLE m ADD COLUMN n BIGINT; INSERT INTO m VALUES (2, 2)",
};

static void *migrator(void *user) {
    aicpi_sql *db = open_db(user);
    aicp_error err = {0};
    cr_assert_eq(aicpi_sql_migrate(db, "m", two_steps, 2, &err), AICP_OK, "%s", err.message);
    aicpi_sql_free(db);
    return NULL;
}

TEST_BOTH_STORES(sql, migrations_run_once_also_when_started_together) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, migrator, store), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    aicpi_sql *db = open_db(store);
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM m"), 2);
    cr_assert_eq(aicpi_sql_migrate(db, "m", two_steps, 1, NULL), AICP_ERR_STATE, "newer store");
    aicpi_sql_free(db);
}

TEST_BOTH_STORES(sql, a_migration_that_was_edited_after_it_ran_is_refused) {
    static const char *const edited[] = {
        "CREATE TABLE m (k BIGINT PRIMARY KEY); INSERT INTO m VALUES (1)",
        "ALTER TABLE m ADD COLUMN n BIGINT; INSERT INTO m VALUES (2, 3)",
        "CREATE TABLE never (k BIGINT)",
    };
    aicpi_sql *db = open_db(store);
    aicp_error err = {0};
    cr_assert_eq(aicpi_sql_migrate(db, "m", two_steps, 2, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(aicpi_sql_migrate(db, "m", edited, 3, &err), AICP_ERR_STATE);
    cr_assert_not_null(strstr(err.message, "migration 2 of m was edited"), "%s", err.message);
    cr_assert_eq(read_i64(db, "SELECT version FROM aicp_schema WHERE component = 'm'"), 2);

    /* A store from before hashes were kept takes the texts as they are. */
    exec_ok(db, "DELETE FROM aicp_schema_step");
    cr_assert_eq(aicpi_sql_migrate(db, "m", two_steps, 2, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(aicpi_sql_migrate(db, "m", edited, 2, &err), AICP_ERR_STATE);
    cr_assert_eq(aicpi_sql_migrate(db, "m", two_steps, 2, &err), AICP_OK, "%s", err.message);
    aicpi_sql_free(db);
}

TEST_BOTH_STORES(sql, a_failed_migration_leaves_the_version) {
    static const char *const bad[] = {"CREATE TABLE g (k BIGINT)", "CREATE TABEL h (k BIGINT)"};
    aicpi_sql *db = open_db(store);
    aicp_error err = {0};
    cr_assert_eq(aicpi_sql_migrate(db, "g", bad, 2, &err), AICP_ERR_STORE);
    cr_assert_not_null(strstr(err.message, "migration 2 of g"));
    cr_assert_eq(aicpi_sql_migrate(db, "g", bad, 1, &err), AICP_OK, "%s", err.message);
    aicpi_sql_free(db);
}

static aicp_status insert_row(aicpi_sql *db, void *user, aicp_error *err) {
    (void)user;
    return aicpi_sql_exec(db, "INSERT INTO r VALUES (1)", err);
}

static aicp_status count_rows(aicpi_sql *db, void *user, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status s = aicpi_sql_prepare(db, "SELECT count(*) FROM r", &q, err);
    s = s == AICP_OK ? aicpi_sql_step(q, &row, err) : s;
    if (s == AICP_OK) {
        *(int64_t *)user = aicpi_sql_i64(q, 0);
    }
    return s;
}

Test(sql, a_cut_connection_is_opened_again, .timeout = 120) {
    test_store store;
    test_store_open(&store, true);
    aicpi_sql *db = open_db(&store);
    aicp_error err = {0};
    exec_ok(db, "CREATE TABLE r (k BIGINT)");
    int64_t n = -1;
    cr_assert_eq(aicpi_sql_transact(db, 0, count_rows, &n, &err), AICP_OK, "%s", err.message);
    test_store_cut_connections(&store);
    cr_assert_eq(aicpi_sql_transact(db, 0, insert_row, NULL, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(aicpi_sql_transact(db, 0, count_rows, &n, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(n, 1);
    aicpi_sql_free(db);
    test_store_close(&store);
}

Test(sql, a_query_on_its_own_outlives_its_connection_and_a_change_does_not, .timeout = 120) {
    test_store store;
    test_store_open(&store, true);
    aicpi_sql *db = open_db(&store);
    aicpi_sql_stmt *q = NULL;
    exec_ok(db, "CREATE TABLE r (k BIGINT)");
    exec_ok(db, "INSERT INTO r VALUES (1)");
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM r"), 1);
    test_store_cut_connections(&store);
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM r"), 1);
    test_store_cut_connections(&store);
    cr_assert_eq(aicpi_sql_prepare(db, "INSERT INTO r VALUES (2)", &q, NULL), AICP_OK);
    cr_assert_eq(aicpi_sql_run(q, NULL), AICP_ERR_STORE, "it may have been done");
    cr_assert_eq(read_i64(db, "SELECT count(*) FROM r"), 1);
    aicpi_sql_free(db);
    test_store_close(&store);
}

TEST_BOTH_STORES(sql, time_comes_from_the_hook_else_from_the_store) {
    test_clock fixed = {1000, 123456789000};
    aicp_clock hook = test_clock_hook(&fixed);
    aicpi_sql_options o = {.clock = &hook};
    aicpi_sql *db = NULL;
    aicp_error err = {0};
    cr_assert_eq(aicpi_sql_open(store->url, strlen(store->url), &o, &db, &err), AICP_OK);
    int64_t now = 0;
    cr_assert_eq(aicpi_sql_now(db, &now, &err), AICP_OK);
    cr_assert_eq(now, 123456789000);
    aicpi_sql_free(db);
    db = open_db(store);
    aicp_clock system = aicpi_clock(NULL);
    cr_assert_eq(aicpi_sql_now(db, &now, &err), AICP_OK);
    int64_t difference = aicpi_wall_ns(&system) - now;
    cr_assert(difference > -60 * AICPI_SECOND_NS && difference < 60 * AICPI_SECOND_NS);
    aicpi_sql_free(db);
}

typedef struct open_case {
    const char *url;
} open_case;

static bool open_and_use(void *user, const aicp_allocator *a) {
    const open_case *c = user;
    aicpi_sql_options o = {.allocator = a};
    aicpi_sql *db = NULL;
    aicp_error err = {0};
    aicp_status s = aicpi_sql_open(c->url, strlen(c->url), &o, &db, &err);
    if (s == AICP_OK) {
        s = aicpi_sql_migrate(db, "x", two_steps, 0, &err);
    }
    aicpi_sql_free(db);
    return s == AICP_OK || s == AICP_ERR_NOMEM;
}

TEST_BOTH_STORES(sql, every_failing_allocation_is_survived) {
    open_case c = {store->url};
    cr_assert_gt(test_every_allocation_failing(open_and_use, &c), 2);
}
