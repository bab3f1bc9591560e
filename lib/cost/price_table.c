/* Reads LiteLLM's price map and finds models in it. */
#include "lib/cost/price_internal.h"

#include "lib/base/crypto.h"
#include "lib/base/decimal.h"
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/text.h"

enum {
    MAX_MODELS = 1 << 20,
    MAX_ENTRIES = 1024,
    MAX_STEPS = 64,
    MAX_WINDOWS = 256,
    EVERY_DAY = 0xFE,
};

typedef struct parser {
    aicp_price_table *table;
    aicpi_json json;
    aicpi_map names; /* interned key names */
    aicpi_price_entry entries[MAX_ENTRIES];
    size_t count;
    aicpi_price_step steps[MAX_STEPS];
    size_t step_count;
    aicpi_price_window windows[MAX_WINDOWS];
    size_t window_count;
} parser;

/* ---- values ---- */

static bool out_of_memory(parser *p) {
    return aicpi_json_fail(&p->json, AICP_ERR_NOMEM, p->json.pos, "out of memory");
}

static const char *copy_string(parser *p, aicpi_slice text) {
    const char *copy = aicpi_arena_strndup(&p->table->arena, text.data, text.len);
    if (copy == NULL) {
        (void)out_of_memory(p);
        return "";
    }
    return copy;
}

static aicpi_slice intern(parser *p, aicpi_slice name) {
    aicpi_map_slot *found = aicpi_map_find(&p->names, name.data, name.len);
    if (found != NULL) {
        return found->key;
    }
    aicpi_slice copy = aicpi_slice_of(copy_string(p, name), name.len);
    bool inserted;
    if (!aicpi_json_ok(&p->json) ||
        aicpi_map_put(&p->names, copy.data, copy.len, &inserted) == NULL) {
        (void)out_of_memory(p);
    }
    return copy;
}

/* Decimal text of a number or of a number in a string. */
static bool read_decimal(parser *p, uint32_t scale, int64_t *out, bool *exact) {
    aicpi_slice text = {NULL, 0};
    size_t at = aicpi_json_offset(&p->json);
    bool ok = aicpi_json_peek(&p->json) == AICPI_JSON_STRING ? aicpi_json_string(&p->json, &text)
                                                             : aicpi_json_number(&p->json, &text);
    aicp_error err;
    if (ok) {
        aicp_status status = aicpi_decimal_parse(text, scale, out, exact, &err);
        if (status != AICP_OK) {
            return aicpi_json_fail(&p->json, status, at, "%s", err.message);
        }
        if (*out < 0) {
            return aicpi_json_fail(&p->json, AICP_ERR_RANGE, at, "negative number");
        }
    }
    return ok;
}

static int64_t read_tokens(parser *p) {
    int64_t tokens = -1;
    aicpi_json_type type = aicpi_json_peek(&p->json);
    if (type != AICPI_JSON_NUMBER && type != AICPI_JSON_STRING) {
        (void)aicpi_json_skip(&p->json);
        return -1;
    }
    return read_decimal(p, 0, &tokens, NULL) ? tokens : -1;
}

static const char *read_text(parser *p) {
    aicpi_slice text;
    if (aicpi_json_peek(&p->json) != AICPI_JSON_STRING) {
        (void)aicpi_json_skip(&p->json);
        return "";
    }
    return aicpi_json_string(&p->json, &text) ? copy_string(p, text) : "";
}

/* ---- prices ---- */

static bool is_price_name(aicpi_slice name) {
    for (size_t i = 0; i + 4 <= name.len; i++) {
        if (memcmp(name.data + i, "cost", 4) == 0) {
            return true;
        }
    }
    static const char prefix[] = "regional_";
    return name.len > sizeof prefix && memcmp(name.data, prefix, sizeof prefix - 1) == 0;
}

