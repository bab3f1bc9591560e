/* Lists: filters, sort, search, pages, facets, CSV, and who sees what. */
#include "unit/service_api/service.h"

#include <stdlib.h>
#include <string.h>

/* Names of the rows, joined by spaces, in a static buffer. */
static const char *names(service *s, const char *who, const char *query) {
    static char text[4096];
    char path[8192];
    (void)snprintf(path, sizeof path, "/api/v1/widgets%s", query);
    reply r = call_as(s, who, "GET", path, NULL, NULL);
    cr_assert_eq(r.status, 200, "%s: %d %s", query, r.status, r.body);
    text[0] = '\0';
    for (size_t i = 0; i < json_object_array_length(r.json); i++) {
        const char *name = aicps_text(json_object_array_get_idx(r.json, i), "name").data;
        size_t n = strlen(text);
        (void)snprintf(text + n, sizeof text - n, "%s%s", i ? " " : "", name);
    }
    reply_free(&r);
    return text;
}

static void fill(service *s) {
    make_widget(
        s,
        0,
        "{\"name\":\"a\",\"size\":3,\"color\":\"blue\",\"price\":1.5,\"tags\":[\"x\",\"y\"]}");
    make_widget(s, 0, "{\"name\":\"b\",\"size\":1,\"color\":\"red\",\"due\":\"2026-01-01\"}");
    make_widget(s, 0, "{\"name\":\"c\",\"color\":\"red\",\"is_active\":false,\"price\":0}");
    make_widget(s, 0, "{\"name\":\"d\",\"size\":1,\"color\":\"green\",\"tags\":[\"y\\\"z\"]}");
    make_widget(s, 0, "{\"name\":\"E_%!\",\"size\":0}");
}

ON_SERVICE(api_list, filters_choose_rows) {
    fill(s);
    cr_expect_str_eq(names(s, "root", "?sort=name&color=red&is_active=true"), "E_%! b");
    cr_expect_str_eq(names(s, "root", "?sort=name&color=red&color=blue"), "E_%! a b c");
    cr_expect_str_eq(names(s, "root", "?sort=name&size.gte=1"), "a b d");
    cr_expect_str_eq(names(s, "root", "?sort=name&size.gt=0&size.lt=3"), "b d");
    cr_expect_str_eq(names(s, "root", "?sort=name&size.null=true"), "c");
    cr_expect_str_eq(names(s, "root", "?sort=name&price=1.50"), "a");
    cr_expect_str_eq(names(s, "root", "?sort=name&due.lte=2026-01-01T00:00:00Z"), "b");
    cr_expect_str_eq(names(s, "root", "?sort=name&due.lte=2026-01-01T01:00:00%2B01:00"), "b");
    cr_expect_str_eq(names(s, "root", "?sort=name&tags=y"), "a");
    cr_expect_str_eq(names(s, "root", "?sort=name&tags=y%22z&tags=x"), "a d");
    cr_expect_str_eq(names(s, "root", "?sort=name&name=nobody"), "");
    cr_expect_str_eq(names(s, "root", "?q=e_"), "E_%!");
    cr_expect_str_eq(names(s, "root", "?q=%25"), "E_%!");
    cr_expect_str_eq(names(s, "root", "?q=!"), "E_%!");
    cr_expect_str_eq(names(s, "root", "?q=A"), "a");
}

ON_SERVICE(api_list, text_from_outside_never_becomes_sql) {
    static const char *const EVIL[] = {
        "'",
        "%27%20OR%20%271%27%3D%271",
        "%27%3B%20DROP%20TABLE%20widgets%3B--",
        "%5C",
        "%5C%27",
        "%24%241%24%24",
        "%3F",
        "%2F*",
        "a%27%20UNION%20SELECT%201--",
        NULL};
    static const char *const FIELDS[] = {"name", "team_id", "org_id", "tags", "q", "id"};
    char query[256];
    fill(s);
    for (size_t i = 0; EVIL[i]; i++) {
        for (size_t k = 0; k < sizeof FIELDS / sizeof *FIELDS; k++) {
            (void)snprintf(query, sizeof query, "?%s=%s", FIELDS[k], EVIL[i]);
            cr_expect_str_eq(names(s, "root", query), "", "%s", query);
        }
        static const char *const TYPED[] = {
            "size",
            "color",
            "price",
            "is_active",
            "due",
            "sort",
            "limit",
            "offset",
            "cursor",
            "size.gt",
            "format"};
        for (size_t k = 0; k < sizeof TYPED / sizeof *TYPED; k++) {
            (void)snprintf(query, sizeof query, "/api/v1/widgets?%s=%s", TYPED[k], EVIL[i]);
            reply r = get(s, query);
            cr_expect_eq(r.status, 422, "%s: %d", query, r.status);
            reply_free(&r);
        }
        (void)snprintf(query, sizeof query, "/api/v1/widgets/%s", EVIL[i]);
        reply r = get(s, query);
        cr_expect_eq(r.status, 404, "%s: %d", query, r.status);
        reply_free(&r);
    }
    cr_expect_eq(number_of(s, "SELECT COUNT(*) FROM widgets"), 5);
}

