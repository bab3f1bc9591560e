#include "lib/base/crypto.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS 500
#define CHILD_SECONDS 20 /* then it hangs, and the signal ends it */

static void *draw(void *user) {
    const atomic_bool *stop = user;
    unsigned char bytes[16];
    while (!atomic_load(stop)) {
        aicpi_random(bytes, sizeof bytes);
    }
    return NULL;
}

Test(random, the_child_of_a_fork_draws_while_another_thread_did, .timeout = 120) {
    pthread_t thread;
    atomic_bool stop = false;
    unsigned char bytes[16];
    aicpi_random(bytes, sizeof bytes);
    cr_assert_eq(pthread_create(&thread, NULL, draw, &stop), 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(CHILD_SECONDS);
            aicpi_random(bytes, sizeof bytes);
            _exit(0);
        }
        int status = 0;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status), "child %d hung", i);
    }
    atomic_store(&stop, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
}
