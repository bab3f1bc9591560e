/* One model's prices, and the order in which a name is looked up. */
#include "lib/cost/price_internal.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

enum { MAX_NAME = 512, MAX_LAYERS = 16 };

/* ---- getters ---- */

const char *aicp_price_key(const aicp_price *price) {
    return price->key;
}

const char *aicp_price_provider(const aicp_price *price) {
    return price->provider;
}

const char *aicp_price_mode(const aicp_price *price) {
    return price->mode;
}

const char *aicp_price_version(const aicp_price *price) {
    return price->table->version;
}

int64_t aicp_price_valid_from_ns(const aicp_price *price) {
    return price->table->valid_from_ns;
}

int64_t aicp_price_max_input_tokens(const aicp_price *price) {
    return price->max_input_tokens;
}

int64_t aicp_price_max_output_tokens(const aicp_price *price) {
    return price->max_output_tokens;
}

const char *aicp_price_deprecation_date(const aicp_price *price) {
    return price->deprecation_date;
}

int32_t aicp_price_known(const aicp_price *price) {
    return price->count > 0 || price->step_count > 0;
}

aicp_status aicp_price_get(
    const aicp_price *price, const char *data, size_t len, int64_t *femto_usd, aicp_error *err) {
    *femto_usd = 0;
    for (size_t i = 0; i < price->count; i++) {
        if (aicpi_slice_eq(price->entries[i].name, aicpi_slice_of(data, len))) {
            *femto_usd = price->entries[i].femto;
            return AICP_OK;
        }
    }
    return aicpi_fail(
        err,
        AICP_ERR_UNKNOWN_PRICE,
        "%s has no price \"%.*s\"",
        price->key,
        (int)(len > 80 ? 80 : len),
        data);
}

/* ---- look-up ---- */

static const aicp_price *by_key(const aicp_price_table *table, aicpi_slice key) {
    for (int layer = 0; table != NULL && layer < MAX_LAYERS; layer++, table = table->base) {
        const aicpi_map_slot *slot = aicpi_map_find(&table->by_key, key.data, key.len);
        if (slot != NULL) {
            return &table->prices[slot->value.u64 - 1];
        }
    }
    return NULL;
}

static bool is_provider(const aicp_price_table *table, aicpi_slice name) {
    for (int layer = 0; table != NULL && layer < MAX_LAYERS; layer++, table = table->base) {
        if (aicpi_map_find(&table->providers, name.data, name.len) != NULL) {
            return true;
        }
    }
    return false;
}

/* "bedrock" stands for "bedrock_converse", "vertex_ai" for "vertex_ai-anthropic_models" and so on.
 */
static bool provider_fits(const aicp_price *price, aicpi_slice provider) {
    size_t n = strlen(price->provider);
    static const char text_completion[] = "text-completion-";
    const char *own = price->provider;
    if (n > sizeof text_completion &&
        memcmp(own, text_completion, sizeof text_completion - 1) == 0) {
        own += sizeof text_completion - 1;
        n -= sizeof text_completion - 1;
    }
    return n >= provider.len && memcmp(own, provider.data, provider.len) == 0 &&
           (n == provider.len || own[provider.len] == '_' || own[provider.len] == '-');
}

/* Regions and geographies that may stand in front of a name. */
static size_t region_length(aicpi_slice name) {
    static const char *const dotted[] = {
        "us.", "eu.", "apac.", "global.", "au.", "jp.", "ca.", "us-gov."};
    for (size_t i = 0; i < sizeof dotted / sizeof dotted[0]; i++) {
        size_t n = strlen(dotted[i]);
        if (name.len > n && memcmp(name.data, dotted[i], n) == 0) {
            return n;
        }
    }
    static const char *const slashed[] = {
        "eu/", "us/", "global/", "global-standard/", "us-gov/", "apac/", "au/"};
    for (size_t i = 0; i < sizeof slashed / sizeof slashed[0]; i++) {
        size_t n = strlen(slashed[i]);
        if (name.len > n && memcmp(name.data, slashed[i], n) == 0) {
            return n;
        }
    }
    /* "us-east-1/", "ap-northeast-1/": letters, '-', letters, '-', a digit. */
    const char *slash = memchr(name.data, '/', name.len);
    size_t n = slash != NULL ? (size_t)(slash - name.data) : 0;
    if (n < 8 || n > 20 || !aicpi_is_digit(name.data[n - 1]) || name.data[n - 2] != '-') {
        return 0;
    }
    for (size_t i = 0; i + 2 < n; i++) {
        if (!(name.data[i] >= 'a' && name.data[i] <= 'z') && name.data[i] != '-') {
            return 0;
        }
    }
    return n + 1;
}

static aicpi_slice without(aicpi_slice name, size_t n) {
    return aicpi_slice_of(name.data + n, name.len - n);
}