ON_SERVICE(api_list, wrong_parameters_are_422) {
    static const char *const WRONG[] = {
        "unknown=1",
        "size=x",
        "size=1.5",
        "color=pink",
        "limit=0",
        "limit=1001",
        "limit=1&limit=2",
        "offset=-1",
        "sort=slug",
        "sort=name,name",
        "sort=",
        "sort=,",
        "sort=-",
        "name.gt=a",
        "token=x",
        "format=xml",
        "size.null=maybe",
        "cursor=AAAA",
        "q=%FF",
        "q=%00",
        "due=now",
        "size.gt=1&size.gt=2",
        "price=1e999",
        "%FF=1",
        "length=3",
        "fields=color",
        NULL};
    for (size_t i = 0; WRONG[i]; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "/api/v1/widgets?%s", WRONG[i]);
        reply r = get(s, path);
        cr_expect(
            r.status == 422 || (r.status == 400 && strchr(WRONG[i], '%')),
            "%s: %d %s",
            WRONG[i],
            r.status,
            r.body);
        cr_expect(r.json, "%s", r.body);
        reply_free(&r);
    }
}

/* All names, page by page by the Link header. */
static const char *walk(service *s, const char *query) {
    static char text[4096];
    char path[9000];
    text[0] = '\0';
    (void)snprintf(path, sizeof path, "/api/v1/widgets?limit=2&%s", query);
    for (int i = 0; i < 20; i++) {
        reply r = get(s, path);
        cr_assert_eq(r.status, 200, "%s: %s", path, r.body);
        for (size_t k = 0; k < json_object_array_length(r.json); k++) {
            const char *name = aicps_text(json_object_array_get_idx(r.json, k), "name").data;
            size_t n = strlen(text);
            (void)snprintf(text + n, sizeof text - n, "%s", name);
        }
        cr_expect_str_eq(header_of(&r, "X-Total-Count"), "7");
        const char *link = header_of(&r, "Link");
        bool more = link[0] == '<';
        if (more) {
            (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(link + 1, ">"), link + 1);
        }
        reply_free(&r);
        if (!more) {
            break;
        }
    }
    return text;
}

ON_SERVICE(api_list, cursors_visit_each_row_once_in_any_order) {
    static const char *const ROWS[] = {
        "{\"name\":\"a\",\"size\":3,\"color\":\"blue\",\"due\":\"2026-01-02\"}",
        "{\"name\":\"B\",\"size\":1,\"due\":\"2026-01-01\"}",
        "{\"name\":\"c\",\"due\":\"2026-01-01\"}",
        "{\"name\":\"D\",\"size\":1,\"color\":\"blue\"}",
        "{\"name\":\"e\",\"size\":3}",
        "{\"name\":\"F\",\"price\":0.5}",
        "{\"name\":\"g\",\"size\":2}",
    };
    for (size_t i = 0; i < 7; i++) {
        make_widget(s, 0, ROWS[i]);
    }
    cr_expect_str_eq(walk(s, "sort=name"), "BDFaceg");
    cr_expect_str_eq(walk(s, "sort=-name"), "gecaFDB");
    cr_expect_str_eq(walk(s, "sort=created_at"), "aBcDeFg");
    cr_expect_str_eq(walk(s, ""), "gFeDcBa");
    cr_expect_str_eq(walk(s, "sort=size,name"), "BDgaeFc");
    cr_expect_str_eq(walk(s, "sort=-size,name"), "aegBDFc");
    cr_expect_str_eq(walk(s, "sort=color,-name"), "aDgecFB");
    cr_expect_str_eq(walk(s, "sort=due,-size,name"), "BcaegDF");
    reply r = get(s, "/api/v1/widgets?sort=name&offset=5&limit=10");
    cr_expect_eq(json_object_array_length(r.json), 2);
    cr_expect_str_eq(header_of(&r, "X-Total-Count"), "7");
    cr_expect_str_eq(header_of(&r, "Link"), "");
    reply_free(&r);
    r = get(s, "/api/v1/widgets?offset=100");
    REPLY_IS(r, 200);
    cr_expect_str_eq(header_of(&r, "X-Total-Count"), "7");
    reply_free(&r);
}

