/* Texts as Cedar writes them. */
#ifndef AICPI_POLICY_QUOTE_H
#define AICPI_POLICY_QUOTE_H

#include "lib/base/strbuf.h"
#include "lib/policy/value.h"

/* The inside of a string literal, or of a pattern, where a star needs a backslash. What cannot be
 * seen, or turns the direction of what stands around it, is written as an escape. */
void aicpi_policy_quote_chars(aicpi_strbuf *out, aicpi_slice text, bool pattern);
/* A string literal. */
void aicpi_policy_quote(aicpi_strbuf *out, aicpi_slice text);
/* A name, in quotes when it is none. */
void aicpi_policy_quote_key(aicpi_strbuf *out, const aicpi_policy_str *key);

#endif
