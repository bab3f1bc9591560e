/* The formatter: walks over the tokens of a text that the parser has accepted, by the same grammar,
 * and says where lines may end. */
#include "lib/base/error.h"
#include "lib/base/text.h"
#include "lib/policy/layout.h"
#include "lib/policy/parser.h"

#define WIDTH_DEFAULT 80
#define WIDTH_MOST 1000
#define INDENT_DEFAULT 2
#define INDENT_MOST 16
#define MAX_BYTES ((size_t)16 << 20)
/* Places in a text are kept in 32 bits, and so is its width with a space between all tokens. */
#define TEXT_MOST ((size_t)1 << 30)

typedef struct walker {
    aicpi_policy_layout layout;
    uint32_t at; /* the token at hand */
} walker;

/* ---- steps ---- */

static uint32_t step(walker *w, uint8_t kind) {
    return aicpi_policy_layout_add(&w->layout, kind, 0);
}

static void change(walker *w, uint32_t number, uint8_t kind) {
    if (!w->layout.failed) {
        w->layout.steps[number].kind = kind;
    }
}

static uint32_t open_group(walker *w) {
    return step(w, AICPI_POLICY_LAYOUT_OPEN);
}

static void close_group(walker *w, uint32_t open) {
    uint32_t close = step(w, AICPI_POLICY_LAYOUT_CLOSE);
    if (!w->layout.failed) {
        w->layout.steps[open].value = close;
    }
}

static uint32_t type_at(const walker *w, uint32_t ahead) {
    size_t at = (size_t)w->at + ahead;
    return at < w->layout.word_count ? w->layout.words[at].type : AICPI_POLICY_TOKEN_END;
}

static bool word_is(const walker *w, uint32_t ahead, const char *text) {
    const aicpi_policy_word *word = &w->layout.words[w->at + ahead];
    return word->type == AICPI_POLICY_TOKEN_IDENT &&
           aicpi_slice_is(
               aicpi_slice_of(w->layout.data + word->start, word->end - word->start), text);
}

static bool at_word(const walker *w, const char *text) {
    return word_is(w, 0, text);
}

/* Takes the token at hand; the last one, the end, stays. */
static void take(walker *w) {
    aicpi_policy_layout_add(&w->layout, AICPI_POLICY_LAYOUT_WORD, w->at);
    w->at += w->at + 1 < w->layout.word_count;
}

/* Takes a token that ends what stands before it: comments in between move behind it. */
static void take_tail(walker *w) {
    if (type_at(w, 0) != AICPI_POLICY_TOKEN_END) {
        aicpi_policy_layout_pull(&w->layout, w->at);
    }
    take(w);
}

/* ---- expressions ---- */

/* Walks over an expression; true for a chain of operands, which may take several lines. */
typedef bool (*walk_fn)(walker *w);

static bool walk_expr(walker *w);

/* Items in brackets, separated by commas. The opening bracket is at hand. */
static void walk_list(walker *w, uint32_t close, walk_fn item) {
    uint32_t group = open_group(w);
    take(w);
    if (type_at(w, 0) != close) {
        step(w, AICPI_POLICY_LAYOUT_INDENT);
        step(w, AICPI_POLICY_LAYOUT_SOFT);
        while (type_at(w, 0) != close && type_at(w, 0) != AICPI_POLICY_TOKEN_END) {
            item(w);
            if (type_at(w, 0) == AICPI_POLICY_TOKEN_COMMA) {
                take_tail(w);
                step(
                    w,
                    type_at(w, 0) == close ? AICPI_POLICY_LAYOUT_NONE : AICPI_POLICY_LAYOUT_LINE);
            }
        }
        step(w, AICPI_POLICY_LAYOUT_DEDENT);
        step(w, AICPI_POLICY_LAYOUT_SOFT);
    }
    take(w);
    close_group(w, group);
}

static bool walk_init(walker *w) {
    take(w);
    take_tail(w);
    step(w, AICPI_POLICY_LAYOUT_SPACE);
    return walk_expr(w);
}

