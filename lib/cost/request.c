/* The builder of a countable request, and its count. */
#include "lib/cost/request.h"

#include "lib/base/error.h"
#include "lib/base/json.h"

/* Rules for what cannot be looked into: audio by its bytes per second, files by bytes per token. */
enum {
    AUDIO_BYTES_PER_SECOND = 16000, /* compressed speech; PCM is more, so this errs upward */
    FILE_BYTES_PER_TOKEN = 40,
    FILE_BYTES_PER_TOKEN_AT_MOST = 4,
    CHOICE_NONE_TOKENS = 1,
    CHOICE_NAMED_TOKENS = 7,
};

/* ---- life ---- */

aicp_status
aicp_cost_request_new(const aicp_allocator *allocator, aicp_cost_request **out, aicp_error *err) {
    aicp_allocator a = aicpi_allocator(allocator);
    aicp_cost_request *r = aicpi_calloc(&a, 1, sizeof *r);
    *out = r;
    if (r == NULL) {
        return aicpi_nomem(err);
    }
    r->allocator = a;
    aicpi_arena_init(&r->arena, &a, 8192, 0);
    aicpi_arena_init(&r->scratch, &a, 8192, 0);
    aicpi_strbuf_init(&r->buffer, &a, AICPI_STRBUF_MAX);
    aicp_cost_request_reset(r);
    return AICP_OK;
}

void aicp_cost_request_free(aicp_cost_request *request) {
    if (request == NULL) {
        return;
    }
    aicp_allocator a = request->allocator;
    aicpi_arena_deinit(&request->arena);
    aicpi_arena_deinit(&request->scratch);
    aicpi_strbuf_deinit(&request->buffer);
    aicpi_free(&a, request->items);
    aicpi_free(&a, request);
}

void aicp_cost_request_reset(aicp_cost_request *request) {
    aicpi_arena_reset(&request->arena);
    request->count = 0;
    request->kind = AICP_CALL_CHAT;
    request->model = (aicpi_slice){NULL, 0};
    request->max_tokens = -1;
    request->n = 1;
    request->choice = AICPI_CHOICE_AUTO;
    request->chosen = (aicpi_slice){NULL, 0};
    request->in_message = false;
    request->has_system = false;
    request->long_cache = false;
    request->odd = false;
}

/* ---- parts ---- */

bool aicpi_cost_request_add(aicp_cost_request *request, aicpi_item item) {
    if (!aicpi_grow(
            &request->allocator,
            (void **)&request->items,
            &request->capacity,
            request->count,
            sizeof *request->items)) {
        return false;
    }
    request->items[request->count++] = item;
    return true;
}

static aicp_status add(aicp_cost_request *request, aicpi_item item, aicp_error *err) {
    return aicpi_cost_request_add(request, item) ? AICP_OK : aicpi_nomem(err);
}

void aicp_cost_request_set_kind(aicp_cost_request *request, int32_t kind) {
    request->kind = kind;
}

void aicp_cost_request_set_model(aicp_cost_request *request, const char *data, size_t len) {
    request->model = aicpi_slice_of(data, len);
}

void aicp_cost_request_model(const aicp_cost_request *request, const char **data, size_t *len) {
    *data = request->model.data;
    *len = request->model.len;
}

void aicp_cost_request_set_max_tokens(aicp_cost_request *request, int64_t max_tokens) {
    request->max_tokens = max_tokens < 0 ? -1 : max_tokens;
}

void aicp_cost_request_set_n(aicp_cost_request *request, int64_t n) {
    request->n = n < 1 ? 1 : n;
}

void aicp_cost_request_set_long_cache(aicp_cost_request *request, int32_t on) {
    request->long_cache = on != 0;
}

aicp_status aicp_cost_request_add_message(
    aicp_cost_request *request, const char *role, size_t role_len, aicp_error *err) {
    aicpi_slice text = aicpi_slice_of(role, role_len);
    request->in_message = true;
    request->has_system =
        request->has_system || aicpi_slice_is(text, "system") || aicpi_slice_is(text, "developer");
    return add(request, (aicpi_item){.kind = AICPI_ITEM_MESSAGE, .text = text}, err);
}

aicp_status aicp_cost_request_add_name(
    aicp_cost_request *request, const char *data, size_t len, aicp_error *err) {
    aicpi_slice text = aicpi_slice_of(data, len);
    return add(request, (aicpi_item){.kind = AICPI_ITEM_NAME, .text = text}, err);
}

