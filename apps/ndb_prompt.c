/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_prompt - reads commands at a terminal: editing, history, completion. */
#include <config.h>
#include "apps/ndb_prompt.h"

#include <errno.h>
#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/app_interrupt.h"
#include "apps/ndb_completion.h"
#include "lib/lh_alloc.h"

#define HISTORY_LINES 1000

struct ndb_prompt {
    struct ndb *ndb;  /* Borrowed. */
    EditLine *el;     /* Owned. */
    History *history; /* Owned. */
    char *path;       /* Of the history's file; NULL: nowhere.  Owned. */
};

static char *
prompt_text(EditLine *el)
{
    static char text[] = "(ndb) ", more[] = ">";
    struct ndb_prompt *prompt;

    el_get(el, EL_CLIENTDATA, &prompt);
    return prompt->ndb->breaks.defining ? more : text;
}

/* Shows what may stand there, in columns. */
static void
show_words(const struct ndb *ndb, const struct ndb_completion *c)
{
    size_t width = 0, screen = ndb->width > 0 ? (size_t) ndb->width : 80;
    size_t n_columns;

    for (size_t i = 0; i < c->n; i++) {
        size_t len = strlen(c->words[i]);

        width = len > width ? len : width;
    }
    n_columns = screen / (width + 2) ? screen / (width + 2) : 1;
    for (size_t i = 0; i < c->n; i++) {
        printf("%s%-*s", i % n_columns ? "  " : "\n",
               (i + 1) % n_columns && i + 1 < c->n ? (int) width : 0,
               c->words[i]);
    }
    putchar('\n');
    fflush(stdout);
}

static unsigned char
complete(EditLine *el, int ch)
{
    const LineInfo *info = el_line(el);
    size_t len = (size_t) (info->cursor - info->buffer);
    char *line = lh_alloc_zero(len + 1);
    unsigned char result = CC_REFRESH_BEEP;
    struct ndb_prompt *prompt;
    struct ndb_completion c;
    char *more;

    el_get(el, EL_CLIENTDATA, &prompt);
    memcpy(line, info->buffer, len);
    ndb_completion_find(prompt->ndb, line, &c);
    more =
        lh_asprintf("%.*s%s", c.n ? (int) (c.common - c.word_len) : 0,
                    c.n ? c.words[0] + c.word_len : "", c.n == 1 ? " " : "");
    if (*more) {
        result = el_insertstr(el, more) ? CC_ERROR : CC_REFRESH;
    } else if (c.n) {
        show_words(prompt->ndb, &c);
        result = CC_REDISPLAY;
    }
    ndb_completion_uninit(&c);
    free(more);
    free(line);
    return result;
}

struct ndb_prompt *
ndb_prompt_create(struct ndb *ndb)
{
    struct ndb_prompt *prompt = lh_alloc_zero(sizeof *prompt);
    const char *home = getenv("HOME");
    HistEvent event;

    prompt->ndb = ndb;
    prompt->el = el_init("ndb", stdin, stdout, stderr);
    prompt->history = history_init();
    history(prompt->history, &event, H_SETSIZE, HISTORY_LINES);
    history(prompt->history, &event, H_SETUNIQUE, 1);
    if (home && *home) {
        prompt->path = lh_asprintf("%s/.ndb_history", home);
        history(prompt->history, &event, H_LOAD, prompt->path);
    }
    el_set(prompt->el, EL_CLIENTDATA, prompt);
    el_set(prompt->el, EL_PROMPT, prompt_text);
    el_set(prompt->el, EL_EDITOR, "emacs");
    el_set(prompt->el, EL_HIST, history, prompt->history);
    el_set(prompt->el, EL_ADDFN, "ndb-complete", "Complete the word",
           complete);
    el_set(prompt->el, EL_BIND, "^I", "ndb-complete", NULL);
    el_set(prompt->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(prompt->el, NULL);
    return prompt;
}

void
ndb_prompt_destroy(struct ndb_prompt *prompt)
{
    HistEvent event;

    if (prompt) {
        if (prompt->path) {
            mode_t mask = umask(077);

            history(prompt->history, &event, H_SAVE, prompt->path);
            umask(mask);
        }
        history_end(prompt->history);
        el_end(prompt->el);
        free(prompt->path);
        free(prompt);
    }
}

char *
ndb_prompt_read(struct ndb_prompt *prompt)
{
    HistEvent event;
    const char *line;
    int count = 0;

    app_interrupt_clear();
    errno = 0;
    line = el_gets(prompt->el, &count);
    if (!line || count <= 0) {
        /* The terminal is left in the state of editing when a signal ends a
         * line. */
        el_reset(prompt->el);
        putchar('\n');
        return app_interrupt_came() ? lh_strdup("") : NULL;
    }
    if (line[strspn(line, " \t\r\n")]) {
        history(prompt->history, &event, H_ENTER, line);
    }
    return lh_strdup(line);
}