static const aicp_price *
joined(const aicp_price_table *table, aicpi_slice provider, aicpi_slice name) {
    char key[MAX_NAME];
    if (provider.len + 1 + name.len > sizeof key) {
        return NULL;
    }
    memcpy(key, provider.data, provider.len);
    key[provider.len] = '/';
    memcpy(key + provider.len + 1, name.data, name.len);
    return by_key(table, aicpi_slice_of(key, provider.len + 1 + name.len));
}

/* Providers of names that the map lists with the provider in front. */
static const char *const home[][2] = {
    {"claude-", "anthropic"},
    {"codestral-", "mistral"},
    {"command-", "cohere"},
    {"deepseek-", "deepseek"},
    {"gemini-", "gemini"},
    {"grok-", "xai"},
    {"magistral-", "mistral"},
    {"mistral-", "mistral"},
    {"sonar", "perplexity"},
};

static const aicp_price *at_home(const aicp_price_table *table, aicpi_slice name) {
    for (size_t i = 0; i < sizeof home / sizeof home[0]; i++) {
        size_t n = strlen(home[i][0]);
        if (name.len > n && memcmp(name.data, home[i][0], n) == 0) {
            return joined(table, aicpi_slice_cstr(home[i][1]), name);
        }
    }
    return NULL;
}

static const aicp_price *bare(const aicp_price_table *table, aicpi_slice name) {
    const aicp_price *price = by_key(table, name);
    return price != NULL ? price : at_home(table, name);
}

/* Without the provider in front: only a price of that provider will do. */
static const aicp_price *
of_provider(const aicp_price_table *table, aicpi_slice provider, aicpi_slice rest) {
    const aicp_price *price = by_key(table, rest);
    if (price != NULL && provider_fits(price, provider)) {
        return price;
    }
    return NULL;
}

static const aicp_price *with_provider(const aicp_price_table *table, aicpi_slice name) {
    const char *slash = memchr(name.data, '/', name.len);
    size_t n = slash != NULL ? (size_t)(slash - name.data) : 0;
    aicpi_slice provider = aicpi_slice_of(name.data, n);
    if (n == 0 || !is_provider(table, provider)) {
        return NULL;
    }
    aicpi_slice rest = without(name, n + 1);
    const aicp_price *price = of_provider(table, provider, rest);
    size_t region = region_length(rest);
    while (price == NULL && region > 0) {
        rest = without(rest, region);
        price = joined(table, provider, rest);
        price = price != NULL ? price : of_provider(table, provider, rest);
        region = region_length(rest);
    }
    return price;
}

/* A name of the configuration: its key in the map. *listed says that the list knows the name. */
static const aicp_price *from_list(const aicp_price_table *table, aicpi_slice name, bool *listed) {
    for (const aicp_price_table *t = table; t != NULL; t = t->base) {
        size_t index;
        if (t->models == NULL ||
            aicp_model_list_find(t->models, name.data, name.len, &index, NULL) != AICP_OK) {
            continue;
        }
        const char *key = aicp_model_list_price_key(t->models, index);
        const aicp_price *price = by_key(table, aicpi_slice_cstr(key));
        *listed = true;
        return price != NULL ? price : by_key(table, name);
    }
    return NULL;
}

/* An override above the table that has the list is asked first. */
static const aicp_price *overridden(const aicp_price_table *table, aicpi_slice name) {
    for (; table != NULL && table->models == NULL && table->base != NULL; table = table->base) {
        const aicpi_map_slot *slot = aicpi_map_find(&table->by_key, name.data, name.len);
        if (slot != NULL) {
            return &table->prices[slot->value.u64 - 1];
        }
    }
    return NULL;
}

static const aicp_price *find(const aicp_price_table *table, aicpi_slice name) {
    bool listed = false;
    const aicp_price *price = overridden(table, name);
    price = price != NULL ? price : from_list(table, name, &listed);
    if (price != NULL || listed) {
        return price;
    }
    price = bare(table, name);
    price = price != NULL ? price : with_provider(table, name);
    for (size_t n = region_length(name); price == NULL && n > 0; n = region_length(name)) {
        name = without(name, n);
        price = bare(table, name);
    }
    return price;
}

aicp_status aicp_price_table_find(
    const aicp_price_table *table,
    const char *data,
    size_t len,
    const aicp_price **price,
    aicp_error *err) {
    *price = len > 0 ? find(table, aicpi_slice_of(data, len)) : NULL;
    if (*price != NULL) {
        return AICP_OK;
    }
    return aicpi_fail(
        err,
        AICP_ERR_UNKNOWN_MODEL,
        "no price for model \"%.*s\"",
        (int)(len > 120 ? 120 : len),
        data);
}