aicp_status aicp_cost_request_add_text(
    aicp_cost_request *request, const char *data, size_t len, aicp_error *err) {
    aicpi_item_kind kind = request->in_message ? AICPI_ITEM_TEXT : AICPI_ITEM_PROMPT;
    return add(request, (aicpi_item){.kind = kind, .text = aicpi_slice_of(data, len)}, err);
}

aicp_status
aicp_cost_request_add_tokens(aicp_cost_request *request, int64_t count, aicp_error *err) {
    if (count < 0) {
        return aicpi_fail(err, AICP_ERR_INVALID, "token count is %lld", (long long)count);
    }
    return add(request, (aicpi_item){.kind = AICPI_ITEM_TOKENS, .a = count}, err);
}

aicp_status aicp_cost_request_add_image(
    aicp_cost_request *request, int64_t width, int64_t height, int32_t detail, aicp_error *err) {
    if (detail < AICP_DETAIL_AUTO || detail > AICP_DETAIL_ORIGINAL) {
        return aicpi_fail(err, AICP_ERR_INVALID, "detail %d is not known", (int)detail);
    }
    aicpi_item item = {.kind = AICPI_ITEM_IMAGE, .a = width, .b = height, .detail = detail};
    return add(request, item, err);
}

aicp_status aicp_cost_request_add_image_url(
    aicp_cost_request *request, const char *data, size_t len, int32_t detail, aicp_error *err) {
    int64_t width = 0;
    int64_t height = 0;
    if (!aicpi_cost_image_size(aicpi_slice_of(data, len), &width, &height)) {
        width = height = 0;
    }
    return aicp_cost_request_add_image(request, width, height, detail, err);
}

aicp_status aicp_cost_request_add_tools(
    aicp_cost_request *request, const char *data, size_t len, aicp_error *err) {
    aicpi_json r;
    aicpi_arena_reset(&request->scratch);
    aicpi_json_init(&r, &request->scratch, data, len, 0);
    (void)aicpi_json_skip(&r);
    aicp_status status = aicpi_json_finish(&r, err);
    if (status != AICP_OK) {
        return aicpi_error_prefix(err, status, "tools");
    }
    aicpi_item item = {.kind = AICPI_ITEM_TOOLS, .text = aicpi_slice_of(data, len)};
    return add(request, item, err);
}

/* ---- count ---- */

/* Sums while counting. `texts` are tokens of the encoding, to be scaled by the family's factor. */
typedef struct tally {
    const aicp_token_profile *profile;
    const aicpi_codec *codec;
    aicpi_content_stats stats;
    int64_t texts;
    int64_t tool_texts;
    int64_t overhead;
    int64_t tools;
    int64_t images;
    int64_t images_low;
    int64_t images_high;
    int64_t messages;
    bool by_rule; /* a part follows a rule that is not exact */
    bool guessed; /* a part could not be looked into */
} tally;

static void count_text(tally *t, aicpi_slice text) {
    t->texts += (int64_t)aicpi_cost_count(t->codec, text.data, text.len);
    if (t->profile->factors != NULL) {
        aicpi_cost_content_add(&t->stats, text.data, text.len);
    }
}

static void count_image(tally *t, const aicpi_item *item) {
    int64_t low;
    int64_t high = aicpi_cost_image_tokens(t->profile->image, item->a, item->b, item->detail, &low);
    t->images += high;
    t->images_low += low;
    t->images_high += high;
    t->by_rule = t->by_rule || low != high || t->profile->image->method == AICPI_IMAGE_FLAT;
}

static void count_opaque(tally *t, int64_t low, int64_t middle, int64_t high) {
    t->images_low += low;
    t->images += middle;
    t->images_high += high;
    t->guessed = true;
}