static void add_price(parser *p, aicpi_slice name) {
    bool exact = true;
    int64_t femto;
    size_t at = aicpi_json_offset(&p->json);
    if (aicpi_json_peek(&p->json) == AICPI_JSON_NULL) {
        (void)aicpi_json_skip(&p->json);
        return;
    }
    if (!read_decimal(p, AICPI_PRICE_SCALE, &femto, &exact)) {
        return;
    }
    if (p->count == MAX_ENTRIES) {
        (void)aicpi_json_fail(&p->json, AICP_ERR_LIMIT, at, "more than %d prices", MAX_ENTRIES);
        return;
    }
    aicpi_price_key key = aicpi_price_key_parse(name);
    p->table->rounded += !exact;
    p->entries[p->count++] = (aicpi_price_entry){
        .name = intern(p, name),
        .femto = femto,
        .above_tokens = key.above_tokens,
        .rate = (uint8_t)key.rate,
        .tier = (uint8_t)key.tier,
    };
}

/* Copies the entries from `first` on into the table and forgets them. */
static aicpi_price_entry *keep_entries(parser *p, size_t first, size_t *count) {
    *count = p->count - first;
    p->count = first;
    aicpi_price_entry *copy =
        aicpi_arena_alloc(&p->table->arena, *count * sizeof(aicpi_price_entry));
    if (copy == NULL) {
        (void)out_of_memory(p);
        *count = 0;
        return NULL;
    }
    memcpy(copy, p->entries + first, *count * sizeof *copy);
    return copy;
}

/* An object whose numbers are prices; other members are passed over. */
static void read_price_object(parser *p) {
    aicpi_slice name;
    if (aicpi_json_peek(&p->json) != AICPI_JSON_OBJECT) {
        (void)aicpi_json_skip(&p->json);
        return;
    }
    if (!aicpi_json_object(&p->json)) {
        return;
    }
    while (aicpi_json_member(&p->json, &name)) {
        if (aicpi_json_peek(&p->json) == AICPI_JSON_NUMBER) {
            add_price(p, name);
        } else {
            (void)aicpi_json_skip(&p->json);
        }
    }
}

/* [from, to]. */
static void read_range(parser *p, aicpi_price_step *step) {
    int64_t *ends[] = {&step->from, &step->to};
    size_t i = 0;
    if (!aicpi_json_array(&p->json)) {
        return;
    }
    while (aicpi_json_element(&p->json)) {
        if (i < 2) {
            (void)read_decimal(p, 0, ends[i++], NULL);
        } else {
            (void)aicpi_json_skip(&p->json);
        }
    }
}

static void read_step(parser *p) {
    aicpi_slice name;
    size_t first = p->count;
    aicpi_price_step step = {.from = -1, .to = -1};
    if (!aicpi_json_object(&p->json)) {
        return;
    }
    while (aicpi_json_member(&p->json, &name)) {
        if (aicpi_slice_is(name, "range")) {
            read_range(p, &step);
        } else if (is_price_name(name)) {
            add_price(p, name);
        } else {
            (void)aicpi_json_skip(&p->json);
        }
    }
    step.entries = keep_entries(p, first, &step.count);
    if (step.from < 0 || step.to < 0) {
        return; /* stepped by something else than prompt tokens */
    }
    if (p->step_count == MAX_STEPS) {
        (void)aicpi_json_fail(
            &p->json, AICP_ERR_LIMIT, p->json.pos, "more than %d price steps", MAX_STEPS);
        return;
    }
    size_t at = p->step_count++;
    for (; at > 0 && p->steps[at - 1].from > step.from; at--) {
        p->steps[at] = p->steps[at - 1];
    }
    p->steps[at] = step;
}

static void read_steps(parser *p) {
    if (aicpi_json_peek(&p->json) != AICPI_JSON_ARRAY) {
        (void)aicpi_json_skip(&p->json);
        return;
    }
    if (aicpi_json_array(&p->json)) {
        while (aicpi_json_element(&p->json)) {
            read_step(p);
        }
    }
}

/* ---- off-peak hours ---- */

static bool parse_minute(aicpi_slice text, int32_t *minute) {
    uint64_t hours;
    uint64_t minutes;
    if (text.len != 5 || text.data[2] != ':' ||
        !aicpi_parse_u64(aicpi_slice_of(text.data, 2), &hours) ||
        !aicpi_parse_u64(aicpi_slice_of(text.data + 3, 2), &minutes) || hours > 23 ||
        minutes > 59) {
        return false;
    }
    *minute = (int32_t)(hours * 60 + minutes);
    return true;
}