static void walk_primary(walker *w) {
    switch (type_at(w, 0)) {
    case AICPI_POLICY_TOKEN_LBRACKET:
        walk_list(w, AICPI_POLICY_TOKEN_RBRACKET, walk_expr);
        return;
    case AICPI_POLICY_TOKEN_LBRACE:
        walk_list(w, AICPI_POLICY_TOKEN_RBRACE, walk_init);
        return;
    case AICPI_POLICY_TOKEN_LPAREN:
        walk_list(w, AICPI_POLICY_TOKEN_RPAREN, walk_expr);
        return;
    default:
        take(w);
        break;
    }
    while (type_at(w, 0) == AICPI_POLICY_TOKEN_PATH) {
        take(w);
        take(w);
    }
    if (type_at(w, 0) == AICPI_POLICY_TOKEN_LPAREN) {
        walk_list(w, AICPI_POLICY_TOKEN_RPAREN, walk_expr);
    }
}

static void walk_member(walker *w) {
    walk_primary(w);
    for (;;) {
        if (type_at(w, 0) == AICPI_POLICY_TOKEN_LBRACKET) {
            take(w);
            take(w);
            take(w);
        } else if (type_at(w, 0) == AICPI_POLICY_TOKEN_DOT) {
            take(w);
            take(w);
            if (type_at(w, 0) == AICPI_POLICY_TOKEN_LPAREN) {
                walk_list(w, AICPI_POLICY_TOKEN_RPAREN, walk_expr);
            }
        } else {
            return;
        }
    }
}

static bool walk_unary(walker *w) {
    while (type_at(w, 0) == AICPI_POLICY_TOKEN_NOT || type_at(w, 0) == AICPI_POLICY_TOKEN_MINUS) {
        take(w);
    }
    walk_member(w);
    return false;
}

/* Operands joined by `first` or `second`: one below the other when they do not fit in a line. The
 * further lines of an operand that is a chain itself are indented. */
static bool walk_chain(walker *w, uint32_t first, uint32_t second, walk_fn operand) {
    uint32_t group = open_group(w);
    bool more = true;
    bool chain = false;
    bool nested = false;
    while (more) {
        uint32_t indent = step(w, AICPI_POLICY_LAYOUT_NONE);
        nested = operand(w);
        more = type_at(w, 0) == first || type_at(w, 0) == second;
        chain |= more;
        if (chain && nested) {
            change(w, indent, AICPI_POLICY_LAYOUT_INDENT);
            step(w, AICPI_POLICY_LAYOUT_DEDENT);
        }
        if (more) {
            step(w, AICPI_POLICY_LAYOUT_SPACE);
            take_tail(w);
            step(w, AICPI_POLICY_LAYOUT_LINE);
        }
    }
    if (chain) {
        close_group(w, group);
    } else {
        change(w, group, AICPI_POLICY_LAYOUT_NONE);
    }
    return chain || nested;
}

static bool walk_product(walker *w) {
    return walk_chain(w, AICPI_POLICY_TOKEN_STAR, AICPI_POLICY_TOKEN_STAR, walk_unary);
}

static bool walk_sum(walker *w) {
    return walk_chain(w, AICPI_POLICY_TOKEN_PLUS, AICPI_POLICY_TOKEN_MINUS, walk_product);
}

static bool at_relation(const walker *w) {
    uint32_t type = type_at(w, 0);
    return (type >= AICPI_POLICY_TOKEN_EQ && type <= AICPI_POLICY_TOKEN_GE) || at_word(w, "in") ||
           at_word(w, "has") || at_word(w, "like") || at_word(w, "is");
}

static bool opens(uint32_t type) {
    return type == AICPI_POLICY_TOKEN_LBRACKET || type == AICPI_POLICY_TOKEN_LBRACE ||
           type == AICPI_POLICY_TOKEN_LPAREN;
}

/* One relation, or `a is T in b`. Names after `has` look like attributes. What is short or breaks
 * inside its own brackets stays on the line of the operator. */
