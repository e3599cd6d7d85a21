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

#include "apps/ndb_commands.h"
#include "apps/app_interrupt.h"
#include "lib/lh_alloc.h"

#define HISTORY_LINES 1000

struct ndb_prompt {
    EditLine *el;     /* Owned. */
    History *history; /* Owned. */
    char *path;       /* Of the history's file; NULL: nowhere.  Owned. */
};

static char *
prompt_text(EditLine *el)
{
    static char text[] = "(ndb) ";

    return text;
}

/* What may be completed with. */
struct candidates {
    const char *word; /* What stands there, 'len' bytes. */
    size_t len;
    size_t n;
    size_t common; /* Bytes that all candidates share. */
    const char *first;
};

static void
consider(struct candidates *c, const char *candidate)
{
    size_t i = 0;

    if (strncmp(candidate, c->word, c->len) != 0) {
        return;
    }
    if (!c->n++) {
        c->first = candidate;
        c->common = strlen(candidate);
        return;
    }
    while (i < c->common && candidate[i] == c->first[i]) {
        i++;
    }
    c->common = i;
}

/* Considers what may stand at the cursor: a command, or the topic of info, the
 * name of a command after help, an option of find, a term of a filter. */
static void
consider_all(struct candidates *c, const char *line, const char *word)
{
    static const char *const terms[] = {"--bpf ",     "--dpid ",
                                        "--inport ",  "--outport ",
                                        "--version ", "--verdict "};
    static const char *const options[] = {"--since ", "--until ", "--limit ",
                                          "--oldest "};
    const char *open = NULL;

    for (const char *s = line; s + 1 < word; s++) {
        open = !strncmp(s, "{{", 2) ? s : !strncmp(s, "}}", 2) ? NULL : open;
    }
    if (word == line || !strncmp(line, "help ", 5)) {
        for (const struct ndb_command *k = ndb_commands; k->name; k++) {
            consider(c, k->name);
        }
    } else if (!strncmp(line, "info ", 5)) {
        for (size_t i = 0; ndb_info_topics[i]; i++) {
            consider(c, ndb_info_topics[i]);
        }
    } else if (open) {
        for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
            consider(c, terms[i]);
        }
    } else {
        for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
            consider(c, options[i]);
        }
    }
}

static unsigned char
complete(EditLine *el, int ch)
{
    const LineInfo *info = el_line(el);
    size_t len = (size_t) (info->cursor - info->buffer);
    char *line = lh_alloc_zero(len + 1);
    struct candidates c = {.n = 0};
    const char *word;
    char more[80];

    memcpy(line, info->buffer, len);
    word = line + len;
    while (word > line && !strchr(" \t{", word[-1])) {
        word--;
    }
    c.word = word;
    c.len = strlen(word);
    consider_all(&c, line, word);
    snprintf(more, sizeof more, "%.*s%s", c.n ? (int) (c.common - c.len) : 0,
             c.n ? c.first + c.len : "",
             c.n == 1 && c.first[c.common - 1] != ' ' ? " " : "");
    free(line);
    return *more && !el_insertstr(el, more) ? CC_REFRESH : CC_REFRESH_BEEP;
}

struct ndb_prompt *
ndb_prompt_create(void)
{
    struct ndb_prompt *prompt = lh_alloc_zero(sizeof *prompt);
    const char *home = getenv("HOME");
    HistEvent event;

    prompt->el = el_init("ndb", stdin, stdout, stderr);
    prompt->history = history_init();
    history(prompt->history, &event, H_SETSIZE, HISTORY_LINES);
    history(prompt->history, &event, H_SETUNIQUE, 1);
    if (home && *home) {
        prompt->path = lh_asprintf("%s/.ndb_history", home);
        history(prompt->history, &event, H_LOAD, prompt->path);
    }
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
