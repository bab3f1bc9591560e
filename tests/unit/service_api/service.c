#include "unit/service_api/service.h"

#include "lib/base/alloc.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hook_state hooks;

/* ---- resources ---- */

static const char *const COLORS[] = {"red", "green", "blue", NULL};

static const aicps_field WIDGET_FIELDS[] = {
    {.name = "name",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH | AICPS_UNIQUE,
     .min = 1,
     .max = 40},
    {.name = "slug", .type = AICPS_TEXT, .flags = AICPS_WRITE_ONCE, .pattern = "[a-z0-9-]+"},
    {.name = "color",
     .type = AICPS_ENUM,
     .flags = AICPS_FILTER | AICPS_SORT | AICPS_FACET,
     .values = COLORS,
     .preset = "\"red\""},
    {.name = "size",
     .type = AICPS_INT,
     .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SORT,
     .min = 0,
     .max = 1000,
     .alias = "extent"},
    {.name = "ratio", .type = AICPS_DECIMAL, .flags = AICPS_NULLABLE | AICPS_FILTER},
    {.name = "price", .type = AICPS_MONEY, .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SORT},
    {.name = "is_active",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "true"},
    {.name = "due", .type = AICPS_TIME, .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SORT},
    {.name = "org_id",
     .type = AICPS_ID,
     .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_FACET,
     .ref = "/api/v1/groups"},
    {.name = "team_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE | AICPS_FILTER},
    {.name = "config", .type = AICPS_OBJECT, .preset = "{}"},
    {.name = "tags", .type = AICPS_TEXTS, .flags = AICPS_FILTER, .preset = "[]", .max = 5},
    {.name = "extra", .type = AICPS_JSON, .flags = AICPS_NULLABLE},
    {.name = "token", .type = AICPS_TEXT, .flags = AICPS_SECRET | AICPS_NULLABLE},
    {.name = "env", .type = AICPS_OBJECT, .flags = AICPS_SECRET | AICPS_NULLABLE},
    {.name = "length", .type = AICPS_INT, .flags = AICPS_COMPUTED},
};

static aicp_status check_widget(aicps_change *change, aicp_error *err) {
    (void)err;
    if (change->after && strcmp(aicps_text(change->after, "name").data, "forbidden") == 0) {
        aicps_field_error(change->call, "name", "is a forbidden name");
    }
    return AICP_OK;
}

static aicp_status apply_widget(aicps_change *change, aicp_error *err) {
    (void)change;
    __atomic_fetch_add(&hooks.applied, 1, __ATOMIC_SEQ_CST);
    if (hooks.fail) {
        return AICP_ERR_STATE;
    }
    if (hooks.busy_times > 0) {
        hooks.busy_times--;
        return AICP_ERR_STORE_BUSY;
    }
    (void)err;
    return AICP_OK;
}

static aicp_status
decorate_widgets(aicps_call *call, struct json_object **rows, size_t count, aicp_error *err) {
    (void)call;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        aicps_set(
            rows[i], "length", json_object_new_int64((int64_t)aicps_text(rows[i], "name").len));
    }
    return AICP_OK;
}

static const aicps_resource WIDGETS = {
    .path = "/api/v1/widgets",
    .type = "widget",
    .title = "Widget",
    .table = "widgets",
    .org = "org_id",
    .team = "team_id",
    .verbs = AICPS_CRUD,
    .flags = AICPS_RULES,
    .fields = WIDGET_FIELDS,
    .field_count = sizeof WIDGET_FIELDS / sizeof *WIDGET_FIELDS,
    .check = check_widget,
    .apply = apply_widget,
    .decorate = decorate_widgets,
    .doc = "Things for tests",
};

static const aicps_field GROUP_FIELDS[] = {
    {.name = "id", .type = AICPS_TEXT, .flags = AICPS_WRITE_ONCE | AICPS_FILTER | AICPS_SORT},
    {.name = "name", .type = AICPS_TEXT, .flags = AICPS_REQUIRED | AICPS_SORT},
    {.name = "is_active", .type = AICPS_BOOL, .preset = "true"},
};

static const aicps_resource GROUPS = {
    .path = "/api/v1/groups",
    .type = "group",
    .title = "Group",
    .table = "groups_of_test",
    .org = "id",
    .sort = "name",
    .verbs = AICPS_CRUD,
    .flags = AICPS_SOFT_DELETE,
    .fields = GROUP_FIELDS,
    .field_count = sizeof GROUP_FIELDS / sizeof *GROUP_FIELDS,
};

static const aicps_field PART_FIELDS[] = {
    {.name = "group_id", .type = AICPS_ID, .flags = AICPS_READ_ONLY},
    {.name = "name", .type = AICPS_TEXT, .flags = AICPS_REQUIRED | AICPS_UNIQUE},
};

