/* Queries, and lists that come in pages. */
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/litellm/litellm_internal.h"

#define PAGE_SIZE 100 /* the most that every list takes */
#define MAX_PAGES 10000

/* ---- queries -------------------------------------------------------------------------------- */

aicp_status aicpi_litellm_overflow(const aicpi_strbuf *b, const char *path, aicp_error *err) {
    return b->full ? aicpi_fail(err, AICP_ERR_LIMIT, "the request to %s is too long", path)
                   : aicpi_nomem(err);
}

void aicpi_litellm_parameter(aicpi_strbuf *path, aicpi_slice name, aicpi_slice value) {
    bool first = path->len == 0 || !memchr(path->data, '?', path->len);
    aicpi_strbuf_putc(path, first ? '?' : '&');
    aicpi_net_escape(path, name);
    aicpi_strbuf_putc(path, '=');
    aicpi_net_escape(path, value);
}

static void put_number(aicpi_strbuf *path, const char *name, int64_t value) {
    aicpi_litellm_parameter(path, aicpi_slice_cstr(name), AICPI_SLICE(""));
    aicpi_strbuf_printf(path, "%lld", (long long)value);
}

/* A text, a number or true or false, as it stands in a query. */
static bool read_scalar(aicpi_json *r, aicpi_slice *out) {
    switch (aicpi_json_peek(r)) {
    case AICPI_JSON_STRING:
        return aicpi_json_string(r, out);
    case AICPI_JSON_NUMBER:
        return aicpi_json_number(r, out);
    case AICPI_JSON_BOOL:
        return aicpi_json_span(r, out);
    default:
        return aicpi_json_fail(
            r, AICP_ERR_INVALID, aicpi_json_offset(r), "a filter is a text, a number or a list");
    }
}

/* LiteLLM takes lists as one text with commas. */
static void write_list(aicpi_strbuf *path, aicpi_json *r, aicpi_slice name) {
    aicpi_slice value;
    bool any = false;
    aicpi_json_array(r);
    while (aicpi_json_element(r)) {
        if (!read_scalar(r, &value)) {
            return;
        }
        if (any) {
            aicpi_strbuf_puts(path, "%2C");
            aicpi_net_escape(path, value);
        } else {
            aicpi_litellm_parameter(path, name, value);
        }
        any = true;
    }
}

aicp_status aicpi_litellm_filters(
    aicpi_strbuf *path, aicpi_arena *arena, aicpi_slice filters, aicp_error *err) {
    aicpi_json r;
    aicpi_slice name;
    aicpi_slice value;
    aicpi_json_init(&r, arena, filters.data, filters.len, 0);
    aicpi_json_object(&r);
    while (aicpi_json_member(&r, &name)) {
        switch (aicpi_json_peek(&r)) {
        case AICPI_JSON_NULL:
            aicpi_json_null(&r);
            break;
        case AICPI_JSON_ARRAY:
            write_list(path, &r, name);
            break;
        default:
            if (read_scalar(&r, &value)) {
                aicpi_litellm_parameter(path, name, value);
            }
            break;
        }
    }
    return aicpi_json_finish(&r, err);
}

static bool has_parameter(const aicpi_strbuf *path, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i + len + 1 < path->len; i++) {
        bool start = path->data[i] == '?' || path->data[i] == '&';
        if (start && memcmp(path->data + i + 1, name, len) == 0 && path->data[i + 1 + len] == '=') {
            return true;
        }
    }
    return false;
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* The records of a page, each copied as it is. */
static bool take_records(aicpi_json *r, aicpi_strbuf *all, size_t *records) {
    if (!aicpi_json_array(r)) {
        return false;
    }
    while (aicpi_json_element(r)) {
        aicpi_slice record;
        if (aicpi_json_span(r, &record)) {
            aicpi_strbuf_puts(all, all->len > 1 ? "," : "");
            aicpi_strbuf_append(all, record.data, record.len);
            ++*records;
        }
    }
    return true;
}

static void take_count(aicpi_json *r, aicpi_slice name, aicpi_litellm_page *out) {
    if (aicpi_slice_is(name, "total_pages") && aicpi_json_peek(r) == AICPI_JSON_NUMBER) {
        aicpi_json_int64(r, &out->pages);
    } else if (aicpi_slice_is(name, "total_is_capped") && aicpi_json_peek(r) == AICPI_JSON_BOOL) {
        aicpi_json_bool(r, &out->capped);
    } else {
        aicpi_json_skip(r);
    }
}

