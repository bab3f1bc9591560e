/* Families of models: the numbers by which requests are counted. Sources: published encodings and
 * image rules of the providers; OpenAI's published rule for messages; fits to provider answers for
 * tools; factors measured with each provider's open vocabulary, those of current Claude models from
 * a reconstruction of the provider's counter. */
#include "lib/cost/profile.h"

#include "lib/base/text.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(a)[0])

/* ---- factors: prose, code, JSON, Han, Japanese, Cyrillic, Arabic, Devanagari ---- */

static const aicpi_factors factors_gemini = {{1060, 1140, 1310, 900, 700, 990, 1090, 860}, 80};
static const aicpi_factors factors_llama = {{1000, 1000, 1000, 1040, 940, 1150, 1200, 1540}, 50};
static const aicpi_factors factors_deepseek = {{1030, 1060, 1140, 850, 900, 1130, 1180, 1640}, 50};
static const aicpi_factors factors_qwen = {{1030, 1010, 1080, 920, 900, 1230, 1180, 2630}, 50};
static const aicpi_factors factors_mistral = {{1060, 1060, 1180, 1280, 1000, 1130, 980, 1170}, 50};
static const aicpi_factors factors_claude_1 = {
    {1030, 1050, 1230, 1280, 1340, 1910, 2720, 3180}, 50};
static const aicpi_factors factors_claude_a = {
    {1100, 1200, 1250, 1530, 1210, 1540, 2090, 2100}, 100};
static const aicpi_factors factors_claude_b = {
    {1530, 1550, 1620, 1570, 1240, 1590, 2120, 2130}, 120};
static const aicpi_factors factors_grok = {{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000}, 50};
static const aicpi_factors factors_nova = {{1030, 1050, 1150, 1300, 1250, 1500, 1800, 2200}, 150};
static const aicpi_factors factors_unknown = {
    {1050, 1080, 1180, 1300, 1200, 1400, 1600, 1800}, 350};

/* ---- messages: request, message, name, role counts ---- */

static const aicpi_overhead chat_openai = {3, 3, 1, true};
static const aicpi_overhead chat_0301 = {3, 4, -1, true};
static const aicpi_overhead chat_claude = {6, 2, 0, false};
static const aicpi_overhead chat_gemini = {-1, -1, 0, false};
static const aicpi_overhead chat_grok = {5, 3, 0, false};
static const aicpi_overhead chat_deepseek = {3, 1, 0, false};
static const aicpi_overhead chat_mistral = {2, 1, 0, false};
static const aicpi_overhead chat_nova = {-1, 2, 0, false};
static const aicpi_overhead chat_qwen = {7, 4, 0, false};

/* ---- tools: rendered, exist, with system, tool, description, first property, further property,
 *      property description, enum, object, array of objects ---- */

static const aicpi_tool_cost tools_openai = {true, 9, -4, 0, 0, 0, 0, 0, 0, 0, 0};
static const aicpi_tool_cost tools_claude_3 = {false, 317, 0, 53, 5, 13, 12, 5, 9, 12, 13};
static const aicpi_tool_cost tools_claude_4 = {false, 366, 0, 53, 5, 13, 12, 5, 9, 12, 13};
static const aicpi_tool_cost tools_claude_45 = {false, 549, 0, 53, 5, 13, 12, 5, 9, 12, 13};
static const aicpi_tool_cost tools_gemini = {false, 0, 0, 0, 0, 3, 2, 0, 0, -1, 0};
static const aicpi_tool_cost tools_grok = {false, 240, 0, 32, 3, 9, 7, 3, 6, 7, 8};
static const aicpi_tool_cost tools_deepseek = {false, 142, 0, 42, 0, 14, 11, 5, 9, 9, 10};
static const aicpi_tool_cost tools_mistral = {false, 60, 0, 57, 1, 14, 11, 5, 9, 9, 11};
static const aicpi_tool_cost tools_nova = {false, 394, 0, 41, 5, 14, 11, 5, 9, 10, 11};
static const aicpi_tool_cost tools_qwen = {false, 245, 0, 56, 0, 14, 11, 5, 9, 10, 11};

/* ---- images; lists by detail: auto, low, high, original ---- */

#define TILES(base_, tile_)                                                                        \
    { .method = AICPI_IMAGE_TILES, .base = base_, .tile = tile_ }
#define SAME(x)                                                                                    \
    { x, x, x, x }

