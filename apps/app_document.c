/* SPDX-License-Identifier: Apache-2.0 */
/* app_document - what is made of a program's options: --help and the
 * manual. */
#include <config.h>
#include "apps/app_document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_setting.h"
#include "lib/lh_alloc.h"

/* Columns of --help, and where what an option does begins. */
#define HELP_WIDTH  79
#define HELP_INDENT 26

/* --- help ---------------------------------------------------------------- */

/* Writes words up to HELP_WIDTH columns a line; the first line is at 'column'
 * already, all begin at 'indent'. */
static void
put_wrapped(FILE *out, size_t column, size_t indent, const char *text)
{
    bool is_first = true;

    if (column + 1 >= indent) {
        fputc('\n', out);
        column = 0;
    }
    while (*text) {
        size_t len = strcspn(text, " ");

        if (is_first) {
            fprintf(out, "%*s", (int) (indent - column), "");
            column = indent;
        } else if (column + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%*s", (int) indent, "");
            column = indent;
        } else {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, len, out);
        column += len;
        is_first = false;
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void
put_help_option(FILE *out, const struct app_option *o)
{
    char *left =
        o->letter ? lh_asprintf("  -%c, --%s%s%s", o->letter, o->name,
                                o->value ? " " : "", o->value ? o->value : "")
                  : lh_asprintf("      --%s%s%s", o->name, o->value ? " " : "",
                                o->value ? o->value : "");

    fputs(left, out);
    put_wrapped(out, strlen(left), HELP_INDENT, o->help);
    free(left);
}

static void
put_help_commands(FILE *out, const struct app_command *command)
{
    fputc('\n', out);
    for (; command->name; command++) {
        char *left = lh_asprintf("  %s%s%s", command->name,
                                 *command->args ? " " : "", command->args);

        fputs(left, out);
        put_wrapped(out, strlen(left), HELP_INDENT, command->help);
        free(left);
    }
}

void
app_document_help(const struct app_program *program, FILE *out)
{
    const struct app_option *const *tables = app_tables(program);
    size_t n = app_option_count(tables);

    for (size_t i = 0; program->usages[i]; i++) {
        fprintf(out, "%s %s %s\n", i ? "      " : "usage:", program->name,
                program->usages[i]);
    }
    fprintf(out, "%s\n", program->summary);
    if (program->commands) {
        put_help_commands(out, program->commands);
    }
    for (size_t i = 0; i < n; i++) {
        const struct app_option *o = app_option_at(tables, i);

        if (o->name) {
            put_help_option(out, o);
        } else {
            fprintf(out, "\n%s:\n", o->help);
        }
    }
    if (program->examples) {
        fprintf(out, "\nTry:\n\n%s", program->examples);
    }
    fputs("\nExit status:\n", out);
    for (const struct app_exit *e = program->exits; e->meaning; e++) {
        put_wrapped(out, (size_t) fprintf(out, "  %d", e->status), 7,
                    e->meaning);
    }
    fprintf(out, "\n%s(%u) says more.\n", program->name, program->section);
}

/* --- the manual ---------------------------------------------------------- */

/* Writes text into a line of mdoc(7). */
static void
put_mdoc(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\') {
            fputs("\\e", out);
        } else if (*text == '-') {
            fputs("\\-", out);
        } else {
            fputc(*text, out);
        }
    }
}

/* Writes sentences, each on a line of its own. */
static void
put_sentences(FILE *out, const char *text)
{
    while (text && *text) {
        const char *end = strstr(text, ". ");
        size_t len = end ? (size_t) (end - text) + 1 : strlen(text);
        char *sentence = lh_asprintf("%.*s", (int) len, text);

        if (*sentence == '.' || *sentence == '\'') {
            fputs("\\&", out);
        }
        put_mdoc(out, sentence);
        fputc('\n', out);
        free(sentence);
        text += len;
        text += strspn(text, " ");
    }
}

