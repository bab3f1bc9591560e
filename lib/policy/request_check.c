/* Whether a request is as its schema declares. */
#include "lib/policy/request.h"

#include "lib/base/error.h"
#include "lib/policy/brief.h"

typedef struct checking {
    aicp_policy_request *request;
    aicpi_policy_conform *c;
    aicp_error *err;
} checking;

static aicp_status misfit(const checking *k) {
    return aicpi_fail(k->err, AICP_ERR_POLICY_TYPE, "%s", k->c->message);
}

static bool is_among(
    const aicpi_policy_entity_type *const *types, uint32_t count, const aicpi_policy_str *name) {
    uint32_t i = 0;
    while (i < count && !aicpi_policy_str_eq(types[i]->name, name)) {
        i++;
    }
    return i < count;
}

/* The principal or the resource. */
static aicp_status check_side(const checking *k, const aicpi_policy_action *action, int var) {
    bool principal = var == AICPI_POLICY_VAR_PRINCIPAL;
    const aicpi_policy_uid *uid = k->request->vars[var];
    k->c->uid = uid;
    if (!aicpi_policy_conform_entity(k->c, uid)) {
        return misfit(k);
    }
    if (!is_among(
            principal ? action->principals : action->resources,
            principal ? action->principal_count : action->resource_count,
            uid->type)) {
        aicpi_policy_conform_fail(
            k->c,
            NULL,
            "%s does not apply to a %s of type %s",
            aicpi_policy_brief_uid(action->entity.uid).text,
            principal ? "principal" : "resource",
            aicpi_policy_brief_str(uid->type).text);
        return misfit(k);
    }
    return AICP_OK;
}

/* An action has the groups that are declared: here all of them stand as parents. */
static aicp_status check_action_guest(const checking *k, aicpi_policy_entity *e) {
    size_t count = e->parent_count;
    aicpi_policy_ancestor *ancestors =
        aicpi_arena_calloc(&k->request->scratch, count, sizeof *ancestors);
    if (!ancestors) {
        return aicpi_nomem(k->err);
    }
    for (size_t i = 0; i < count; i++) {
        ancestors[i] = (aicpi_policy_ancestor){.hash = e->parents[i]->hash, .uid = e->parents[i]};
    }
    aicpi_policy_ancestors_sort(ancestors, &count);
    e->ancestors = ancestors;
    e->ancestor_count = (uint32_t)count;
    return aicpi_policy_conform_action(k->c, e) ? AICP_OK : misfit(k);
}

static aicp_status check_guest(const checking *k, const aicpi_policy_guest *guest) {
    aicpi_policy_record attrs = {
        .count = (uint32_t)guest->attrs.count, .fields = guest->attrs.items};
    aicpi_policy_entity e = {
        .uid = guest->uid,
        .attrs = &attrs,
        .tags = &aicpi_policy_empty_record,
        .parents = guest->parents,
        .parent_count = (uint32_t)guest->parent_count};
    k->c->uid = guest->uid;
    const aicpi_policy_entity_type *type = aicpi_policy_conform_entity(k->c, guest->uid);
    if (!type) {
        return misfit(k);
    }
    if (type->action) {
        return check_action_guest(k, &e);
    }
    for (uint32_t i = 0; i < e.parent_count; i++) {
        if (!aicpi_policy_conform_parent(k->c, type, e.parents[i])) {
            return misfit(k);
        }
    }
    return aicpi_policy_conform_record(k->c, NULL, type->shape, &attrs) ? AICP_OK : misfit(k);
}

static aicp_status check_context(const checking *k, const aicpi_policy_action *action) {
    aicpi_policy_record context = {
        .count = (uint32_t)k->request->context.count, .fields = k->request->context.items};
    k->c->uid = NULL;
    return aicpi_policy_conform_record(k->c, NULL, action->context, &context) ? AICP_OK : misfit(k);
}

static aicp_status check_all(const checking *k, const aicpi_policy_action *action) {
    aicp_status status = check_side(k, action, AICPI_POLICY_VAR_PRINCIPAL);
    if (status == AICP_OK) {
        status = check_side(k, action, AICPI_POLICY_VAR_RESOURCE);
    }
    if (status == AICP_OK) {
        status = check_context(k, action);
    }
    for (size_t i = 0; status == AICP_OK && i < k->request->guest_count; i++) {
        status = check_guest(k, &k->request->guests[i]);
    }
    return status;
}

aicp_status aicp_policy_request_check(aicp_policy_request *request, aicp_error *err) {
    checking k = {.request = request, .c = &request->conform, .err = err};
    if (!request->schema) {
        return aicpi_fail(err, AICP_ERR_STATE, "the request has no schema");
    }
    aicp_status status = aicpi_policy_request_complete(request, err);
    if (status != AICP_OK) {
        return status;
    }
    const aicpi_policy_uid *uid = request->vars[AICPI_POLICY_VAR_ACTION];
    const aicpi_policy_action *action = aicpi_policy_schema_action(request->schema, uid);
    k.c->schema = request->schema;
    k.c->part = "attribute";
    k.c->uid = uid;
    if (!action) {
        aicpi_policy_conform_fail(k.c, NULL, "the action is not declared");
        return misfit(&k);
    }
    aicpi_arena_reset(&request->scratch);
    return check_all(&k, action);
}