static void add_window(parser *p) {
    aicpi_slice text;
    size_t at = aicpi_json_offset(&p->json);
    aicpi_price_window w = {0, 0, EVERY_DAY};
    if (!aicpi_json_string(&p->json, &text)) {
        return;
    }
    if (text.len != 11 || text.data[5] != '-' ||
        !parse_minute(aicpi_slice_of(text.data, 5), &w.start_minute) ||
        !parse_minute(aicpi_slice_of(text.data + 6, 5), &w.end_minute)) {
        (void)aicpi_json_fail(&p->json, AICP_ERR_PARSE, at, "hours are not \"HH:MM-HH:MM\"");
        return;
    }
    if (p->window_count == MAX_WINDOWS) {
        (void)aicpi_json_fail(&p->json, AICP_ERR_LIMIT, at, "more than %d windows", MAX_WINDOWS);
        return;
    }
    p->windows[p->window_count++] = w;
}

/* "00:00-01:00" or a list of such. */
static void read_hours(parser *p) {
    if (aicpi_json_peek(&p->json) == AICPI_JSON_STRING) {
        add_window(p);
    } else if (aicpi_json_array(&p->json)) {
        while (aicpi_json_element(&p->json)) {
            add_window(p);
        }
    }
}

static uint32_t read_weekdays(parser *p) {
    uint32_t days = 0;
    if (aicpi_json_array(&p->json)) {
        while (aicpi_json_element(&p->json)) {
            int64_t day = 0;
            if (aicpi_json_int64(&p->json, &day) && day >= 1 && day <= 7) {
                days |= 1U << day;
            }
        }
    }
    return days;
}

static void read_windows(parser *p) {
    aicpi_slice name;
    if (!aicpi_json_array(&p->json)) {
        return;
    }
    while (aicpi_json_element(&p->json)) {
        size_t first = p->window_count;
        uint32_t days = EVERY_DAY;
        if (!aicpi_json_object(&p->json)) {
            return;
        }
        while (aicpi_json_member(&p->json, &name)) {
            if (aicpi_slice_is(name, "hours_utc")) {
                read_hours(p);
            } else if (aicpi_slice_is(name, "weekdays")) {
                days = read_weekdays(p);
            } else {
                (void)aicpi_json_skip(&p->json);
            }
        }
        for (size_t i = first; i < p->window_count; i++) {
            p->windows[i].weekdays = days;
        }
    }
}

/* Zones of weekdays that the map uses; none of them has summer time. */
static bool zone_offset(aicpi_slice zone, int32_t *minutes) {
    static const struct {
        const char *name;
        int32_t minutes;
    } zones[] = {
        {"UTC", 0},
        {"Asia/Shanghai", 480},
        {"Asia/Singapore", 480},
        {"Asia/Tokyo", 540},
    };
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        if (aicpi_slice_is(zone, zones[i].name)) {
            *minutes = zones[i].minutes;
            return true;
        }
    }
    return false;
}

static void read_off_peak(parser *p, aicp_price *price) {
    aicpi_slice name;
    aicpi_slice zone;
    size_t first = p->count;
    bool known_zone = true;
    p->window_count = 0;
    aicpi_price_off_peak off = {0};
    if (aicpi_json_peek(&p->json) != AICPI_JSON_OBJECT) {
        (void)aicpi_json_skip(&p->json);
        return;
    }
    if (!aicpi_json_object(&p->json)) {
        return;
    }
    while (aicpi_json_member(&p->json, &name)) {
        if (aicpi_slice_is(name, "hours_utc")) {
            read_hours(p);
        } else if (aicpi_slice_is(name, "windows")) {
            read_windows(p);
        } else if (aicpi_slice_is(name, "weekday_timezone")) {
            known_zone = aicpi_json_string(&p->json, &zone) &&
                         zone_offset(zone, &off.weekday_offset_minutes);
        } else if (is_price_name(name)) {
            add_price(p, name);
        } else {
            (void)aicpi_json_skip(&p->json);
        }
    }
    off.entries = keep_entries(p, first, &off.count);
    off.windows = aicpi_arena_alloc(&p->table->arena, p->window_count * sizeof(aicpi_price_window));
    price->off_peak = aicpi_arena_alloc(&p->table->arena, sizeof off);
    if (off.windows == NULL || price->off_peak == NULL) {
        (void)out_of_memory(p);
        return;
    }
    memcpy(off.windows, p->windows, p->window_count * sizeof *off.windows);
    /* In a zone that is not known here the full price is the safe answer. */
    off.window_count = known_zone ? p->window_count : 0;
    *price->off_peak = off;
}

