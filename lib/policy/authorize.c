/* The authorizer, and the response it fills. */
#include "lib/policy/authorize.h"

#include "lib/base/error.h"
#include "lib/policy/index.h"

/* ---- response ---- */

aicp_status aicp_policy_response_new(
    const aicp_allocator *allocator, aicp_policy_response **out, aicp_error *err) {
    *out = NULL;
    aicp_allocator a = aicpi_allocator(allocator);
    aicp_policy_response *response = aicpi_calloc(&a, 1, sizeof *response);
    if (!response) {
        return aicpi_nomem(err);
    }
    response->allocator = a;
    aicpi_arena_init(&response->arena, &a, 0, 0);
    aicpi_arena_init(&response->scratch, &a, 0, 0);
    *out = response;
    return AICP_OK;
}

void aicp_policy_response_free(aicp_policy_response *response) {
    if (!response) {
        return;
    }
    aicp_allocator a = response->allocator;
    aicpi_arena_deinit(&response->arena);
    aicpi_arena_deinit(&response->scratch);
    aicpi_free(&a, response->reasons);
    aicpi_free(&a, response->failures);
    aicpi_free(&a, response);
}

int32_t aicp_policy_response_decision(const aicp_policy_response *response) {
    return response->decision;
}

size_t aicp_policy_response_reason_count(const aicp_policy_response *response) {
    return response->reason_count;
}

size_t aicp_policy_response_reason_index(const aicp_policy_response *response, size_t nth) {
    return nth < response->reason_count ? response->reasons[nth] : SIZE_MAX;
}

const char *aicp_policy_response_reason_id(const aicp_policy_response *response, size_t nth) {
    return nth < response->reason_count ? aicp_policy_set_id(response->set, response->reasons[nth])
                                        : NULL;
}

static const aicpi_policy_failure *failure_at(const aicp_policy_response *response, size_t nth) {
    return nth < response->failure_count ? &response->failures[nth] : NULL;
}

size_t aicp_policy_response_error_count(const aicp_policy_response *response) {
    return response->failure_count;
}

size_t aicp_policy_response_error_index(const aicp_policy_response *response, size_t nth) {
    const aicpi_policy_failure *f = failure_at(response, nth);
    return f ? f->rule : SIZE_MAX;
}

const char *aicp_policy_response_error_id(const aicp_policy_response *response, size_t nth) {
    const aicpi_policy_failure *f = failure_at(response, nth);
    return f ? aicp_policy_set_id(response->set, f->rule) : NULL;
}

int32_t aicp_policy_response_error_kind(const aicp_policy_response *response, size_t nth) {
    const aicpi_policy_failure *f = failure_at(response, nth);
    return f ? f->kind : 0;
}

aicp_status aicp_policy_response_error_status(const aicp_policy_response *response, size_t nth) {
    switch (aicp_policy_response_error_kind(response, nth)) {
#define STATUS(name, number, text, status)                                                         \
    case number:                                                                                   \
        return status;
        AICP_POLICY_ERROR_MAP(STATUS)
#undef STATUS
    default:
        return AICP_OK;
    }
}

const char *aicp_policy_error_name(int32_t kind) {
    switch (kind) {
#define NAME(name, number, text, status)                                                           \
    case number:                                                                                   \
        return text;
        AICP_POLICY_ERROR_MAP(NAME)
#undef NAME
    default:
        return "Unknown";
    }
}

const char *aicp_policy_response_error_message(const aicp_policy_response *response, size_t nth) {
    const aicpi_policy_failure *f = failure_at(response, nth);
    return f ? f->message : NULL;
}

uint32_t aicp_policy_response_error_line(const aicp_policy_response *response, size_t nth) {
    const aicpi_policy_failure *f = failure_at(response, nth);
    uint32_t line = 0;
    uint32_t column = 0;
    if (f) {
        aicpi_policy_set_place(response->set, f->pos, &line, &column);
    }
    return line;
}

uint32_t aicp_policy_response_error_column(const aicp_policy_response *response, size_t nth) {
    const aicpi_policy_failure *f = failure_at(response, nth);
    uint32_t line = 0;
    uint32_t column = 0;
    if (f) {
        aicpi_policy_set_place(response->set, f->pos, &line, &column);
    }
    return column;
}

/* ---- authorizer ---- */