ON_SERVICE(api_list, a_tampered_cursor_is_refused) {
    fill(s);
    reply r = get(s, "/api/v1/widgets?sort=size,name&limit=2");
    char link[1024];
    (void)snprintf(link, sizeof link, "%s", header_of(&r, "Link"));
    reply_free(&r);
    char *cursor = strstr(link, "cursor=");
    cr_assert(cursor);
    cursor[strcspn(cursor, ">")] = '\0';
    size_t len = strlen(cursor);
    for (size_t i = 7; i < len; i++) {
        static const char OTHER[] = "A_z9-%";
        for (size_t k = 0; k < sizeof OTHER - 1; k++) {
            char path[2048];
            char was = cursor[i];
            cursor[i] = OTHER[k];
            (void)snprintf(path, sizeof path, "/api/v1/widgets?sort=size,name&limit=2&%s", cursor);
            reply t = get(s, path);
            cr_expect(
                t.status == 200 || t.status == 422 || t.status == 400, "%s: %d", path, t.status);
            reply_free(&t);
            cursor[i] = was;
        }
    }
    char path[2048];
    (void)snprintf(path, sizeof path, "/api/v1/widgets?sort=name&%s", cursor);
    r = get(s, path);
    REPLY_IS(r, 422); /* of another sort */
    reply_free(&r);
    (void)snprintf(path, sizeof path, "/api/v1/widgets?sort=size,name&offset=1&%s", cursor);
    r = get(s, path);
    REPLY_IS(r, 422);
    reply_free(&r);
}

ON_SERVICE(api_list, facets_count_under_the_filters) {
    fill(s);
    reply r = get(s, "/api/v1/widgets/facets?fields=color,is_active&size.gte=0");
    REPLY_IS(r, 200);
    cr_expect_str_eq(
        r.body,
        "{\"color\":[{\"value\":\"red\",\"count\":2},{\"value\":\"blue\",\"count\":1},"
        "{\"value\":\"green\",\"count\":1}],\"is_active\":[{\"value\":true,\"count\":4}]}");
    reply_free(&r);
    static const char *const WRONG[] = {
        "", "?fields=", "?fields=name", "?fields=color,,size", "?fields=color&limit=1"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "/api/v1/widgets/facets%s", WRONG[i]);
        r = get(s, path);
        cr_expect_eq(r.status, 422, "%s: %d", path, r.status);
        reply_free(&r);
    }
}

ON_SERVICE(api_list, csv_is_quoted_and_formulas_are_neutralised) {
    make_widget(s, 0, "{\"name\":\"=1+1\",\"token\":\"hidden\",\"price\":-1.5}");
    make_widget(s, 0, "{\"name\":\"a,\\\"b\\\"\\n\",\"tags\":[\"t\"]}");
    make_widget(s, 0, "{\"name\":\"@x\",\"team_id\":\"-2\"}");
    make_widget(s, 0, "{\"name\":\"\\tz\",\"team_id\":\"+2\"}");
    reply r = get(s, "/api/v1/widgets?format=csv&sort=created_at");
    REPLY_IS(r, 200);
    cr_expect_str_eq(header_of(&r, "Content-Type"), "text/csv; charset=utf-8");
    cr_expect(strstr(header_of(&r, "Content-Disposition"), "attachment"));
    cr_expect_eq(strncmp(r.body, "id,name,slug,color,size,ratio,price,", 36), 0, "%s", r.body);
    cr_expect(strstr(r.body, ",\"'=1+1\",,red,,,-1.5,true,"), "%s", r.body);
    cr_expect(strstr(r.body, ",\"a,\"\"b\"\"\n\","), "%s", r.body);
    cr_expect(strstr(r.body, ",\"[\"\"t\"\"]\","), "%s", r.body);
    cr_expect(strstr(r.body, ",\"'@x\","));
    cr_expect(strstr(r.body, ",\"'-2\","));
    cr_expect(strstr(r.body, ",\"'\tz\","));
    cr_expect(strstr(r.body, ",\"'+2\","));
    cr_expect_not(strstr(r.body, "****"));
    cr_expect_not(strstr(r.body, "token"));
    cr_expect_str_eq(r.body + strlen(r.body) - 2, "\r\n");
    reply_free(&r);
}

