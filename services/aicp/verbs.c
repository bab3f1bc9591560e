/* The table of verbs. */
#include "verbs.h"

const cli_verb *const cli_verbs[] = {
    &cli_completion,
    NULL,
};