static bool walk_relation(walker *w) {
    uint32_t group = open_group(w);
    bool nested = walk_sum(w);
    if (!at_relation(w)) {
        change(w, group, AICPI_POLICY_LAYOUT_NONE);
        return nested;
    }
    while (at_relation(w)) {
        bool short_name = at_word(w, "is") || at_word(w, "has");
        step(w, AICPI_POLICY_LAYOUT_SPACE);
        take_tail(w);
        bool stays = short_name || opens(type_at(w, 0));
        step(w, stays ? AICPI_POLICY_LAYOUT_SPACE : AICPI_POLICY_LAYOUT_INDENT);
        step(w, stays ? AICPI_POLICY_LAYOUT_NONE : AICPI_POLICY_LAYOUT_LINE);
        walk_sum(w);
        step(w, stays ? AICPI_POLICY_LAYOUT_NONE : AICPI_POLICY_LAYOUT_DEDENT);
    }
    close_group(w, group);
    return false;
}

static bool walk_and(walker *w) {
    return walk_chain(w, AICPI_POLICY_TOKEN_AND, AICPI_POLICY_TOKEN_AND, walk_relation);
}

static bool walk_or(walker *w) {
    return walk_chain(w, AICPI_POLICY_TOKEN_OR, AICPI_POLICY_TOKEN_OR, walk_and);
}

/* `if`, `then` or `else` and what follows it. */
static void walk_branch(walker *w) {
    take(w);
    step(w, AICPI_POLICY_LAYOUT_SPACE);
    step(w, AICPI_POLICY_LAYOUT_INDENT);
    walk_expr(w);
    step(w, AICPI_POLICY_LAYOUT_DEDENT);
}

/* A further `if` after `else` goes on in the same group. */
static void walk_if(walker *w) {
    uint32_t group = open_group(w);
    bool more = true;
    while (more) {
        walk_branch(w);
        step(w, AICPI_POLICY_LAYOUT_LINE);
        walk_branch(w);
        step(w, AICPI_POLICY_LAYOUT_LINE);
        more = word_is(w, 1, "if");
        if (more) {
            take(w);
            step(w, AICPI_POLICY_LAYOUT_SPACE);
        } else {
            walk_branch(w);
        }
    }
    close_group(w, group);
}

static bool walk_expr(walker *w) {
    if (at_word(w, "if")) {
        walk_if(w);
        return false;
    }
    return walk_or(w);
}

/* ---- policies ---- */

static void walk_annotations(walker *w) {
    while (type_at(w, 0) == AICPI_POLICY_TOKEN_AT) {
        take(w);
        take(w);
        if (type_at(w, 0) == AICPI_POLICY_TOKEN_LPAREN) {
            take(w);
            take(w);
            take(w);
        }
        step(w, AICPI_POLICY_LAYOUT_HARD);
    }
}

/* A scope that says something has a line for each of its parts. */
static bool scope_is_open(const walker *w) {
    return type_at(w, 2) == AICPI_POLICY_TOKEN_COMMA && type_at(w, 4) == AICPI_POLICY_TOKEN_COMMA &&
           (type_at(w, 6) == AICPI_POLICY_TOKEN_RPAREN ||
            type_at(w, 6) == AICPI_POLICY_TOKEN_COMMA);
}

static bool walk_on_own_line(walker *w) {
    step(w, AICPI_POLICY_LAYOUT_FORCE);
    return walk_relation(w);
}

static void walk_condition(walker *w) {
    step(w, AICPI_POLICY_LAYOUT_HARD);
    take(w);
    step(w, AICPI_POLICY_LAYOUT_SPACE);
    uint32_t group = open_group(w);
    take(w);
    step(w, AICPI_POLICY_LAYOUT_INDENT);
    step(w, AICPI_POLICY_LAYOUT_LINE);
    walk_expr(w);
    step(w, AICPI_POLICY_LAYOUT_DEDENT);
    step(w, AICPI_POLICY_LAYOUT_LINE);
    take(w);
    close_group(w, group);
}

static void walk_policy(walker *w) {
    walk_annotations(w);
    take(w);
    step(w, AICPI_POLICY_LAYOUT_SPACE);
    walk_list(w, AICPI_POLICY_TOKEN_RPAREN, scope_is_open(w) ? walk_relation : walk_on_own_line);
    while (type_at(w, 0) == AICPI_POLICY_TOKEN_IDENT) {
        walk_condition(w);
    }
    take_tail(w);
    step(w, AICPI_POLICY_LAYOUT_BLANK);
}