/* ---- models ---- */

static void read_field(parser *p, aicp_price *price, aicpi_slice name, int64_t *max_tokens) {
    if (aicpi_slice_is(name, "litellm_provider")) {
        price->provider = read_text(p);
    } else if (aicpi_slice_is(name, "mode")) {
        price->mode = read_text(p);
    } else if (aicpi_slice_is(name, "deprecation_date")) {
        price->deprecation_date = read_text(p);
    } else if (aicpi_slice_is(name, "max_input_tokens")) {
        price->max_input_tokens = read_tokens(p);
    } else if (aicpi_slice_is(name, "max_output_tokens")) {
        price->max_output_tokens = read_tokens(p);
    } else if (aicpi_slice_is(name, "max_tokens")) {
        *max_tokens = read_tokens(p);
    } else if (aicpi_slice_is(name, "tiered_pricing")) {
        read_steps(p);
    } else if (aicpi_slice_is(name, "off_peak_pricing")) {
        read_off_peak(p, price);
    } else if (
        aicpi_slice_is(name, "provider_specific_entry") ||
        aicpi_slice_is(name, "search_context_cost_per_query")) {
        read_price_object(p);
    } else if (
        aicpi_slice_is(name, "supports_reasoning") &&
        aicpi_json_peek(&p->json) == AICPI_JSON_BOOL) {
        (void)aicpi_json_bool(&p->json, &price->reasoning);
    } else if (is_price_name(name) && aicpi_json_peek(&p->json) != AICPI_JSON_OBJECT) {
        add_price(p, name);
    } else {
        (void)aicpi_json_skip(&p->json);
    }
}

static bool index_price(aicp_price_table *t, size_t index) {
    bool inserted;
    const aicp_price *price = &t->prices[index];
    aicpi_map_slot *slot = aicpi_map_put(&t->by_key, price->key, strlen(price->key), &inserted);
    if (slot == NULL) {
        return false;
    }
    slot->value.u64 = index + 1;
    return price->provider[0] == '\0' ||
           aicpi_map_put(&t->providers, price->provider, strlen(price->provider), &inserted) !=
               NULL;
}

static aicp_price *new_price(aicp_price_table *t, const char *key) {
    if (!aicpi_grow(
            &t->allocator, (void **)&t->prices, &t->capacity, t->count, sizeof *t->prices)) {
        return NULL;
    }
    aicp_price *price = &t->prices[t->count];
    *price = (aicp_price){
        .table = t,
        .key = key,
        .provider = "",
        .mode = "",
        .deprecation_date = "",
        .max_input_tokens = -1,
        .max_output_tokens = -1,
    };
    return price;
}

/* Providers whose cached input costs a share of the input price when the map names no price for it.
 */
static const struct {
    const char *provider;
    int32_t permille;
} default_cache_read[] = {
    {"fireworks_ai", 500},
};

static void add_default_cache_read(parser *p, const aicp_price *price) {
    const aicpi_price_entry *input = NULL;
    for (size_t i = 0; i < p->count; i++) {
        const aicpi_price_entry *e = &p->entries[i];
        if (e->rate == AICPI_RATE_CACHE_READ && e->tier == AICP_TIER_STANDARD) {
            return;
        }
        if (e->rate == AICPI_RATE_INPUT && e->tier == AICP_TIER_STANDARD && e->above_tokens == 0) {
            input = e;
        }
    }
    for (size_t i = 0; i < sizeof default_cache_read / sizeof default_cache_read[0]; i++) {
        if (input != NULL && p->count < MAX_ENTRIES &&
            strcmp(price->provider, default_cache_read[i].provider) == 0) {
            p->entries[p->count] = *input;
            p->entries[p->count].rate = AICPI_RATE_CACHE_READ;
            p->entries[p->count].name = aicpi_slice_cstr("cache_read_input_token_cost");
            p->entries[p->count].femto = (int64_t)aicpi_decimal_round(
                (aicpi_int128)input->femto * default_cache_read[i].permille, 3);
            p->count++;
            return;
        }
    }
}

