/* Whether values, entities and requests are as a schema declares them. */
#ifndef AICPI_POLICY_CONFORM_H
#define AICPI_POLICY_CONFORM_H

#include "lib/policy/schema.h"

/* A part of an attribute, for messages: a key, or an element of a set. */
typedef struct aicpi_policy_place {
    const struct aicpi_policy_place *above; /* NULL: at the top */
    const aicpi_policy_str *key;            /* NULL: an element */
} aicpi_policy_place;

typedef struct aicpi_policy_conform {
    const aicp_policy_schema *schema;
    const aicpi_policy_uid *uid; /* whose parts are looked at; NULL: the context's */
    const char *part;            /* "attribute", "tag" */
    char message[AICP_ERROR_MESSAGE_SIZE];
} aicpi_policy_conform;

/* All give true, or false with c->message. */

/* Puts what it is about before a sentence: `User::"a": attribute "addr.zip": …`; `at` may be NULL.
 * False. */
bool aicpi_policy_conform_fail(
    aicpi_policy_conform *c, const aicpi_policy_place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* The value has the type, but for the parts of sets and records. */
bool aicpi_policy_conform_top(
    aicpi_policy_conform *c,
    const aicpi_policy_place *at,
    const aicpi_policy_type *type,
    aicpi_policy_value v);
/* The record has all attributes that are required. */
bool aicpi_policy_conform_whole(
    aicpi_policy_conform *c,
    const aicpi_policy_place *at,
    const aicpi_policy_type *type,
    const aicpi_policy_record *record);
/* The attribute of a record, NULL when it is not declared. */
const aicpi_policy_type *aicpi_policy_conform_attr(
    aicpi_policy_conform *c, const aicpi_policy_type *record, const aicpi_policy_place *at);
/* All parts of a record. */
bool aicpi_policy_conform_record(
    aicpi_policy_conform *c,
    const aicpi_policy_place *at,
    const aicpi_policy_type *type,
    const aicpi_policy_record *record);

/* The type of an entity that may exist: it is declared, and the entity is one of its ids or actions
 * when these are declared too. NULL: no. */
const aicpi_policy_entity_type *
aicpi_policy_conform_entity(aicpi_policy_conform *c, const aicpi_policy_uid *uid);
/* An entity of the type may have that parent. */
bool aicpi_policy_conform_parent(
    aicpi_policy_conform *c, const aicpi_policy_entity_type *type, const aicpi_policy_uid *parent);
/* The entity of an action, with all its ancestors, is the declared one. */
bool aicpi_policy_conform_action(aicpi_policy_conform *c, const aicpi_policy_entity *e);

#endif