static const aicps_resource PARTS = {
    .path = "/api/v1/groups/{group_id}/parts",
    .type = "part",
    .title = "Part",
    .table = "parts_of_test",
    .parent = "group_id",
    .parent_path = "/api/v1/groups",
    .delete_status = "removed",
    .verbs = AICPS_CRUD,
    .fields = PART_FIELDS,
    .field_count = sizeof PART_FIELDS / sizeof *PART_FIELDS,
};

static const char *const TABLES[] = {
    "CREATE TABLE groups_of_test (id TEXT PRIMARY KEY, name TEXT NOT NULL, is_active BIGINT,"
    " version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);"
    "CREATE TABLE widgets (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, slug TEXT, color TEXT,"
    " size BIGINT, ratio BIGINT, price BIGINT, is_active BIGINT, due BIGINT,"
    " org_id TEXT REFERENCES groups_of_test (id), team_id TEXT, config TEXT, tags TEXT, extra TEXT,"
    " token TEXT, env TEXT, version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT "
    "NOT NULL);"
    "CREATE TABLE parts_of_test (id TEXT PRIMARY KEY,"
    " group_id TEXT REFERENCES groups_of_test (id), name TEXT NOT NULL, version BIGINT NOT NULL,"
    " created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, UNIQUE (group_id, name));",
};

/* ---- keys of another system ---- */

static const aicps_field KEY_FIELDS[] = {
    {.name = "token", .type = AICPS_TEXT, .flags = AICPS_READ_ONLY | AICPS_REQUIRED | AICPS_SORT},
    {.name = "key_alias", .type = AICPS_TEXT, .flags = AICPS_SEARCH | AICPS_SORT},
    {.name = "spend", .type = AICPS_MONEY, .flags = AICPS_NULLABLE | AICPS_SORT | AICPS_FILTER},
    {.name = "team_id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_FACET},
    {.name = "models", .type = AICPS_TEXTS, .flags = AICPS_FILTER},
    {.name = "secret", .type = AICPS_TEXT, .flags = AICPS_SECRET},
};

static aicp_status list_keys(aicps_call *call, struct json_object **rows, aicp_error *err) {
    static const char TEXT[] =
        "[{\"token\":\"t1\",\"key_alias\":\"alias\",\"spend\":0.5,\"team_id\":\"t\","
        "\"models\":[\"gpt\"]},"
        "{\"token\":\"t2\",\"key_alias\":\"b\",\"spend\":3},"
        "{\"token\":\"t3\",\"spend\":7.25,\"models\":[\"gpt\",\"claude\"],"
        "\"secret\":\"raw\"},{\"token\":\"t4\"}]";
    return aicps_json_parse(call->arena, TEXT, sizeof TEXT - 1, 0, rows, err);
}

static aicp_status
write_key(aicps_change *change, aicpi_slice id, struct json_object **answer, aicp_error *err) {
    char given[256] = "";
    (void)id;
    (void)err;
    if (strcmp(aicps_text(change->after, "key_alias").data, "break") == 0) {
        aicps_send_error(change->call, 502, "litellm", "LiteLLM failed");
        return AICP_ERR_LITELLM_SERVER;
    }
    if (!change->given) {
        return AICP_OK;
    }
    json_object_object_foreach(change->given, key, value) {
        (void)value;
        size_t n = strlen(given);
        (void)snprintf(given + n, sizeof given - n, "%s ", key);
    }
    *answer = json_object_new_object();
    aicps_set(*answer, "token", aicps_json_text(change->before ? "t1" : "t9"));
    aicps_set(*answer, "given", aicps_json_text(given));
    return AICP_OK;
}

static const aicps_source KEY_SOURCE = {.list = list_keys, .write = write_key};

static const aicps_resource KEYS = {
    .path = "/api/v1/keys",
    .type = "key",
    .title = "Key",
    .id = "token",
    .name_field = "key_alias",
    .team = "team_id",
    .verbs = AICPS_CRUD,
    .fields = KEY_FIELDS,
    .field_count = sizeof KEY_FIELDS / sizeof *KEY_FIELDS,
    .source = &KEY_SOURCE,
};

/* ---- special routes ---- */

static void export_log(aicps_call *call) {
    aicps_send_export(call, &aicps_audit_resource, "audit_logs", 10000, 50000);
}

/* A change elsewhere whose process dies before it is concluded. */
static void intend(aicps_call *call) {
    aicp_error err = {0};
    int64_t intent = 0;
    struct json_object *after = json_object_new_object();
    aicps_set(after, "x", json_object_new_int(1));
    aicps_audit_entry e = {
        .action = "create", .resource_type = "key", .resource_id = "k", .after = after};
    aicp_status status = aicps_audit_intend(call, &e, &intent, &err);
    json_object_put(after);
    if (status == AICP_OK) {
        aicps_send_json(call, 200, json_object_new_object());
    } else {
        aicps_send_status(call, status, &err);
    }
}

static void echo(aicps_call *call) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "rest", aicps_json_slice(call->params[0]));
    aicps_set(o, "body", json_object_get(call->body));
    aicps_send_json(call, 200, o);
}