static const aicpi_image_rule image_flat = {.method = AICPI_IMAGE_FLAT, .base = 250};
static const aicpi_image_rule image_4o = TILES(85, 170);
static const aicpi_image_rule image_4o_mini = TILES(2833, 5667);
static const aicpi_image_rule image_5 = TILES(70, 140);
static const aicpi_image_rule image_o = TILES(75, 150);
static const aicpi_image_rule image_41_mini = {
    .method = AICPI_IMAGE_PATCHES,
    .factor_permille = 1620,
    .side = SAME(2048),
    .budget = SAME(6144)};
static const aicpi_image_rule image_52 = {
    .method = AICPI_IMAGE_PATCHES,
    .factor_permille = 1200,
    .side = SAME(2048),
    .budget = SAME(6144)};
static const aicpi_image_rule image_54 = {
    .method = AICPI_IMAGE_PATCHES,
    .factor_permille = 1200,
    .side = {2048, 2048, 2048, 6000},
    .budget = {2500, 6144, 2500, 10000}};
static const aicpi_image_rule image_55 = {
    .method = AICPI_IMAGE_PATCHES,
    .factor_permille = 1200,
    .side = {6000, 512, 2048, 6000},
    .budget = {10000, 0, 2500, 10000}};
static const aicpi_image_rule image_56 = {
    .method = AICPI_IMAGE_PATCHES,
    .factor_permille = 1200,
    .side = {65535, 512, 2048, 65535},
    .budget = {0, 0, 2500, 0}};
static const aicpi_image_rule image_6_astra = {
    .method = AICPI_IMAGE_PATCHES,
    .factor_permille = 1200,
    .side = {65535, 512, 65535, 65535},
    .budget = {0, 0, 2500, 0}};
static const aicpi_image_rule image_claude_a = {
    .method = AICPI_IMAGE_PATCHES_28, .side = SAME(1568), .budget = SAME(1568)};
static const aicpi_image_rule image_claude_b = {
    .method = AICPI_IMAGE_PATCHES_28, .side = SAME(2576), .budget = SAME(4784)};
static const aicpi_image_rule image_gemini_2 = {.method = AICPI_IMAGE_TILES_768, .base = 258};
static const aicpi_image_rule image_gemini_3 = {
    .method = AICPI_IMAGE_BY_DETAIL, .by_detail = {1120, 280, 1120, 2240}};

/* ---- families ---- */

enum { E = AICP_COUNT_EXACT, S = AICP_COUNT_ESTIMATED };

#define OPENAI(var, name, enc, reasons, img)                                                       \
    static const aicp_token_profile var = {                                                        \
        name, enc, E, reasons, &chat_openai, &tools_openai, &img, NULL, 10}