bool aicpi_policy_fits(
    aicpi_policy_eval *x, const aicpi_policy_uid *uid, const aicpi_policy_scope *scope) {
    switch (scope->kind) {
    case AICPI_POLICY_SCOPE_ANY:
        return true;
    case AICPI_POLICY_SCOPE_EQ:
        return aicpi_policy_uid_eq(uid, scope->entity);
    case AICPI_POLICY_SCOPE_IN:
        return aicpi_policy_eval_in(x, uid, scope->entity);
    case AICPI_POLICY_SCOPE_IS:
        return aicpi_policy_str_eq(uid->type, scope->type);
    case AICPI_POLICY_SCOPE_IS_IN:
        return aicpi_policy_str_eq(uid->type, scope->type) &&
               aicpi_policy_eval_in(x, uid, scope->entity);
    default:
        for (uint32_t i = 0; i < scope->count; i++) {
            if (aicpi_policy_eval_in(x, uid, scope->list[i])) {
                return true;
            }
        }
        return false;
    }
}

enum { NOT_SATISFIED, SATISFIED, FAILED };

static int run_tests(aicpi_policy_eval *x, const aicpi_policy_rule *rule) {
    for (uint32_t i = 0; i < rule->test_count; i++) {
        const aicpi_policy_test *test = &rule->tests[i];
        aicpi_policy_value v = aicpi_policy_eval_node(x, test->node);
        if (v.kind != AICPI_POLICY_BOOL) {
            if (v.kind) {
                aicpi_policy_eval_type_error(x, test->node->pos, "bool", v);
            }
            return FAILED;
        }
        if (v.u.boolean == test->unless) {
            return NOT_SATISFIED;
        }
    }
    return SATISFIED;
}

static int run_rule(aicpi_policy_eval *x, const aicpi_policy_rule *rule) {
    /* The action tells most rules apart, so it is looked at first. */
    static const int order[] = {
        AICPI_POLICY_VAR_ACTION, AICPI_POLICY_VAR_PRINCIPAL, AICPI_POLICY_VAR_RESOURCE};
    for (size_t i = 0; i < 3; i++) {
        const aicpi_policy_scope *scope = &rule->scope[order[i]];
        if (scope->kind != AICPI_POLICY_SCOPE_ANY &&
            !aicpi_policy_fits(x, x->vars[order[i]].u.entity, scope)) {
            return x->stopped ? FAILED : NOT_SATISFIED;
        }
    }
    return run_tests(x, rule);
}

bool aicpi_policy_note_reason(aicp_policy_response *r, size_t rule) {
    if (!aicpi_grow(
            &r->allocator,
            (void **)&r->reasons,
            &r->reason_capacity,
            r->reason_count,
            sizeof *r->reasons)) {
        return false;
    }
    r->reasons[r->reason_count++] = rule;
    return true;
}

bool aicpi_policy_note_failure(aicp_policy_response *r, const aicpi_policy_eval *x, size_t rule) {
    const char *message = aicpi_arena_strndup(&r->arena, x->message, strlen(x->message));
    if (!message || !aicpi_grow(
                        &r->allocator,
                        (void **)&r->failures,
                        &r->failure_capacity,
                        r->failure_count,
                        sizeof *r->failures)) {
        return false;
    }
    r->failures[r->failure_count++] = (aicpi_policy_failure){
        .rule = rule, .kind = x->error_kind, .pos = x->error_pos, .message = message};
    return true;
}

/* One rule with everything it leaves in the response. False: there is no answer. */
static bool
run_and_note(aicp_policy_response *r, aicpi_policy_eval *x, size_t index, bool *satisfied) {
    int outcome = run_rule(x, &r->set->rules[index]);
    aicpi_arena_reset(&r->scratch);
    *satisfied = outcome == SATISFIED;
    if (x->stopped) {
        return false;
    }
    return outcome != FAILED || aicpi_policy_note_failure(r, x, index);
}

/* The rules to look at. False: there is no answer. */
static bool find_candidates(
    aicp_policy_response *r, aicpi_policy_eval *x, uint32_t flags, aicpi_policy_candidates *out) {
    /* The index would ask for what all three variables are in, before any head is looked at. */
    bool bare = (flags & AICP_POLICY_NO_INDEX) || x->lookup;
    const aicpi_policy_index *index = bare ? NULL : r->set->index;
    return aicpi_policy_index_find(index, r->set->count, x, &r->arena, out);
}

/* All rules, for full reasons and errors. Permits count until the first forbid is satisfied. */
static bool decide_fully(aicp_policy_response *r, aicpi_policy_eval *x, uint32_t flags) {
    bool forbidden = false;
    aicpi_policy_candidates candidates;
    if (!find_candidates(r, x, flags, &candidates)) {
        return false;
    }
    for (size_t i = 0; aicpi_policy_candidates_next(&candidates, &i);) {
        bool satisfied = false;
        if (!run_and_note(r, x, i, &satisfied)) {
            return false;
        }
        if (!satisfied) {
            continue;
        }
        bool forbid = r->set->rules[i].effect == AICP_POLICY_FORBID;
        if (forbid && !forbidden) {
            forbidden = true;
            r->reason_count = 0;
        }
        if (forbid == forbidden && !aicpi_policy_note_reason(r, i)) {
            return false;
        }
    }
    r->decision = !forbidden && r->reason_count > 0 ? AICP_POLICY_ALLOW : AICP_POLICY_DENY;
    return true;
}