static void read_model(parser *p, aicpi_slice key) {
    aicp_price_table *t = p->table;
    aicpi_slice name;
    int64_t max_tokens = -1;
    p->count = 0;
    p->step_count = 0;
    if (t->count == MAX_MODELS) {
        (void)aicpi_json_fail(
            &p->json, AICP_ERR_LIMIT, p->json.pos, "more than %d models", MAX_MODELS);
        return;
    }
    aicp_price *price = new_price(t, copy_string(p, key));
    if (price == NULL) {
        (void)out_of_memory(p);
        return;
    }
    if (!aicpi_json_object(&p->json)) {
        return;
    }
    while (aicpi_json_member(&p->json, &name)) {
        read_field(p, price, name, &max_tokens);
    }
    price->max_output_tokens = price->max_output_tokens < 0 ? max_tokens : price->max_output_tokens;
    price->inclusive_steps = strcmp(price->provider, "xai") == 0;
    add_default_cache_read(p, price);
    price->entries = keep_entries(p, 0, &price->count);
    price->steps = aicpi_arena_alloc(&t->arena, p->step_count * sizeof(aicpi_price_step));
    if (price->steps == NULL) {
        (void)out_of_memory(p);
        return;
    }
    memcpy(price->steps, p->steps, p->step_count * sizeof *price->steps);
    price->step_count = p->step_count;
    if (aicpi_json_ok(&p->json) && !index_price(t, t->count++)) {
        (void)out_of_memory(p);
    }
}

static aicp_status read_map(parser *p, const char *data, size_t len, aicp_error *err) {
    aicpi_arena scratch;
    aicpi_slice key;
    aicpi_arena_init(&scratch, &p->table->allocator, 64 * 1024, 0);
    aicpi_map_init(&p->names, &p->table->allocator);
    aicpi_json_init(&p->json, &scratch, data, len, 0);
    if (aicpi_json_object(&p->json)) {
        while (aicpi_json_member(&p->json, &key)) {
            if (aicpi_slice_is(key, "sample_spec") ||
                aicpi_slice_is(key, "fallback_generalizations")) {
                (void)aicpi_json_skip(&p->json); /* documentation, and rules without prices */
            } else {
                read_model(p, key);
            }
        }
    }
    aicp_status status = aicpi_json_finish(&p->json, err);
    aicpi_map_deinit(&p->names);
    aicpi_arena_deinit(&scratch);
    return status;
}

/* Models of the list that carry prices of their own because they stand in no map. */
static bool add_listed(aicp_price_table *t) {
    size_t n = t->models != NULL ? aicp_model_list_count(t->models) : 0;
    for (size_t i = 0; i < n; i++) {
        aicpi_slice texts[2];
        const char *name = aicp_model_list_name(t->models, i);
        if (!aicpi_model_list_price(t->models, i, &texts[0], &texts[1]) ||
            aicpi_map_find(&t->by_key, name, strlen(name)) != NULL) {
            continue;
        }
        const char *key = aicpi_arena_strndup(&t->arena, name, strlen(name));
        aicpi_price_entry *entries = aicpi_arena_calloc(&t->arena, 2, sizeof *entries);
        aicp_price *price = key != NULL && entries != NULL ? new_price(t, key) : NULL;
        if (price == NULL) {
            return false;
        }
        static const char *const names[] = {"input_cost_per_token", "output_cost_per_token"};
        for (size_t k = 0; k < 2; k++) {
            if (aicpi_decimal_parse(texts[k], AICPI_PRICE_SCALE, &entries[k].femto, NULL, NULL) ==
                AICP_OK) {
                entries[k].name = aicpi_slice_cstr(names[k]);
                entries[k].rate = (uint8_t)(k == 0 ? AICPI_RATE_INPUT : AICPI_RATE_OUTPUT);
            }
        }
        price->entries = entries;
        price->count = 2;
        price->mode = "chat";
        if (!index_price(t, t->count++)) {
            return false;
        }
    }
    return true;
}