static bool walk(walker *w, const char *data, uint32_t len) {
    if (!aicpi_policy_layout_read(&w->layout, data, len)) {
        return false;
    }
    while (type_at(w, 0) != AICPI_POLICY_TOKEN_END) {
        walk_policy(w);
    }
    take(w);
    return !w->layout.failed;
}

/* ---- public ---- */

void aicp_policy_format_options_init(aicp_policy_format_options *options, size_t size) {
    memset(options, 0, size);
    options->size = size;
}

static aicp_status check_options(
    const aicp_policy_format_options *options,
    aicp_policy_format_options *o,
    size_t len,
    aicp_error *err) {
    aicp_status status =
        aicpi_options_copy(o, sizeof *o, options, "aicp_policy_format_options", err);
    if (status != AICP_OK) {
        return status;
    }
    o->line_width = o->line_width ? o->line_width : WIDTH_DEFAULT;
    o->indent = o->indent ? o->indent : INDENT_DEFAULT;
    o->max_depth = o->max_depth ? o->max_depth : AICP_POLICY_DEPTH_DEFAULT;
    size_t most = o->max_bytes ? o->max_bytes : MAX_BYTES;
    most = most < TEXT_MOST ? most : TEXT_MOST;
    if (o->line_width > WIDTH_MOST || o->indent > INDENT_MOST ||
        o->max_depth > AICP_POLICY_DEPTH_MAX) {
        return aicpi_fail(
            err,
            AICP_ERR_INVALID,
            "line_width is %u, indent %u and max_depth %u, more than %d, %d and %d",
            (unsigned)o->line_width,
            (unsigned)o->indent,
            (unsigned)o->max_depth,
            WIDTH_MOST,
            INDENT_MOST,
            AICP_POLICY_DEPTH_MAX);
    }
    if (len > most) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "the policies have %zu bytes, more than %zu", len, most);
    }
    return AICP_OK;
}

/* Whether the text holds policies: only then the walk knows what follows what. */
static aicp_status
check_text(aicpi_arena *arena, const char *data, size_t len, uint32_t max_depth, aicp_error *err) {
    size_t bad = 0;
    if (!aicpi_utf8_valid(data, len, &bad)) {
        return aicpi_fail_at(err, AICP_ERR_PARSE, data, len, bad, "the text is not valid UTF-8");
    }
    aicpi_policy_intern in;
    aicpi_policy_intern_init(&in, arena, true);
    aicpi_policy_parser p = {
        .lexer = {.data = data, .len = (uint32_t)len},
        .arena = arena,
        .intern = &in,
        .max_depth = max_depth,
        .err = err};
    aicpi_policy_ast *asts = NULL;
    size_t count = 0;
    aicp_status status = aicpi_policy_parse(&p, &asts, &count);
    aicpi_policy_intern_deinit(&in);
    return status;
}

aicp_status aicp_policy_format(
    const char *data,
    size_t len,
    const aicp_policy_format_options *options,
    aicp_buf *out,
    aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    aicp_policy_format_options o;
    aicp_status status = check_options(options, &o, len, err);
    if (status != AICP_OK) {
        return status;
    }
    aicp_allocator a = aicpi_allocator(o.allocator);
    aicpi_arena arena;
    aicpi_arena_init(&arena, &a, 0, 0);
    status = check_text(&arena, data, len, o.max_depth, err);
    aicpi_arena_reset(&arena);
    if (status == AICP_OK) {
        walker w = {.layout = {.arena = &arena, .line_width = o.line_width, .indent = o.indent}};
        aicpi_strbuf b;
        aicpi_strbuf_init(&b, &a, AICPI_STRBUF_MAX);
        if (walk(&w, data, (uint32_t)len)) {
            aicpi_policy_layout_print(&w.layout, &b);
            status = aicpi_strbuf_take(&b, out, err);
        } else {
            status = aicpi_nomem(err);
        }
    }
    aicpi_arena_deinit(&arena);
    return status;
}
