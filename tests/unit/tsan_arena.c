/* Linked into the test programs of the thread sanitizer only.
 *
 * Tests fork a process whose library has threads, and the child may start its own. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);

const char *__tsan_default_options(void) {
    return "die_after_fork=0";
}

/* Criterion maps the arena that it
 * shares with its workers at a random fixed address, drawn with rand_r as 0x200000000000 + (n <<
 * 24); the sanitizer admits program memory only in a few ranges. This rand_r draws addresses from
 * one that is also free of the program itself: 0x550000000000 up to 0x555000000000. */
__attribute__((visibility("default"))) int rand_r(unsigned *seed);

int rand_r(unsigned *seed) {
    *seed = *seed * 1103515245U + 12345U;
    return 0x350000 + (int)((*seed >> 12) & 0x4fffU);
}
