/* Stores for tests: a fresh SQLite file, and a fresh schema in a private PostgreSQL cluster that
 * the test program starts before its first test and that ends with the program, however that ends.
 */
#ifndef TESTS_UNIT_SQL_STORES_H
#define TESTS_UNIT_SQL_STORES_H

#include <stdbool.h>
#include <stddef.h>

#define TEST_URL_SIZE 512

typedef struct test_store {
    char url[TEST_URL_SIZE];
    char directory[128]; /* of the SQLite file */
    bool postgres;
} test_store;

/* Fails the test when the store cannot be made. Without PostgreSQL installed that is a failure too,
 * unless AICP_TEST_NO_POSTGRES=1 says to skip. */
void test_store_open(test_store *store, bool postgres);
void test_store_close(test_store *store);
/* Ends every session of this PostgreSQL store. */
void test_store_cut_connections(const test_store *store);

/* The same body over both engines. */
#define TEST_BOTH_STORES(suite, name)                                                              \
    static void suite##_##name(test_store *store);                                                 \
    Test(suite, name##_on_sqlite, .timeout = 300) {                                                \
        test_store store;                                                                          \
        test_store_open(&store, false);                                                            \
        suite##_##name(&store);                                                                    \
        test_store_close(&store);                                                                  \
    }                                                                                              \
    Test(suite, name##_on_postgresql, .timeout = 300) {                                            \
        test_store store;                                                                          \
        test_store_open(&store, true);                                                             \
        suite##_##name(&store);                                                                    \
        test_store_close(&store);                                                                  \
    }                                                                                              \
    static void suite##_##name(test_store *store)

#endif
