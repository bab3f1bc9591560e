#include "unit/sql/stores.h"

#include "lib/sql/sql.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIRECTORY_VARIABLE "AICP_TEST_POSTGRES_DIRECTORY"

/* ---- the private cluster ---- */

static bool find_binaries(char *out, size_t size) {
    glob_t g;
    bool found = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &g) == 0 && g.gl_pathc > 0;
    if (found) {
        const char *path = g.gl_pathv[g.gl_pathc - 1];
        (void)snprintf(out, size, "%.*s", (int)(strrchr(path, '/') - path), path);
    }
    globfree(&g);
    return found;
}

/* PostgreSQL refuses to run as root. */
static void become_postgres(const char *directory) {
    if (geteuid() != 0) {
        return;
    }
    struct passwd *p = getpwnam("postgres");
    if (!p || chown(directory, p->pw_uid, p->pw_gid) != 0 || setgroups(0, NULL) != 0 ||
        setgid(p->pw_gid) != 0 || setuid(p->pw_uid) != 0) {
        _exit(71);
    }
}

static void quiet(void) {
    int null = open("/dev/null", O_RDWR);
    (void)dup2(null, 0);
    (void)dup2(null, 1);
    (void)dup2(null, 2);
}

static pid_t run(const char *directory, char *const argv[]) {
    pid_t pid = fork();
    if (pid == 0) {
        quiet();
        if (chdir(directory) == 0) {
            execv(argv[0], argv);
        }
        _exit(127);
    }
    return pid;
}

static void remove_tree(const char *directory) {
    char *argv[] = {"/bin/rm", "-rf", (char *)directory, NULL};
    pid_t pid = run("/", argv);
    (void)waitpid(pid, NULL, 0);
}

/* Runs as user postgres until `alive` reaches its end, which it does when the test program dies. */
static void supervise(const char *binaries, const char *directory, int alive, int ready) {
    char initdb[512];
    char postgres[512];
    char data[256];
    (void)setsid();
    quiet();
    become_postgres(directory);
    (void)snprintf(initdb, sizeof initdb, "%s/initdb", binaries);
    (void)snprintf(postgres, sizeof postgres, "%s/postgres", binaries);
    (void)snprintf(data, sizeof data, "%s/data", directory);
    char *init[] = {
        initdb,
        "-D",
        data,
        "-A",
        "trust",
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "-N",
        "--locale=C",
        NULL};
    int status = 0;
    (void)waitpid(run(directory, init), &status, 0);
    if (status != 0) {
        _exit(72);
    }
    char *serve[] = {
        postgres,
        "-D",
        data,
        "-k",
        (char *)directory,
        "-F",
        "-c",
        "listen_addresses=",
        "-c",
        "max_connections=60",
        NULL};
    pid_t server = run(directory, serve);
    (void)!write(ready, "r", 1);
    char byte;
    while (read(alive, &byte, 1) > 0) {
    }
    (void)kill(server, SIGQUIT);
    (void)waitpid(server, NULL, 0);
    remove_tree(directory);
    _exit(0);
}

static bool start_cluster(char *directory, size_t size) {
    char binaries[256];
    if (!find_binaries(binaries, sizeof binaries)) {
        return false;
    }
    (void)snprintf(directory, size, "/tmp/aicp-test-pg-XXXXXX");
    int alive[2];
    int ready[2];
    if (!mkdtemp(directory) || pipe2(alive, O_CLOEXEC) != 0 || pipe2(ready, O_CLOEXEC) != 0) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(alive[1]);
        (void)close(ready[0]);
        /* Forked twice: Criterion expects no child of its own that it does not know. */
        if (fork() == 0) {
            supervise(binaries, directory, alive[0], ready[1]);
        }
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
    (void)close(alive[0]);
    (void)close(ready[1]);
    char byte;
    bool ok = read(ready[0], &byte, 1) == 1;
    (void)close(ready[0]);
    return ok; /* alive[1] stays open for as long as this program lives */
}

static void cluster_url(char *out, const char *directory) {
    (void)snprintf(out, TEST_URL_SIZE, "postgresql:///postgres?host=%s&user=postgres", directory);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    char directory[128];
    if (start_cluster(directory, sizeof directory)) {
        (void)setenv(DIRECTORY_VARIABLE, directory, 1);
    }
}

/* ---- stores ---- */

static void open_sqlite(test_store *store) {
    (void)snprintf(store->directory, sizeof store->directory, "/tmp/aicp-test-sqlite-XXXXXX");
    cr_assert_not_null(mkdtemp(store->directory));
    (void)snprintf(store->url, sizeof store->url, "sqlite://%s/store.db", store->directory);
}

static aicpi_sql *connect_when_ready(const char *url) {
    aicpi_sql *db = NULL;
    aicp_error err = {0};
    for (int i = 0; i < 600 && aicpi_sql_open(url, strlen(url), NULL, &db, &err) != AICP_OK; i++) {
        (void)usleep(50000); /* the server is starting up */
    }
    cr_assert_not_null(db, "private PostgreSQL: %s", err.message);
    return db;
}

static void open_postgres(test_store *store) {
    const char *directory = getenv(DIRECTORY_VARIABLE);
    const char *without = getenv("AICP_TEST_NO_POSTGRES");
    if (!directory && without && !strcmp(without, "1")) {
        cr_skip_test("no PostgreSQL, and AICP_TEST_NO_POSTGRES=1 allows that");
    }
    cr_assert_not_null(
        directory, "no PostgreSQL could be started (AICP_TEST_NO_POSTGRES=1 skips these tests)");
    char url[TEST_URL_SIZE];
    char sql[128];
    cluster_url(url, directory);
    aicpi_sql *db = connect_when_ready(url);
    (void)snprintf(sql, sizeof sql, "CREATE SCHEMA t%d", (int)getpid());
    aicp_error err = {0};
    cr_assert_eq(aicpi_sql_exec(db, sql, &err), AICP_OK, "%s", err.message);
    aicpi_sql_free(db);
    (void)snprintf(
        store->url,
        sizeof store->url,
        "postgresql:///postgres?host=%s&user=postgres&application_name=t%d"
        "&options=-csearch_path%%3Dt%d",
        directory,
        (int)getpid(),
        (int)getpid());
}

void test_store_open(test_store *store, bool postgres) {
    memset(store, 0, sizeof *store);
    store->postgres = postgres;
    if (postgres) {
        open_postgres(store);
    } else {
        open_sqlite(store);
    }
}

void test_store_close(test_store *store) {
    if (!store->postgres) {
        remove_tree(store->directory);
    }
}

void test_store_cut_connections(const test_store *store) {
    aicpi_sql *db = connect_when_ready(store->url);
    aicp_error err = {0};
    aicp_status s = aicpi_sql_exec(
        db,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND application_name = current_setting('application_name')",
        &err);
    cr_assert_eq(s, AICP_OK, "%s", err.message);
    aicpi_sql_free(db);
}