ON_SERVICE(api_list, a_csv_of_many_pages_has_every_row_once) {
    aicp_error err = {0};
    const char *sql =
        s->store.postgres
            ? "INSERT INTO widgets (id, name, is_active, version, created_at, updated_at)"
              " SELECT 'w' || i, 'n' || i, 1, 1, i / 7, 0 FROM generate_series(1, 2345) AS i"
            : "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2345)"
              " INSERT INTO widgets (id, name, is_active, version, created_at, updated_at)"
              " SELECT 'w' || i, 'n' || i, 1, 1, i / 7, 0 FROM n";
    cr_assert_eq(aicpi_sql_exec(s->db, sql, &err), AICP_OK, "%s", err.message);
    reply r = get(s, "/api/v1/widgets?format=csv");
    size_t lines = 0;
    bool seen[2346] = {false};
    for (char *p = strchr(r.body, '\n'); p && p[1]; p = strchr(p + 1, '\n')) {
        long n = strtol(p + 2, NULL, 10);
        cr_assert(n >= 1 && n <= 2345 && !seen[n], "%ld", n);
        seen[n] = true;
        lines++;
    }
    cr_expect_eq(lines, 2345, "%zu", lines);
    reply_free(&r);
    r = get(s, "/api/v1/widgets?format=csv&limit=501");
    lines = 0;
    for (char *p = r.body; (p = strchr(p, '\n')) != NULL; p++) {
        lines++;
    }
    cr_expect_eq(lines, 502);
    reply_free(&r);
}

ON_SERVICE(api_list, rows_of_others_do_not_exist) {
    static const char *const GROUPS[] = {
        "{\"id\":\"a\",\"name\":\"A\"}", "{\"id\":\"b\",\"name\":\"B\"}"};
    for (size_t i = 0; i < 2; i++) {
        reply r = post(s, "/api/v1/groups", GROUPS[i]);
        REPLY_IS(r, 200);
        reply_free(&r);
    }
    make_widget(s, 0, "{\"name\":\"of-a\",\"org_id\":\"a\",\"color\":\"blue\"}");
    const char *of_b = make_widget(s, 1, "{\"name\":\"of-b\",\"org_id\":\"b\"}");
    make_widget(s, 2, "{\"name\":\"of-t\",\"team_id\":\"t\"}");
    make_widget(s, 3, "{\"name\":\"of-none\"}");
    cr_expect_str_eq(names(s, "root", "?sort=name"), "of-a of-b of-none of-t");
    cr_expect_str_eq(names(s, "ann", ""), "of-a");
    cr_expect_str_eq(names(s, "bob", ""), "of-b");
    cr_expect_str_eq(names(s, "tea", ""), "of-t");
    cr_expect_str_eq(names(s, "ann", "?org_id=b"), "");
    char path[128];
    (void)snprintf(path, sizeof path, "/api/v1/widgets/%s", of_b);
    static const char *const METHODS[] = {"GET", "PUT", "DELETE"};
    for (size_t i = 0; i < 3; i++) {
        reply r = call_as(s, "ann", METHODS[i], path, NULL, i == 1 ? "{\"size\":1}" : NULL);
        REPLY_IS(r, 404);
        reply_free(&r);
    }
    reply r = call_as(s, "ann", "GET", "/api/v1/widgets/facets?fields=color", NULL, NULL);
    cr_expect_str_eq(r.body, "{\"color\":[{\"value\":\"blue\",\"count\":1}]}");
    cr_expect_str_eq(header_of(&r, "X-Total-Count"), "");
    reply_free(&r);
    r = call_as(s, "ann", "GET", "/api/v1/widgets?limit=1", NULL, NULL);
    cr_expect_str_eq(header_of(&r, "X-Total-Count"), "1");
    reply_free(&r);
    /* nobody writes where he cannot read, and a reference must be to something he can see */
    r = call_as(s, "ann", "POST", "/api/v1/widgets", NULL, "{\"name\":\"x\",\"org_id\":\"b\"}");
    REPLY_IS(r, 403);
    reply_free(&r);
    r = call_as(s, "ann", "POST", "/api/v1/widgets", NULL, "{\"name\":\"x\"}");
    REPLY_IS(r, 403);
    reply_free(&r);
    r = call_as(s, "ann", "POST", "/api/v1/widgets", NULL, "{\"name\":\"x\",\"org_id\":\"a\"}");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = call_as(s, "ann", "GET", "/api/v1/groups/b/parts", NULL, NULL);
    REPLY_IS(r, 404);
    reply_free(&r);
}