static void summary(aicps_call *call) {
    aicps_send_json(call, 200, aicps_json_text("summary"));
}

static const aicps_route ROUTES[] = {
    {.method = "POST",
     .pattern = "/api/v1/echo/{path...}",
     .handler = echo,
     .flags = AICPS_BODY_OPTIONAL,
     .summary = "Echo"},
    {.method = "GET",
     .pattern = "/api/v1/widgets/summary",
     .handler = summary,
     .summary = "Summary"},
    {.method = "GET", .pattern = "/api/v1/audit-logs/export", .handler = export_log},
    {.method = "POST", .pattern = "/api/v1/intent", .handler = intend},
    {.method = "GET",
     .pattern = "/health",
     .handler = summary,
     .flags = AICPS_PUBLIC | AICPS_NO_STORE,
     .summary = "Health"},
    {.method = "POST",
     .pattern = "/api/v1/robots",
     .handler = summary,
     .flags = AICPS_SERVICE | AICPS_NO_BODY,
     .summary = "For services"},
};

/* ---- who ---- */

static const aicps_org_role ANN_ROLES[] = {{"a", "org_admin"}};
static const aicps_identity CALLERS[] = {
    {.id = "root", .email = "root@example.org", .role = "admin", .platform_admin = true},
    {.id = "ann", .role = "user", .org_roles = ANN_ROLES, .org_role_count = 1},
    {.id = "bob", .role = "user", .org = "b"},
    {.id = "tea", .role = "user", .team = "t"},
    {.id = "guest", .role = "user", .org = "a"},
    {.id = "robot", .role = "service", .platform_admin = true},
};

static bool authenticate(aicps_call *call, const aicps_identity **who) {
    aicpi_slice h = aicps_http_header(call->req, "authorization");
    for (size_t i = 0; i < sizeof CALLERS / sizeof *CALLERS; i++) {
        if (h.len > 7 && aicpi_slice_is(aicpi_slice_of(h.data + 7, h.len - 7), CALLERS[i].id)) {
            *who = &CALLERS[i];
        }
    }
    return true;
}

static bool authorise(
    aicps_call *call, const char *action, const char *resource_type, struct json_object *row) {
    (void)resource_type;
    (void)row;
    return strcmp(call->who->id, "guest") != 0 || strcmp(action, "list") == 0 ||
           strcmp(action, "get") == 0;
}

/* ---- the service ---- */

static void ok(aicp_status status, const aicp_error *err) {
    cr_assert(status == AICP_OK, "%s", err->message);
}

static void log_line(void *user, int32_t level, const char *module, const char *message) {
    (void)user;
    if (level >= AICP_LOG_WARN && getenv("AICP_TEST_LOG")) {
        fprintf(stderr, "%s: %s\n", module, message);
    }
}

static void start(service *s, const unsigned char *key) {
    static const char *const ORIGINS[] = {"https://ui.example", NULL};
    aicp_error err = {0};
    aicps_api_options o = {
        .store_url = s->store.url,
        .title = "Test",
        .version = "1",
        .secret_key = key,
        .cors_origins = ORIGINS,
        .authenticate = authenticate,
        .authorise = authorise,
        .log = log_line,
    };
    ok(aicps_api_new(&o, &s->api, &err), &err);
    ok(aicps_api_add_resource(s->api, &GROUPS, &err), &err);
    ok(aicps_api_add_resource(s->api, &WIDGETS, &err), &err);
    ok(aicps_api_add_resource(s->api, &PARTS, &err), &err);
    ok(aicps_api_add_resource(s->api, &KEYS, &err), &err);
    ok(aicps_api_add_resource(s->api, &aicps_audit_resource, &err), &err);
    ok(aicps_api_add_routes(s->api, ROUTES, sizeof ROUTES / sizeof *ROUTES, &err), &err);
    aicps_http_options h = {
        .io_threads = 1,
        .workers = 4,
        .handler = aicps_api_handle,
        .is_inline = aicps_api_is_inline,
        .body_max_for = aicps_api_body_max,
        .worker_open = aicps_api_worker_open,
        .worker_close = aicps_api_worker_close,
        .user = s->api,
        .log = log_line,
    };
    ok(aicps_http_start(&h, &s->server, &err), &err);
    (void)snprintf(
        s->base, sizeof s->base, "http://127.0.0.1:%u", (unsigned)aicps_http_port(s->server));
}

