/* Which of many entities a request is allowed for: what is sure of all is found once, and each is
 * asked of what is left. */
#include "lib/policy/intern.h"
#include "lib/policy/request.h"

#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "lib/base/text.h"

typedef struct filter {
    const aicp_policy_entities *entities;
    aicp_policy_response *response;
    aicp_policy_set *rest;
    aicp_policy_request asked; /* the request with a candidate in its place */
    int part;
    aicpi_arena arena; /* of one candidate */
    aicpi_policy_intern intern;
    aicpi_strbuf out;
} filter;

/* The part that the candidates are for. */
static aicp_status find_part(const aicp_policy_request *request, int *part, aicp_error *err) {
    int count = 0;
    for (int i = 0; i < 3; i++) {
        if (!request->vars[i]) {
            *part = i;
            count++;
        }
    }
    if (count != 1 || !request->types[*part]) {
        return aicpi_fail(
            err,
            AICP_ERR_STATE,
            "one part of the request must be unknown and its type known, the others set");
    }
    return AICP_OK;
}

static aicp_status try_one(filter *f, aicpi_slice id, bool *allowed, aicp_error *err) {
    aicpi_arena_reset(&f->arena);
    const aicpi_policy_str *name = aicpi_policy_intern_str(&f->intern, id);
    f->asked.vars[f->part] =
        name ? aicpi_policy_intern_uid(&f->intern, f->asked.types[f->part], name) : NULL;
    if (!f->asked.vars[f->part]) {
        return aicpi_nomem(err);
    }
    aicp_status status = aicp_policy_authorize(
        f->rest, f->entities, &f->asked, AICP_POLICY_DECISION_ONLY, f->response, err);
    *allowed = aicp_policy_response_decision(f->response) == AICP_POLICY_ALLOW;
    return status;
}

static aicp_status
try_all(filter *f, const char *const *items, const size_t *lens, size_t count, aicp_error *err) {
    int32_t decision = aicp_policy_response_decision(f->response);
    for (size_t i = 0; i < count; i++) {
        aicpi_slice id = lens ? aicpi_slice_of(items[i], lens[i]) : aicpi_slice_cstr(items[i]);
        bool allowed = decision == AICP_POLICY_ALLOW;
        if (!aicpi_utf8_valid(id.data, id.len, NULL)) {
            return aicpi_fail(err, AICP_ERR_INVALID, "candidate %zu is not valid UTF-8", i);
        }
        if (decision == AICP_POLICY_UNDECIDED) {
            aicp_status status = try_one(f, id, &allowed, err);
            if (status != AICP_OK) {
                return status;
            }
        }
        aicpi_strbuf_putc(&f->out, allowed ? '\1' : '\0');
    }
    return AICP_OK;
}

aicp_status aicp_policy_filter(
    const aicp_policy_set *set,
    const aicp_policy_entities *entities,
    const aicp_policy_request *request,
    const char *const *items,
    const size_t *lens,
    size_t count,
    aicp_buf *out,
    aicp_error *err) {
    filter f = {.entities = entities, .asked = *request};
    const aicp_allocator *a = &request->allocator;
    *out = (aicp_buf)AICP_BUF_INIT;
    aicp_status status = find_part(request, &f.part, err);
    if (status != AICP_OK) {
        return status;
    }
    aicpi_arena_init(&f.arena, a, 0, 0);
    aicpi_policy_intern_init(&f.intern, &f.arena, false);
    aicpi_strbuf_init(&f.out, a, AICPI_STRBUF_MAX);
    status = aicp_policy_response_new(a, &f.response, err);
    if (status == AICP_OK) {
        status = aicp_policy_partial(set, entities, request, f.response, &f.rest, err);
    }
    if (status == AICP_OK) {
        status = try_all(&f, items, lens, count, err);
    }
    if (status == AICP_OK) {
        status = aicpi_strbuf_take(&f.out, out, err);
    }
    aicpi_strbuf_deinit(&f.out);
    aicpi_arena_deinit(&f.arena);
    aicp_policy_response_free(f.response);
    aicp_policy_set_free(f.rest);
    return status;
}
