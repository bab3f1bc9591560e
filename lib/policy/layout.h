/* Lays out tokens in lines: what belongs together stays on one line when it fits, else breaks at
 * all places of its group. Comments stay where they are: one that follows a token on its line
 * behind that token, others on lines of their own before the next one.
 *
 * The layout depends on tokens and comments only, not on the white space between them, so that
 * laying out its own result changes nothing. */
#ifndef AICPI_POLICY_LAYOUT_H
#define AICPI_POLICY_LAYOUT_H

#include "lib/base/arena.h"
#include "lib/base/strbuf.h"

#include <stdint.h>

typedef struct aicpi_policy_comment {
    uint32_t start;
    uint32_t end;
    bool same_line; /* as the token before it */
    bool blank;     /* an empty line stands before it */
} aicpi_policy_comment;

typedef struct aicpi_policy_word {
    uint32_t type; /* AICPI_POLICY_TOKEN_... */
    uint32_t start;
    uint32_t end;
    uint32_t comment;       /* the first of those between the token before and this one */
    uint32_t comment_count; /* of them */
    bool blank;             /* an empty line stands before it */
} aicpi_policy_word;

enum {
    AICPI_POLICY_LAYOUT_NONE,
    AICPI_POLICY_LAYOUT_WORD,  /* value: number of the token */
    AICPI_POLICY_LAYOUT_SPACE, /* never breaks */
    AICPI_POLICY_LAYOUT_LINE,  /* a space, or a new line in a broken group */
    AICPI_POLICY_LAYOUT_SOFT,  /* nothing, or a new line in a broken group */
    AICPI_POLICY_LAYOUT_HARD,  /* a new line; the groups around it break */
    AICPI_POLICY_LAYOUT_BLANK, /* an empty line, outside of groups */
    AICPI_POLICY_LAYOUT_FORCE, /* the groups around it break */
    AICPI_POLICY_LAYOUT_OPEN,  /* a group begins; value: number of the step that closes it */
    AICPI_POLICY_LAYOUT_CLOSE,
    AICPI_POLICY_LAYOUT_INDENT, /* lines from here on are indented by one step more */
    AICPI_POLICY_LAYOUT_DEDENT,
};

typedef struct aicpi_policy_step {
    uint8_t kind;
    uint32_t value;
    uint32_t width; /* of all steps before it, on one line */
    uint32_t hard;  /* steps before it that cannot stand on one line with the step before them */
} aicpi_policy_step;

typedef struct aicpi_policy_layout {
    const char *data; /* the text that words and comments are views of */
    aicpi_arena *arena;
    aicpi_policy_word *words;
    size_t word_count;
    size_t word_capacity;
    aicpi_policy_comment *comments;
    size_t comment_count;
    size_t comment_capacity;
    aicpi_policy_step *steps;
    size_t step_count;
    size_t step_capacity;
    uint32_t width; /* so far */
    uint32_t hard;
    uint32_t line_width;
    uint32_t indent;
    bool failed; /* out of memory */
} aicpi_policy_layout;

/* Cuts a text that was parsed into words, the last of which is the end, and comments. */
bool aicpi_policy_layout_read(aicpi_policy_layout *l, const char *data, uint32_t len);
/* Adds a step; gives its number, so that its kind can be changed or its group closed. */
uint32_t aicpi_policy_layout_add(aicpi_policy_layout *l, uint8_t kind, uint32_t value);
/* Moves the comments before a word behind it: an operator stays with its left operand. */
void aicpi_policy_layout_pull(aicpi_policy_layout *l, uint32_t word);
void aicpi_policy_layout_print(const aicpi_policy_layout *l, aicpi_strbuf *out);

#endif