/* Looks for one satisfied rule of an effect. */
static bool find_one(
    aicp_policy_response *r, aicpi_policy_eval *x, uint32_t flags, int32_t effect, bool *found) {
    *found = false;
    aicpi_policy_candidates candidates;
    if (!find_candidates(r, x, flags, &candidates)) {
        return false;
    }
    for (size_t i = 0; !*found && aicpi_policy_candidates_next(&candidates, &i);) {
        if (r->set->rules[i].effect != effect) {
            continue;
        }
        if (!run_and_note(r, x, i, found) || (*found && !aicpi_policy_note_reason(r, i))) {
            return false;
        }
    }
    return true;
}

static bool decide_quickly(aicp_policy_response *r, aicpi_policy_eval *x, uint32_t flags) {
    bool found = false;
    if (!find_one(r, x, flags, AICP_POLICY_FORBID, &found)) {
        return false;
    }
    if (found) {
        return true;
    }
    if (!find_one(r, x, flags, AICP_POLICY_PERMIT, &found)) {
        return false;
    }
    r->decision = found ? AICP_POLICY_ALLOW : AICP_POLICY_DENY;
    return true;
}

void aicpi_policy_clear_response(aicp_policy_response *r, const aicp_policy_set *set) {
    aicpi_arena_reset(&r->arena);
    aicpi_arena_reset(&r->scratch);
    r->set = set;
    r->decision = AICP_POLICY_DENY;
    r->reason_count = 0;
    r->failure_count = 0;
}

/* Finds what the evaluator will ask for most: the entities of the variables. Those that live
 * elsewhere are looked up when they are needed. */
static void meet_variables(aicpi_policy_eval *x, const aicp_policy_request *request) {
    const aicpi_policy_entity *known[3] = {NULL};
    for (int i = 0; i < 3 && !x->lookup; i++) {
        known[i] = request->vars[i] ? aicpi_policy_eval_entity(x, request->vars[i]) : NULL;
    }
    for (int i = 0; i < 3; i++) {
        x->vars[i] =
            request->vars[i] ? aicpi_policy_of_entity(request->vars[i]) : aicpi_policy_of_none();
        x->known[i] = known[i];
    }
    x->vars[AICPI_POLICY_VAR_CONTEXT] =
        (aicpi_policy_value){.kind = AICPI_POLICY_RECORD, .u.record = &x->context};
}

aicp_status aicpi_policy_eval_start(
    aicpi_policy_eval *x,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    aicpi_arena *arena,
    aicp_error *err) {
    memset(x, 0, offsetof(aicpi_policy_eval, message));
    x->store = entities;
    x->context = (aicpi_policy_record){
        .count = (uint32_t)request->context.count, .fields = request->context.items};
    x->arena = arena;
    x->lookup = request->lookup;
    if (x->lookup) {
        aicpi_policy_lookup_start(x->lookup);
    }
    aicp_status status = aicpi_policy_eval_guests(x, request, err);
    if (status == AICP_OK) {
        meet_variables(x, request);
    }
    return status;
}

static aicp_status check_call(const aicp_policy_request *request, uint32_t flags, aicp_error *err) {
    if (flags & ~(AICP_POLICY_DECISION_ONLY | AICP_POLICY_NO_INDEX)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "unknown flags 0x%x", (unsigned)flags);
    }
    return aicpi_policy_request_complete(request, err);
}

aicp_status aicp_policy_authorize(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    uint32_t flags,
    aicp_policy_response *response,
    aicp_error *err) {
    aicpi_policy_clear_response(response, set);
    aicp_status status = check_call(request, flags, err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_policy_eval x;
    status = aicpi_policy_eval_start(&x, entities, request, &response->arena, err);
    if (status != AICP_OK) {
        return status;
    }
    x.scratch = &response->scratch;
    bool fine = flags & AICP_POLICY_DECISION_ONLY ? decide_quickly(response, &x, flags)
                                                  : decide_fully(response, &x, flags);
    if (!fine) {
        aicpi_policy_clear_response(response, set);
        return aicpi_policy_eval_stop(&x, err);
    }
    return AICP_OK;
}