/* ---- handle ---- */

static aicp_price_table *table_new(const aicp_allocator *allocator) {
    aicp_allocator a = aicpi_allocator(allocator);
    aicp_price_table *t = aicpi_calloc(&a, 1, sizeof *t);
    if (t != NULL) {
        t->allocator = a;
        aicpi_ref_init(&t->ref);
        aicpi_arena_init(&t->arena, &a, 256 * 1024, 0);
        aicpi_map_init(&t->by_key, &a);
        aicpi_map_init(&t->providers, &a);
    }
    return t;
}

void aicp_price_table_options_init(aicp_price_table_options *options, size_t size) {
    if (options != NULL && size >= sizeof options->size) {
        memset(options, 0, size);
        options->size = size;
    }
}

static aicp_status fill_table(aicp_price_table *t, const char *data, size_t len, aicp_error *err) {
    parser *p = aicpi_calloc(&t->allocator, 1, sizeof *p);
    if (p == NULL) {
        return aicpi_nomem(err);
    }
    p->table = t;
    aicp_status status = read_map(p, data, len, err);
    aicpi_free(&t->allocator, p);
    if (status != AICP_OK) {
        return aicpi_error_prefix(err, status, "price map");
    }
    return add_listed(t) ? AICP_OK : aicpi_nomem(err);
}

static void set_version(aicp_price_table *t, const char *version, const char *data, size_t len) {
    if (version != NULL) {
        memcpy(t->version, version, strlen(version) + 1);
        return;
    }
    char hex[2 * AICPI_SHA256_SIZE + 1];
    aicpi_sha256_hex(data, len, hex);
    memcpy(t->version, hex, 16);
}

aicp_status aicp_price_table_parse(
    const char *data,
    size_t len,
    const aicp_price_table_options *options,
    aicp_price_table **out,
    aicp_error *err) {
    aicp_price_table_options o;
    *out = NULL;
    aicp_status status = aicpi_options_copy(&o, sizeof o, options, "aicp_price_table_options", err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_price_table *t = table_new(o.allocator);
    if (t == NULL) {
        return aicpi_nomem(err);
    }
    if (o.version != NULL && strlen(o.version) >= sizeof t->version) {
        aicp_price_table_free(t);
        return aicpi_fail(
            err, AICP_ERR_INVALID, "version is longer than %zu bytes", sizeof t->version - 1);
    }
    set_version(t, o.version, data, len);
    t->valid_from_ns = o.valid_from_ns;
    t->base = o.base != NULL ? aicp_price_table_ref(o.base) : NULL;
    t->models = o.models != NULL ? aicp_model_list_ref(o.models) : NULL;
    status = fill_table(t, data, len, err);
    if (status != AICP_OK) {
        aicp_price_table_free(t);
        return status;
    }
    *out = t;
    return AICP_OK;
}

aicp_price_table *aicp_price_table_ref(aicp_price_table *table) {
    aicpi_ref_get(&table->ref);
    return table;
}

void aicp_price_table_free(aicp_price_table *table) {
    if (table == NULL || !aicpi_ref_put(&table->ref)) {
        return;
    }
    aicp_allocator a = table->allocator;
    aicp_price_table_free(table->base);
    aicp_model_list_free(table->models);
    aicpi_map_deinit(&table->by_key);
    aicpi_map_deinit(&table->providers);
    aicpi_arena_deinit(&table->arena);
    aicpi_free(&a, table->prices);
    aicpi_free(&a, table);
}

size_t aicp_price_table_count(const aicp_price_table *table) {
    return table->count;
}

size_t aicp_price_table_rounded(const aicp_price_table *table) {
    return table->rounded;
}

const char *aicp_price_table_version(const aicp_price_table *table) {
    return table->version;
}

const aicp_price *aicp_price_table_at(const aicp_price_table *table, size_t index) {
    return index < table->count ? &table->prices[index] : NULL;
}