aicp_status aicpi_litellm_page_read(
    aicpi_arena *arena,
    aicpi_slice body,
    const char *list,
    aicpi_strbuf *all,
    aicpi_litellm_page *out,
    aicp_error *err) {
    aicpi_json r;
    aicpi_slice name;
    *out = (aicpi_litellm_page){.pages = 0};
    aicpi_json_init(&r, arena, body.data ? body.data : "", body.len, 0);
    aicpi_json_object(&r);
    while (aicpi_json_member(&r, &name)) {
        if (aicpi_slice_is(name, list)) {
            out->found = take_records(&r, all, &out->records);
        } else if (aicpi_slice_is(name, "metadata") && aicpi_json_peek(&r) == AICPI_JSON_OBJECT) {
            aicpi_json_object(&r); /* the daily activity counts there */
            while (aicpi_json_member(&r, &name)) {
                take_count(&r, name, out);
            }
        } else {
            take_count(&r, name, out);
        }
    }
    aicp_status status = aicpi_json_finish(&r, err);
    if (status == AICP_OK && !out->found) {
        status = aicpi_fail(err, AICP_ERR_PARSE, "LiteLLM's page has no list \"%s\"", list);
    }
    return status;
}

static aicp_status
get(aicp_litellm *c, const aicpi_strbuf *path, aicp_litellm_reply *reply, aicp_error *err) {
    if (path->failed) {
        return aicpi_litellm_overflow(path, "the list", err);
    }
    aicpi_litellm_request q = {.method = "GET", .path = aicpi_slice_of(path->data, path->len)};
    return aicpi_litellm_send(c, &q, reply, err);
}

/* A list must come whole or fail: half of it would be taken for all. */
static aicp_status check_bounds(
    const aicp_litellm *c,
    const aicpi_litellm_paged *what,
    const aicpi_litellm_page *page,
    const aicpi_strbuf *all,
    aicp_error *err) {
    if (all->failed && !all->full) {
        return aicpi_nomem(err);
    }
    if (all->full || page->capped || page->pages > MAX_PAGES || all->len > c->max_response) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "%s: more records than can be listed, use filters", what->path);
    }
    return AICP_OK;
}

static aicp_status join_pages(
    aicp_litellm *c,
    const aicpi_litellm_paged *what,
    aicpi_strbuf *path,
    aicpi_strbuf *all,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    size_t base = path->len;
    aicpi_litellm_page page = {.pages = 1};
    for (int64_t number = 1; number <= page.pages; number++) {
        path->len = base;
        put_number(path, "page", number);
        aicp_status status = get(c, path, reply, err);
        if (status == AICP_OK) {
            aicpi_slice body = aicpi_slice_of(reply->response.body.data, reply->response.body.len);
            status = aicpi_litellm_page_read(&reply->arena, body, what->list, all, &page, err);
        }
        if (status == AICP_OK) {
            status = check_bounds(c, what, &page, all, err);
        }
        if (status != AICP_OK) {
            return status;
        }
        if (page.records == 0) {
            break; /* some were deleted meanwhile */
        }
    }
    return AICP_OK;
}

static aicp_status all_pages(
    aicp_litellm *c,
    const aicpi_litellm_paged *what,
    aicpi_strbuf *path,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    aicpi_strbuf all;
    aicpi_strbuf_init(&all, &reply->allocator, AICPI_STRBUF_MAX);
    aicpi_strbuf_putc(&all, '[');
    aicp_status status = join_pages(c, what, path, &all, reply, err);
    aicpi_strbuf_putc(&all, ']');
    if (status == AICP_OK && all.failed) {
        status = aicpi_nomem(err);
    }
    if (status == AICP_OK) { /* the whole list takes the place of the last page */
        aicpi_strbuf page = reply->response.body;
        reply->response.body = all;
        all = page;
    }
    aicpi_strbuf_deinit(&all);
    return status;
}

/* Either name of the size is known to each list; what it does not know it ignores. */
static void put_size(aicpi_strbuf *path) {
    if (!has_parameter(path, "size") && !has_parameter(path, "page_size")) {
        put_number(path, "size", PAGE_SIZE);
        put_number(path, "page_size", PAGE_SIZE);
    }
}

aicp_status aicpi_litellm_pages(
    aicp_litellm *c,
    const aicpi_litellm_paged *what,
    aicpi_slice filters,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    aicpi_strbuf path;
    aicpi_strbuf_init(&path, &c->allocator, AICPI_LITELLM_PATH_MAX);
    aicpi_strbuf_puts(&path, what->path);
    aicp_status status = AICP_OK;
    if (filters.len != 0) {
        status = aicpi_litellm_filters(&path, &reply->arena, filters, err);
    }
    if (what->full && !has_parameter(&path, "return_full_object")) {
        aicpi_litellm_parameter(&path, AICPI_SLICE("return_full_object"), AICPI_SLICE("true"));
    }
    if (status == AICP_OK) {
        bool one = has_parameter(&path, "page");
        if (!one) {
            put_size(&path);
        }
        status = one ? get(c, &path, reply, err) : all_pages(c, what, &path, reply, err);
        if (one && status == AICP_OK) {
            status = aicpi_litellm_check_json(reply, what->path, err);
        }
    }
    aicpi_strbuf_deinit(&path);
    return status;
}
