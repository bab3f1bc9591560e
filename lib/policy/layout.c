#include "lib/policy/layout.h"

#include "lib/base/text.h"
#include "lib/policy/lexer.h"

/* ---- reading ---- */

/* Adds the comments in the gap data[start..end), which holds nothing else but space. */
static bool
read_gap(aicpi_policy_layout *l, uint32_t start, uint32_t end, aicpi_policy_word *word) {
    uint32_t newlines = 0;
    word->comment = (uint32_t)l->comment_count;
    for (uint32_t at = start; at < end;) {
        char c = l->data[at];
        if (c != '/') {
            newlines += c == '\n';
            at++;
            continue;
        }
        aicpi_policy_comment comment = {
            .start = at, .same_line = newlines == 0, .blank = newlines > 1};
        while (at < end && l->data[at] != '\n' && l->data[at] != '\r') {
            at++;
        }
        comment.end = at;
        while (l->data[comment.end - 1] == ' ' || l->data[comment.end - 1] == '\t') {
            comment.end--;
        }
        newlines = 0;
        if (!aicpi_arena_grow(
                l->arena,
                (void **)&l->comments,
                &l->comment_capacity,
                l->comment_count,
                sizeof comment)) {
            return false;
        }
        l->comments[l->comment_count++] = comment;
        word->comment_count++;
    }
    word->blank = newlines > 1;
    return true;
}

bool aicpi_policy_layout_read(aicpi_policy_layout *l, const char *data, uint32_t len) {
    aicpi_policy_lexer lexer = {.data = data, .len = len};
    aicpi_policy_token token = {.type = AICPI_POLICY_TOKEN_BAD};
    l->data = data;
    while (token.type != AICPI_POLICY_TOKEN_END) {
        uint32_t before = token.end;
        token = aicpi_policy_lexer_next(&lexer);
        aicpi_policy_word word = {.type = token.type, .start = token.start, .end = token.end};
        if (!read_gap(l, before, token.start, &word) ||
            !aicpi_arena_grow(
                l->arena, (void **)&l->words, &l->word_capacity, l->word_count, sizeof word)) {
            l->failed = true;
            return false;
        }
        l->words[l->word_count++] = word;
    }
    return true;
}

/* ---- steps ---- */

/* Places in a text have 32 bits, and so has its width. */
static uint32_t word_width(const aicpi_policy_layout *l, uint32_t word) {
    const aicpi_policy_word *w = &l->words[word];
    return (uint32_t)aicpi_utf8_count(l->data + w->start, w->end - w->start);
}

uint32_t aicpi_policy_layout_add(aicpi_policy_layout *l, uint8_t kind, uint32_t value) {
    if (l->failed ||
        !aicpi_arena_grow(
            l->arena, (void **)&l->steps, &l->step_capacity, l->step_count, sizeof *l->steps)) {
        l->failed = true;
        return 0;
    }
    l->steps[l->step_count] = (aicpi_policy_step){kind, value, l->width, l->hard};
    switch (kind) {
    case AICPI_POLICY_LAYOUT_WORD:
        l->width += word_width(l, value);
        l->hard += l->words[value].comment_count > 0;
        break;
    case AICPI_POLICY_LAYOUT_SPACE:
    case AICPI_POLICY_LAYOUT_LINE:
        l->width++;
        break;
    case AICPI_POLICY_LAYOUT_HARD:
    case AICPI_POLICY_LAYOUT_FORCE:
        l->hard++;
        break;
    default:
        break;
    }
    return (uint32_t)l->step_count++;
}

void aicpi_policy_layout_pull(aicpi_policy_layout *l, uint32_t word) {
    aicpi_policy_word *w = &l->words[word];
    aicpi_policy_word *next = &l->words[word + 1];
    next->comment = w->comment;
    next->comment_count += w->comment_count;
    w->comment_count = 0;
}

/* ---- printing ---- */

typedef struct printer {
    const aicpi_policy_layout *l;
    aicpi_strbuf *out;
    uint32_t depth;    /* steps of indentation */
    uint32_t column;   /* behind what was written */
    uint32_t newlines; /* to be written before the next word */
    uint32_t margin;   /* of the line that they begin */
    bool space;        /* to be written before the next word */
    size_t flat_end;   /* steps before it stand on one line */
} printer;

/* Deep nesting does not push everything to the right: half of the line is for the text. */
static uint32_t margin_of(const printer *p, uint32_t depth) {
    uint32_t most = p->l->line_width / 2;
    uint64_t wanted = (uint64_t)depth * p->l->indent;
    return wanted < most ? (uint32_t)wanted : most;
}

static void want_newlines(printer *p, uint32_t count) {
    p->newlines = count > p->newlines ? count : p->newlines;
    p->margin = margin_of(p, p->depth);
}

static void begin_line(printer *p, uint32_t margin) {
    for (; p->newlines > 0; p->newlines--) {
        if (p->out->len > 0) {
            aicpi_strbuf_putc(p->out, '\n');
        }
    }
    for (uint32_t i = 0; i < margin; i++) {
        aicpi_strbuf_putc(p->out, ' ');
    }
    p->column = margin;
}

