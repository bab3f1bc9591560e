/* How a family of models counts a request. All numbers stand in tables in profiles.c. */
#ifndef AICPI_COST_PROFILE_H
#define AICPI_COST_PROFILE_H

#include "lib/cost/cost_internal.h"

/* Kinds of content that other vocabularies treat differently from o200k_base. */
typedef enum aicpi_content {
    AICPI_CONTENT_PROSE = 0, /* Latin letters */
    AICPI_CONTENT_CODE,
    AICPI_CONTENT_JSON,
    AICPI_CONTENT_HAN,
    AICPI_CONTENT_KANA, /* Japanese, its Han included */
    AICPI_CONTENT_CYRILLIC,
    AICPI_CONTENT_ARABIC,
    AICPI_CONTENT_DEVANAGARI,
    AICPI_CONTENT_COUNT,
} aicpi_content;

/* Tokens of the family's vocabulary for 1000 tokens of the stand-in, and how far off that may be.
 */
typedef struct aicpi_factors {
    int32_t permille[AICPI_CONTENT_COUNT];
    int32_t spread_permille;
} aicpi_factors;

/* Tokens beside the texts' own. */
typedef struct aicpi_overhead {
    int32_t request; /* once, with at least one message */
    int32_t message;
    int32_t name; /* beside the tokens of the name */
    bool role;    /* the role's text counts */
} aicpi_overhead;

/* Tool definitions: either rendered as text and counted, or so many tokens per item. */
typedef struct aicpi_tool_cost {
    bool rendered;
    int32_t exist;       /* once, when there are tools */
    int32_t with_system; /* added when there is a system message */
    int32_t tool;
    int32_t description;
    int32_t first_property;
    int32_t property;
    int32_t property_description;
    int32_t enumeration;
    int32_t object;
    int32_t array_of_objects;
} aicpi_tool_cost;

typedef enum aicpi_image_method {
    AICPI_IMAGE_FLAT = 0,   /* `base` each */
    AICPI_IMAGE_TILES,      /* base + tile * tiles of 512 px, after two shrinks */
    AICPI_IMAGE_PATCHES,    /* patches of 32 px times a factor, up to a budget */
    AICPI_IMAGE_PATCHES_28, /* patches of 28 px, aspect kept, up to a side and a budget */
    AICPI_IMAGE_TILES_768,  /* `base` up to 384 px, else `base` per tile of 768 px */
    AICPI_IMAGE_BY_DETAIL,  /* `by_detail` */
} aicpi_image_method;

typedef struct aicpi_image_rule {
    aicpi_image_method method;
    int32_t base;
    int32_t tile;
    int32_t factor_permille;
    int32_t side[4];   /* longest side by AICP_DETAIL_... */
    int32_t budget[4]; /* most patches by AICP_DETAIL_...; 0 = none */
    int32_t by_detail[4];
} aicpi_image_rule;

struct aicp_token_profile {
    const char *family;
    const char *encoding;
    int32_t quality;
    bool reasons; /* output has tokens that nobody sees */
    const aicpi_overhead *overhead;
    const aicpi_tool_cost *tools;
    const aicpi_image_rule *image;
    const aicpi_factors *factors; /* NULL = own vocabulary */
    int32_t audio_per_second;
};

/* Bytes of text by kind, gathered over the texts of a request. */
typedef struct aicpi_content_stats {
    uint64_t bytes[AICPI_CONTENT_COUNT]; /* CODE and JSON unused here */
    uint64_t punctuation;                /* ASCII marks that are rare in prose */
    uint64_t quotes;                     /* '"' */
} aicpi_content_stats;

void aicpi_cost_content_add(aicpi_content_stats *stats, const char *data, size_t len);
/* Factor for the mix of kinds, in 1/1000. */
int32_t aicpi_cost_content_factor(const aicpi_content_stats *stats, const aicpi_factors *factors);

/* Tokens of an image; *low is the least for its unknown parts, the result the most. */
int64_t aicpi_cost_image_tokens(
    const aicpi_image_rule *rule, int64_t width, int64_t height, int32_t detail, int64_t *low);
/* Size of the picture in a "data:" URL or in bare base64; false = not readable. */
bool aicpi_cost_image_size(aicpi_slice url, int64_t *width, int64_t *height);

#endif