static void stop(service *s) {
    aicps_http_drain(s->server, 2000);
    aicps_http_free(s->server);
    aicps_api_free(s->api);
}

void service_open(service *s, bool postgres) {
    static const unsigned char KEY[32] = {1, 2, 3};
    aicp_error err = {0};
    memset(s, 0, sizeof *s);
    memset(&hooks, 0, sizeof hooks);
    test_store_open(&s->store, postgres);
    ok(aicpi_sql_open(s->store.url, strlen(s->store.url), NULL, &s->db, &err), &err);
    ok(aicps_api_migrate(s->db, &err), &err);
    ok(aicps_migrate(s->db, "test", TABLES, 1, &err), &err);
    start(s, KEY);
}

void service_keyless(service *s) {
    stop(s);
    start(s, NULL);
}

void service_close(service *s) {
    stop(s);
    aicpi_sql_free(s->db);
    test_store_close(&s->store);
}

/* ---- the client ---- */

typedef struct text {
    char *data;
    size_t len;
} text;

static size_t collect(char *data, size_t size, size_t count, void *user) {
    text *t = user;
    t->data = realloc(t->data, t->len + size * count + 1);
    memcpy(t->data + t->len, data, size * count);
    t->len += size * count;
    t->data[t->len] = '\0';
    return size * count;
}

static struct curl_slist *add_lines(struct curl_slist *list, const char *lines) {
    while (lines && *lines) {
        char line[512];
        size_t n = strcspn(lines, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)n, lines);
        list = curl_slist_append(list, line);
        lines += n + (lines[n] == '\n');
    }
    return list;
}

reply call_as(
    service *s,
    const char *who,
    const char *method,
    const char *path,
    const char *headers,
    const char *body) {
    CURL *c = curl_easy_init();
    char url[16384];
    char line[128];
    text answer = {0};
    text head = {0};
    (void)snprintf(url, sizeof url, "%s%s", s->base, path);
    struct curl_slist *list = NULL;
    if (who) {
        (void)snprintf(line, sizeof line, "Authorization: Bearer %s", who);
        list = curl_slist_append(list, line);
    }
    if (body && (!headers || !strstr(headers, "Content-Type"))) {
        list = curl_slist_append(list, "Content-Type: application/json");
    }
    list = add_lines(list, headers);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, collect);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, &head);
    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    }
    if (body) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
    }
    CURLcode code = curl_easy_perform(c);
    cr_assert(code == CURLE_OK, "%s %s: %s", method, path, curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(c);
    curl_slist_free_all(list);
    reply r = {.status = (int)status, .body = answer.data, .headers = head.data};
    r.body = r.body ? r.body : strdup("");
    r.json = json_tokener_parse(r.body);
    return r;
}

reply get(service *s, const char *path) {
    return call_as(s, "root", "GET", path, NULL, NULL);
}
reply post(service *s, const char *path, const char *body) {
    return call_as(s, "root", "POST", path, NULL, body);
}
reply put(service *s, const char *path, const char *body) {
    return call_as(s, "root", "PUT", path, NULL, body);
}
reply delete_at(service *s, const char *path) {
    return call_as(s, "root", "DELETE", path, NULL, NULL);
}

void reply_free(reply *r) {
    free(r->body);
    free(r->headers);
    json_object_put(r->json);
}

const char *header_of(const reply *r, const char *name) {
    static char value[9000];
    size_t n = strlen(name);
    value[0] = '\0';
    for (const char *line = r->headers; line && *line; line = strchr(line, '\n') + 1) {
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            size_t len = strcspn(line + n + 1, "\r\n");
            (void)snprintf(value, sizeof value, "%.*s", (int)len - 1, line + n + 2);
        }
        if (!strchr(line, '\n')) {
            break;
        }
    }
    return value;
}

int64_t number_of(service *s, const char *sql) {
    aicp_error err = {0};
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    ok(aicpi_sql_prepare(s->db, sql, &q, &err), &err);
    ok(aicpi_sql_step(q, &row, &err), &err);
    int64_t n = row ? aicpi_sql_i64(q, 0) : -1;
    aicpi_sql_reset(q);
    return n;
}

const char *make_widget(service *s, int slot, const char *body) {
    static char ids[4][64];
    reply r = post(s, "/api/v1/widgets", body);
    REPLY_IS(r, 200);
    (void)snprintf(ids[slot], sizeof ids[slot], "%s", aicps_text(r.json, "id").data);
    reply_free(&r);
    return ids[slot];
}
