/* SPDX-License-Identifier: Apache-2.0 */
/* invariant_lexer - one line of an invariant file, word by word. */
#include <config.h>
#include "apps/invariant_lexer.h"

#include <string.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool
is_mark(char c)
{
    return c == ',' || c == '=' || c == '|';
}

void
invariant_lexer_next(struct invariant_lexer *lexer)
{
    const char *text = lexer->text;
    struct invariant_token *token = &lexer->token;

    lexer->last_end = lexer->next;
    while (lexer->next < lexer->end && is_blank(text[lexer->next])) {
        lexer->next++;
    }
    *token = (struct invariant_token){
        .kind = INVARIANT_END, .pos = lexer->next, .text = text + lexer->next};
    if (lexer->next == lexer->end || *token->text == '#') {
        return;
    }
    if (is_mark(*token->text)) {
        token->kind = INVARIANT_MARK;
        token->len = 1;
        lexer->next++;
    } else if (*token->text == '"') {
        const char *quote;

        token->text++;
        quote = memchr(token->text, '"', lexer->end - token->pos - 1);
        token->kind = quote ? INVARIANT_STRING : INVARIANT_UNENDED;
        token->len = quote ? (size_t) (quote - token->text)
                           : lexer->end - token->pos - 1;
        lexer->next = token->pos + 1 + token->len + (quote != NULL);
    } else {
        token->kind = INVARIANT_WORD;
        while (lexer->next < lexer->end && !is_blank(text[lexer->next]) &&
               !is_mark(text[lexer->next]) &&
               !strchr("\"#", text[lexer->next])) {
            lexer->next++;
        }
        token->len = lexer->next - token->pos;
    }
}

struct invariant_lexer
invariant_lexer_init(const char *text, size_t begin, size_t end)
{
    struct invariant_lexer lexer = {.text = text, .next = begin, .end = end};

    invariant_lexer_next(&lexer);
    return lexer;
}

bool
invariant_lexer_is(const struct invariant_lexer *lexer, const char *word)
{
    const struct invariant_token *token = &lexer->token;

    return token->kind == INVARIANT_WORD && token->len == strlen(word) &&
           !memcmp(token->text, word, token->len);
}

bool
invariant_lexer_is_mark(const struct invariant_lexer *lexer, char mark)
{
    return lexer->token.kind == INVARIANT_MARK && *lexer->token.text == mark;
}