static void
put_manual_options(const struct app_program *program, FILE *out)
{
    const struct app_option *const *tables = app_tables(program);
    size_t n = app_option_count(tables);
    bool is_open = false;

    for (size_t i = 0; i < n; i++) {
        const struct app_option *o = app_option_at(tables, i);

        if (!o->name) {
            fprintf(out, "%s.Ss %s\n.Bl -tag -width Ds\n",
                    is_open ? ".El\n" : "", o->help);
            is_open = true;
            continue;
        }
        if (!is_open) {
            fputs(".Bl -tag -width Ds\n", out);
            is_open = true;
        }
        fputs(".It ", out);
        if (o->letter) {
            fprintf(out, "Fl %c , ", o->letter);
        }
        fprintf(out, "Fl -%s", o->name);
        if (o->value) {
            fprintf(out, " Ar %s", o->value);
        }
        fputc('\n', out);
        put_sentences(out, o->help);
        put_sentences(out, o->more);
    }
    fputs(".El\n", out);
}

static void
put_manual_settings(const struct app_program *program, FILE *out)
{
    const struct app_option *const *tables = app_tables(program);
    size_t n = app_option_count(tables);

    fputs("Some options may be set for good, by environment variables or in "
          "a file with lines\n.Dq name = value\n(the name of the option "
          "without its dashes; yes or no where it takes no value;\nlines that "
          "begin with # are comments).\nThe command line wins over the "
          "environment, and that over the files.\n.Bl -tag -width Ds\n",
          out);
    for (size_t i = 0; i < n; i++) {
        const struct app_option *o = app_option_at(tables, i);

        if (o->is_setting) {
            char *variable = app_setting_variable(o->name);

            fprintf(out, ".It Ev %s\nAs\n.Fl -%s .\n", variable, o->name);
            free(variable);
        }
    }
    fputs(".It Ev LASTHOP_RUNDIR\nThe directory of the sockets, by default\n"
          ".Pa /run/lasthop .\n"
          ".It Ev LASTHOP_CONFIG\nA file that is read instead of the two "
          "below.\n",
          out);
    if (program->has & APP_HAS_LOOKS) {
        fputs(".It Ev LASTHOP_PAGER , PAGER\nThe pager for long output at a "
              "terminal, by default\n.Xr less 1 ;\nempty or\n.Sq cat\n"
              "for none.\n"
              ".It Ev NO_COLOR\nWhen set, no colors.\n",
              out);
    }
    fputs(".It Pa /etc/lasthop/client.conf\nSettings of all users.\n"
          ".It Pa ~/.config/lasthop/config\nSettings of the user\n"
          ".Pq in Ev XDG_CONFIG_HOME No if that is set .\n.El\n",
          out);
}

static void
put_manual_exits(const struct app_program *program, FILE *out)
{
    fputs(".Bl -tag -width Ds\n", out);
    for (const struct app_exit *e = program->exits; e->meaning; e++) {
        fprintf(out, ".It %d\n", e->status);
        put_sentences(out, e->meaning);
    }
    fputs(".El\n", out);
}

/* False when 'line' is none of the program's own. */
static bool
put_fragment(const struct app_program *program, const char *line, FILE *out)
{
    const struct app_fragment *f = program->fragments;

    for (; f && f->line; f++) {
        if (!strncmp(line, f->line, strlen(f->line)) &&
            !strcmp(line + strlen(f->line), "\n")) {
            f->put(out);
            return true;
        }
    }
    return false;
}

int
app_document_manual(const struct app_program *program, const char *path,
                    FILE *out)
{
    FILE *in = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;

    if (!in) {
        return errno;
    }
    while (getline(&line, &size, in) >= 0) {
        if (!strcmp(line, "@options@\n")) {
            put_manual_options(program, out);
        } else if (!strcmp(line, "@settings@\n")) {
            put_manual_settings(program, out);
        } else if (!strcmp(line, "@exit-status@\n")) {
            put_manual_exits(program, out);
        } else if (!put_fragment(program, line, out)) {
            fputs(line, out);
        }
    }
    free(line);
    fclose(in);
    return 0;
}

int
app_document_write(const struct app_program *program, const char *what,
                   const char *path, FILE *out)
{
    int retval = 0;

    if (!strcmp(what, "help")) {
        app_document_help(program, out);
    } else if (!strcmp(what, "bash")) {
        app_document_bash(program, out);
    } else if (!strcmp(what, "zsh")) {
        app_document_zsh(program, out);
    } else if (!strcmp(what, "manual") && path) {
        retval = app_document_manual(program, path, out);
        if (retval) {
            fprintf(stderr, "%s: %s: %s\n", program->name, path,
                    strerror(retval));
        }
    } else {
        fprintf(stderr,
                "%s: --generate takes help, bash, zsh, or manual and a "
                "file\n",
                program->name);
        retval = EINVAL;
    }
    return retval;
}
