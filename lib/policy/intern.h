/* Makes texts and entity uids in an arena. While something is read that will be kept (policies, a
 * store), equal ones are made once; for a request that lives for microseconds looking them up would
 * cost more than the copy. */
#ifndef AICPI_POLICY_INTERN_H
#define AICPI_POLICY_INTERN_H

#include "lib/policy/value.h"

typedef struct aicpi_policy_intern {
    aicpi_arena *arena;
    uint64_t seed;
    bool share;
    const aicpi_policy_str **strs; /* open addressing by hash */
    size_t str_mask;
    size_t str_count;
    const aicpi_policy_uid **uids;
    size_t uid_mask;
    size_t uid_count;
} aicpi_policy_intern;

/* What is made lives in `arena`; the tables use its allocator and go with deinit. */
void aicpi_policy_intern_init(aicpi_policy_intern *in, aicpi_arena *arena, bool share);
void aicpi_policy_intern_deinit(aicpi_policy_intern *in);
/* All give NULL when out of memory. */
const aicpi_policy_str *aicpi_policy_intern_str(aicpi_policy_intern *in, aicpi_slice text);
const aicpi_policy_uid *aicpi_policy_intern_uid(
    aicpi_policy_intern *in, const aicpi_policy_str *type, const aicpi_policy_str *id);

/* One of the words that cannot be a name: true false if then else in is like has __cedar. */
bool aicpi_policy_is_reserved(aicpi_slice word);
/* A path of names without spaces ("A::B"): what an entity type may be. */
bool aicpi_policy_is_path(aicpi_slice text);
/* Letters, digits and underscores, no digit first: a name, or a reserved word. */
bool aicpi_policy_is_word(aicpi_slice text);
/* A word that may stand as a name without quotes. */
bool aicpi_policy_is_name(aicpi_slice text);
/* The last name of a type's path is "Action". */
bool aicpi_policy_is_action_type(const aicpi_policy_str *type);

#endif