static void count_item(tally *t, const aicpi_item *item) {
    const aicpi_overhead *chat = t->profile->overhead;
    int64_t second = t->profile->audio_per_second;
    switch (item->kind) {
    case AICPI_ITEM_MESSAGE:
        t->messages++;
        t->overhead += chat->message;
        if (chat->role) {
            t->overhead += (int64_t)aicpi_cost_count(t->codec, item->text.data, item->text.len);
        }
        break;
    case AICPI_ITEM_NAME:
        t->overhead += chat->name;
        count_text(t, item->text);
        break;
    case AICPI_ITEM_TEXT:
    case AICPI_ITEM_PROMPT:
        count_text(t, item->text);
        break;
    case AICPI_ITEM_TOKENS:
        t->overhead += item->a;
        break;
    case AICPI_ITEM_IMAGE:
        count_image(t, item);
        break;
    case AICPI_ITEM_AUDIO:
        second = second * (item->a / AUDIO_BYTES_PER_SECOND + 1);
        count_opaque(t, second / 4, second, second * 2);
        break;
    case AICPI_ITEM_FILE:
        count_opaque(
            t, 1, item->a / FILE_BYTES_PER_TOKEN + 1, item->a / FILE_BYTES_PER_TOKEN_AT_MOST + 1);
        break;
    case AICPI_ITEM_TOOLS:
        break;
    }
}

static aicp_status count_tools(aicp_cost_request *request, tally *t, aicp_error *err) {
    bool any = false;
    for (size_t i = 0; i < request->count; i++) {
        int64_t counts[2] = {0, 0};
        if (request->items[i].kind != AICPI_ITEM_TOOLS) {
            continue;
        }
        aicp_status status = aicpi_cost_tools_count(
            request, request->items[i].text, t->profile, t->codec, &t->stats, counts, err);
        if (status != AICP_OK) {
            return status;
        }
        t->tool_texts += counts[0];
        t->tools += counts[1];
        any = true;
    }
    if (request->choice == AICPI_CHOICE_NONE) {
        t->tools += CHOICE_NONE_TOKENS;
    } else if (request->choice == AICPI_CHOICE_NAMED) {
        t->tools += CHOICE_NAMED_TOKENS +
                    (int64_t)aicpi_cost_count(t->codec, request->chosen.data, request->chosen.len);
    }
    t->by_rule = t->by_rule || any;
    return AICP_OK;
}

static int64_t scaled(int64_t tokens, int64_t permille) {
    return (tokens * permille + 999) / 1000;
}

static void sum_up(const tally *t, bool odd, aicp_token_count *count) {
    const aicpi_factors *factors = t->profile->factors;
    int64_t texts = t->texts;
    int64_t tool_texts = t->tool_texts;
    int64_t spread = 0;
    count->factor_permille = 1000;
    count->quality = t->profile->quality;
    if (factors != NULL) {
        int32_t factor = aicpi_cost_content_factor(&t->stats, factors);
        texts = scaled(texts, factor);
        tool_texts = scaled(tool_texts, factor);
        spread = factors->spread_permille;
        count->factor_permille = factor;
    }
    int64_t fixed = t->overhead + t->tools;
    count->text = texts;
    count->overhead = t->overhead;
    count->tools = t->tools + tool_texts;
    count->images = t->images;
    count->tokens = texts + tool_texts + fixed + t->images;
    count->low = (texts + tool_texts) * (1000 - spread) / 1000 + fixed + t->images_low;
    count->high = scaled(texts + tool_texts, 1000 + spread) + fixed + t->images_high;
    if (count->quality == AICP_COUNT_EXACT && (t->by_rule || odd)) {
        count->quality = AICP_COUNT_NEAR;
    }
    if (t->guessed) {
        count->quality = AICP_COUNT_ESTIMATED;
    }
    count->tokens = count->tokens < 0 ? 0 : count->tokens;
    count->low = count->low < 0 ? 0 : count->low;
    count->high = count->high < 0 ? 0 : count->high;
}

aicp_status aicp_cost_request_count(
    aicp_cost_request *request,
    const aicp_token_profile *profile,
    aicp_token_count *count,
    aicp_error *err) {
    memset(count, 0, sizeof *count);
    if (profile == NULL) {
        profile = aicp_token_profile_find(request->model.data, request->model.len);
    }
    aicpi_codec codec;
    aicpi_cost_codec_bind(&codec, aicpi_cost_encoding_find(aicpi_slice_cstr(profile->encoding)));
    tally t = {.profile = profile, .codec = &codec};
    aicpi_arena_reset(&request->scratch);
    for (size_t i = 0; i < request->count; i++) {
        count_item(&t, &request->items[i]);
    }
    if (t.messages > 0) {
        t.overhead += profile->overhead->request;
    }
    aicp_status status = count_tools(request, &t, err);
    if (status == AICP_OK) {
        sum_up(&t, request->odd, count);
    }
    return status;
}
