/* SPDX-License-Identifier: Apache-2.0 */
/* invariant_lexer - one line of an invariant file, word by word.
 *
 *     struct invariant_lexer lexer = invariant_lexer_init(text, begin, end);
 *
 *     while (lexer.token.kind != INVARIANT_END) {
 *         ... lexer.token ...
 *         invariant_lexer_next(&lexer);
 *     }
 *
 * Threads: plain data. */
#ifndef APPS_INVARIANT_LEXER_H
#define APPS_INVARIANT_LEXER_H 1

#include <stdbool.h>
#include <stddef.h>

enum invariant_token_kind {
    INVARIANT_END, /* Of the line, or a comment. */
    INVARIANT_WORD,
    INVARIANT_STRING,  /* In quotes, which are not part of it. */
    INVARIANT_UNENDED, /* A string without its second quote. */
    INVARIANT_MARK     /* One of , = | */
};

struct invariant_token {
    enum invariant_token_kind kind;
    size_t pos; /* Where it begins in the text, quotes included. */
    const char *text;
    size_t len;
};

struct invariant_lexer {
    const char *text;
    size_t next, end;
    struct invariant_token token; /* The present one. */
    size_t last_end;              /* Where the one before it ended. */
};

/* The line from byte 'begin' of 'text' up to byte 'end', at its first token.
 */
struct invariant_lexer invariant_lexer_init(const char *text, size_t begin,
                                            size_t end);
void invariant_lexer_next(struct invariant_lexer *);

/* Whether the present token is this word, or this mark. */
bool invariant_lexer_is(const struct invariant_lexer *, const char *word);
bool invariant_lexer_is_mark(const struct invariant_lexer *, char mark);

#endif /* apps/invariant_lexer.h */