static void put(printer *p, uint32_t start, uint32_t end) {
    const char *text = p->l->data + start;
    aicpi_strbuf_append(p->out, text, end - start);
    const char *newline = memrchr(text, '\n', end - start);
    uint32_t tail = newline ? (uint32_t)(text + (end - start) - newline - 1) : end - start;
    uint32_t width = (uint32_t)aicpi_utf8_count(text + (end - start) - tail, tail);
    p->column = newline ? width : p->column + width;
}

static bool is_closer(uint32_t type) {
    return type == AICPI_POLICY_TOKEN_RPAREN || type == AICPI_POLICY_TOKEN_RBRACE ||
           type == AICPI_POLICY_TOKEN_RBRACKET;
}

/* The comments before a word. Outside of policies empty lines between them are kept. */
static void put_comments(printer *p, const aicpi_policy_word *w) {
    bool own_line = false;
    uint32_t margin = p->newlines > 0 ? p->margin : margin_of(p, p->depth);
    uint32_t inside = is_closer(w->type) ? margin_of(p, p->depth + 1) : margin;
    for (uint32_t i = 0; i < w->comment_count; i++) {
        const aicpi_policy_comment *c = &p->l->comments[w->comment + i];
        if (i == 0 && c->same_line && p->out->len > 0) {
            aicpi_strbuf_putc(p->out, ' ');
        } else {
            want_newlines(p, p->depth == 0 && c->blank && own_line ? 2 : 1);
            begin_line(p, inside);
            own_line = true;
        }
        put(p, c->start, c->end);
        want_newlines(p, 1);
    }
    if (p->depth == 0 && own_line && w->blank) {
        want_newlines(p, 2);
    }
    p->margin = margin;
}

static void put_word(printer *p, uint32_t number) {
    const aicpi_policy_word *w = &p->l->words[number];
    put_comments(p, w);
    if (w->type == AICPI_POLICY_TOKEN_END) {
        return;
    }
    if (p->newlines > 0) {
        begin_line(p, p->margin);
    } else if (p->space) {
        aicpi_strbuf_putc(p->out, ' ');
        p->column++;
    }
    p->space = false;
    put(p, w->start, w->end);
}

/* Width of what follows step `at` up to the next place where a line may end. */
static uint32_t tail_width(const aicpi_policy_layout *l, size_t at) {
    size_t end = at;
    for (; end < l->step_count; end++) {
        uint8_t kind = l->steps[end].kind;
        bool fresh =
            kind == AICPI_POLICY_LAYOUT_WORD && l->words[l->steps[end].value].comment_count > 0;
        if (fresh || (kind >= AICPI_POLICY_LAYOUT_LINE && kind <= AICPI_POLICY_LAYOUT_BLANK)) {
            break;
        }
    }
    return (end < l->step_count ? l->steps[end].width : l->width) - l->steps[at].width;
}

/* Whether the group that begins at step `at` stands on one line. A comment before its first word is
 * not inside of it. */
static bool fits(const printer *p, size_t at) {
    const aicpi_policy_layout *l = p->l;
    const aicpi_policy_step *open = &l->steps[at];
    const aicpi_policy_step *close = &l->steps[open->value];
    size_t first = at;
    while (l->steps[first].kind != AICPI_POLICY_LAYOUT_WORD) {
        first++;
    }
    bool fresh = l->words[l->steps[first].value].comment_count > 0;
    if (close->hard - open->hard > fresh) {
        return false;
    }
    uint32_t column = p->newlines > 0 ? p->margin
                      : fresh         ? margin_of(p, p->depth)
                                      : p->column + p->space;
    uint64_t end = (uint64_t)column + (close->width - open->width) + tail_width(l, open->value);
    return end <= l->line_width;
}

static void take_step(printer *p, size_t at) {
    const aicpi_policy_step *step = &p->l->steps[at];
    bool flat = at < p->flat_end;
    switch (step->kind) {
    case AICPI_POLICY_LAYOUT_WORD:
        put_word(p, step->value);
        break;
    case AICPI_POLICY_LAYOUT_SPACE:
        p->space = true;
        break;
    case AICPI_POLICY_LAYOUT_LINE:
    case AICPI_POLICY_LAYOUT_SOFT:
        if (!flat) {
            want_newlines(p, 1);
        } else if (step->kind == AICPI_POLICY_LAYOUT_LINE) {
            p->space = true;
        }
        break;
    case AICPI_POLICY_LAYOUT_HARD:
    case AICPI_POLICY_LAYOUT_BLANK:
        want_newlines(p, step->kind == AICPI_POLICY_LAYOUT_HARD ? 1 : 2);
        break;
    case AICPI_POLICY_LAYOUT_OPEN:
        if (!flat && fits(p, at)) {
            p->flat_end = step->value;
        }
        break;
    case AICPI_POLICY_LAYOUT_INDENT:
        p->depth++;
        break;
    case AICPI_POLICY_LAYOUT_DEDENT:
        p->depth--;
        break;
    default:
        break;
    }
}

void aicpi_policy_layout_print(const aicpi_policy_layout *l, aicpi_strbuf *out) {
    printer p = {.l = l, .out = out};
    for (size_t i = 0; i < l->step_count; i++) {
        take_step(&p, i);
    }
    if (out->len > 0) {
        aicpi_strbuf_putc(out, '\n');
    }
}
