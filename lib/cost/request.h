/* The countable parts of a request as they are kept. */
#ifndef AICPI_COST_REQUEST_H
#define AICPI_COST_REQUEST_H

#include "lib/cost/profile.h"

#include "lib/base/arena.h"
#include "lib/base/strbuf.h"

typedef enum aicpi_item_kind {
    AICPI_ITEM_MESSAGE, /* text = role */
    AICPI_ITEM_NAME,
    AICPI_ITEM_TEXT,
    AICPI_ITEM_PROMPT, /* text that is a prompt or input of its own */
    AICPI_ITEM_TOKENS, /* a = tokens */
    AICPI_ITEM_IMAGE,  /* a = width, b = height */
    AICPI_ITEM_AUDIO,  /* a = bytes */
    AICPI_ITEM_FILE,   /* a = bytes */
    AICPI_ITEM_TOOLS,  /* text = JSON array */
} aicpi_item_kind;

typedef struct aicpi_item {
    aicpi_item_kind kind;
    int32_t detail;
    aicpi_slice text;
    int64_t a;
    int64_t b;
} aicpi_item;

/* What `tool_choice` says, as far as it counts. */
typedef enum aicpi_tool_choice {
    AICPI_CHOICE_AUTO = 0,
    AICPI_CHOICE_NONE,
    AICPI_CHOICE_NAMED,
} aicpi_tool_choice;

struct aicp_cost_request {
    aicp_allocator allocator;
    aicpi_arena arena;   /* decoded strings, until the next reset */
    aicpi_arena scratch; /* while counting */
    aicpi_strbuf buffer; /* rendered tools */
    aicpi_item *items;
    size_t count;
    size_t capacity;
    int32_t kind;
    aicpi_slice model;
    int64_t max_tokens; /* -1 = none */
    int64_t n;
    aicpi_tool_choice choice;
    aicpi_slice chosen; /* name of the function that must be called */
    bool in_message;
    bool has_system;
    bool long_cache; /* asks for a cache entry that lives an hour */
    bool odd;        /* something was there that is not understood */
};

/* False: out of memory. */
bool aicpi_cost_request_add(aicp_cost_request *request, aicpi_item item);

/* Tokens of tool definitions: `*texts` those of texts (to be scaled), the rest returned; adds the
 * texts to `stats`. ERR_PARSE, ERR_NOMEM. */
aicp_status aicpi_cost_tools_count(
    aicp_cost_request *request,
    aicpi_slice json,
    const aicp_token_profile *profile,
    const aicpi_codec *codec,
    aicpi_content_stats *stats,
    int64_t counts[2],
    aicp_error *err);

#endif