#define OTHER(var, name, reasons, vendor, toolset, img, factors, audio)                            \
    static const aicp_token_profile var = {                                                        \
        name, "o200k_base", S, reasons, &chat_##vendor, &tools_##toolset, &img, &factors, audio}

OPENAI(gpt_4o, "gpt-4o", "o200k_base", false, image_4o);
OPENAI(gpt_4o_mini, "gpt-4o-mini", "o200k_base", false, image_4o_mini);
OPENAI(gpt_41_mini, "gpt-4.1-mini", "o200k_base", false, image_41_mini);
OPENAI(gpt_o, "o-series", "o200k_base", true, image_o);
OPENAI(gpt_o_other, "o-series-mini", "o200k_base", true, image_flat);
OPENAI(gpt_5, "gpt-5", "o200k_base", true, image_5);
OPENAI(gpt_5_other, "gpt-5-mini", "o200k_base", true, image_flat);
OPENAI(gpt_52, "gpt-5.2", "o200k_base", true, image_52);
OPENAI(gpt_54, "gpt-5.4", "o200k_base", true, image_54);
OPENAI(gpt_55, "gpt-5.5", "o200k_base", true, image_55);
OPENAI(gpt_56, "gpt-5.6", "o200k_base", true, image_56);
OPENAI(gpt_6, "gpt-6", "o200k_base", true, image_6_astra);
OPENAI(gpt_oss, "gpt-oss", "o200k_harmony", true, image_flat);
OPENAI(gpt_4, "gpt-4", "cl100k_base", false, image_flat);
OPENAI(gpt_4_turbo, "gpt-4-turbo", "cl100k_base", false, image_4o);
OPENAI(gpt_35, "gpt-3.5", "cl100k_base", false, image_flat);
OPENAI(embeddings, "text-embedding", "cl100k_base", false, image_flat);
static const aicp_token_profile gpt_35_0301 = {
    "gpt-3.5-turbo-0301",
    "cl100k_base",
    E,
    false,
    &chat_0301,
    &tools_openai,
    &image_flat,
    NULL,
    10};
OTHER(claude_1, "claude-legacy", false, claude, claude_3, image_flat, factors_claude_1, 10);
OTHER(claude_3, "claude-3", false, claude, claude_3, image_claude_a, factors_claude_a, 10);
OTHER(claude_4, "claude-4", false, claude, claude_4, image_claude_a, factors_claude_a, 10);
OTHER(claude_45, "claude-4.5", false, claude, claude_45, image_claude_a, factors_claude_a, 10);
OTHER(claude_5, "claude-5", false, claude, claude_45, image_claude_b, factors_claude_b, 10);
OTHER(gemini_2, "gemini-2", true, gemini, gemini, image_gemini_2, factors_gemini, 32);
OTHER(gemini_3, "gemini-3", true, gemini, gemini, image_gemini_3, factors_gemini, 32);
OTHER(gemma, "gemma", false, gemini, gemini, image_gemini_2, factors_gemini, 32);
OTHER(grok, "grok", true, grok, grok, image_flat, factors_grok, 10);
OTHER(deepseek, "deepseek", true, deepseek, deepseek, image_flat, factors_deepseek, 10);
OTHER(llama, "llama", false, openai, openai, image_flat, factors_llama, 10);
OTHER(mistral, "mistral", false, mistral, mistral, image_flat, factors_mistral, 10);
OTHER(nova, "nova", false, nova, nova, image_flat, factors_nova, 10);
OTHER(qwen, "qwen", true, qwen, qwen, image_flat, factors_qwen, 10);
OTHER(unknown, "unknown", false, openai, openai, image_flat, factors_unknown, 10);

/* ---- names ---- */

/* A name matches when it equals `name`, or goes on after it with one of "-@:" (or with anything
 * when `open`). The longest match wins. */
typedef struct model_name {
    const char *name;
    const aicp_token_profile *profile;
    bool open;
} model_name;

static const model_name model_names[] = {
    {"gpt-3.5-turbo-0301", &gpt_35_0301, false},
    {"gpt-3.5", &gpt_35, true},
    {"gpt-35-turbo", &gpt_35, true},
    {"gpt-4", &gpt_4, false},
    {"gpt-4-turbo", &gpt_4_turbo, false},
    {"gpt-4-vision-preview", &gpt_4_turbo, false},
    {"gpt-4-1106-vision-preview", &gpt_4_turbo, false},
    {"gpt-4o", &gpt_4o, false},
    {"chatgpt-4o", &gpt_4o, false},
    {"gpt-4o-mini", &gpt_4o_mini, false},
    {"gpt-4.1", &gpt_4o, false},
    {"gpt-4.1-mini", &gpt_41_mini, false},
    {"gpt-4.1-nano", &gpt_5_other, false},
    {"gpt-4.5", &gpt_4o, false},
    {"gpt-5", &gpt_5, false},
    {"gpt-5.1", &gpt_5, false},
    {"gpt-5-mini", &gpt_5_other, false},
    {"gpt-5-nano", &gpt_5_other, false},
    {"gpt-5.2", &gpt_52, false},
    {"gpt-5.3", &gpt_52, false},
    {"gpt-5.4", &gpt_54, false},
    {"gpt-5.5", &gpt_55, false},
    {"gpt-5.6", &gpt_56, false},
    {"gpt-6", &gpt_6, false},
    {"gpt-image", &gpt_4o, true},
    {"gpt-realtime", &gpt_4o, true},
    {"gpt-audio", &gpt_4o, true},
    {"codex-mini", &gpt_o_other, false},
    {"computer-use-preview", &gpt_4o, false},
    {"gpt-oss", &gpt_oss, true},
    {"o1", &gpt_o, false},
    {"o1-mini", &gpt_o_other, false},
    {"o3", &gpt_o, false},
    {"o3-mini", &gpt_o_other, false},
    {"o4-mini", &gpt_o_other, false},
    {"text-embedding-", &embeddings, true},
    {"davinci-002", &embeddings, false},
    {"babbage-002", &embeddings, false},
    {"claude-", &claude_5, true},
    {"claude-1", &claude_1, true},
    {"claude-2", &claude_1, true},
    {"claude-v", &claude_1, true},
    {"claude-instant", &claude_1, true},
    {"claude-3", &claude_3, true},
    {"claude-4", &claude_4, true},
    {"claude-opus-4", &claude_4, true},
    {"claude-sonnet-4", &claude_4, true},
    {"claude-haiku-4", &claude_45, true},
    {"claude-opus-4-5", &claude_45, true},
    {"claude-opus-4.5", &claude_45, true},
    {"claude-opus-4-6", &claude_45, true},
    {"claude-opus-4.6", &claude_45, true},
    {"claude-opus-4-7", &claude_5, true},
    {"claude-opus-4.7", &claude_5, true},
    {"claude-opus-4-8", &claude_5, true},
    {"claude-opus-4.8", &claude_5, true},
    {"claude-sonnet-4-5", &claude_45, true},
    {"claude-sonnet-4.5", &claude_45, true},
    {"claude-sonnet-4-6", &claude_45, true},
    {"claude-sonnet-4.6", &claude_45, true},
    {"gemini-", &gemini_3, true},
    {"gemini-1", &gemini_2, true},
    {"gemini-2", &gemini_2, true},
    {"gemini-pro", &gemini_2, true},
    {"gemini-flash", &gemini_2, true},
    {"gemma", &gemma, true},
    {"grok-", &grok, true},
    {"deepseek", &deepseek, true},
    {"llama", &llama, true},
    {"meta-llama", &llama, true},
    {"codellama", &llama, true},
    {"mistral", &mistral, true},
    {"mixtral", &mistral, true},
    {"ministral", &mistral, true},
    {"magistral", &mistral, true},
    {"codestral", &mistral, true},
    {"devstral", &mistral, true},
    {"pixtral", &mistral, true},
    {"open-mistral", &mistral, true},
    {"open-mixtral", &mistral, true},
    {"nova-", &nova, true},
    {"qwen", &qwen, true},
    {"qwq", &qwen, true},
};

static size_t match_length(const model_name *m, aicpi_slice name) {
    size_t n = strlen(m->name);
    if (name.len < n || memcmp(name.data, m->name, n) != 0) {
        return 0;
    }
    if (name.len == n || m->open) {
        return n;
    }
    char next = name.data[n];
    return next == '-' || next == '@' || next == ':' ? n : 0;
}

/* Names newer than the table: "gpt-7-...", "gpt-5.9", "o5". */
static const aicp_token_profile *newer_openai(aicpi_slice name) {
    static const char gpt[] = "gpt-";
    if (name.len >= sizeof gpt && memcmp(name.data, gpt, sizeof gpt - 1) == 0 &&
        name.data[sizeof gpt - 1] >= '5' && name.data[sizeof gpt - 1] <= '9') {
        return &gpt_6;
    }
    bool o_series = name.len >= 2 && name.data[0] == 'o' && aicpi_is_digit(name.data[1]) &&
                    (name.len == 2 || name.data[2] == '-');
    return o_series ? &gpt_o : NULL;
}

/* Drops everything up to the last '/', "ft:", regions ("us.") and vendors ("anthropic."). */
static aicpi_slice plain_name(aicpi_slice name) {
    static const char *const prefixes[] = {
        "ft:",
        "us.",
        "eu.",
        "apac.",
        "global.",
        "au.",
        "jp.",
        "ca.",
        "us-gov.",
        "anthropic.",
        "amazon.",
        "cohere.",
        "meta.",
        "mistral.",
        "deepseek.",
        "openai.",
        "google.",
        "qwen.",
        "databricks-"};
    for (size_t i = name.len; i > 0; i--) {
        if (name.data[i - 1] == '/') {
            name = aicpi_slice_of(name.data + i, name.len - i);
            break;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        if (name.len > n && memcmp(name.data, prefixes[i], n) == 0) {
            name = aicpi_slice_of(name.data + n, name.len - n);
        }
    }
    return name;
}

const aicp_token_profile *aicp_token_profile_find(const char *data, size_t len) {
    char lower[128];
    aicpi_slice name = plain_name(aicpi_slice_of(data, len));
    if (name.len == 0 || name.len > sizeof lower) {
        return &unknown;
    }
    for (size_t i = 0; i < name.len; i++) {
        lower[i] = aicpi_lower(name.data[i]);
    }
    name.data = lower;
    const aicp_token_profile *best = NULL;
    size_t best_length = 0;
    for (size_t i = 0; i < ARRAY_LEN(model_names); i++) {
        size_t n = match_length(&model_names[i], name);
        if (n > best_length) {
            best = model_names[i].profile;
            best_length = n;
        }
    }
    best = best != NULL ? best : newer_openai(name);
    return best != NULL ? best : &unknown;
}

const char *aicp_token_profile_family(const aicp_token_profile *profile) {
    return profile->family;
}

const char *aicp_token_profile_encoding(const aicp_token_profile *profile) {
    return profile->encoding;
}

int32_t aicp_token_profile_quality(const aicp_token_profile *profile) {
    return profile->quality;
}

const char *aicp_count_quality_name(int32_t quality) {
    static const char *const names[] = {"exact", "near", "estimated"};
    return quality >= AICP_COUNT_EXACT && quality <= AICP_COUNT_ESTIMATED ? names[quality] : "";
}
