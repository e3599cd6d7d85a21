/* SPDX-License-Identifier: Apache-2.0 */
/* app_completion - what bash and zsh are told of a program's options; part of
 * app_document. */
#include <config.h>
#include "apps/app_document.h"

#include <ctype.h>
#include <string.h>

/* --- words --------------------------------------------------------------- */

/* 'name' as part of a shell function's. */
static void
put_identifier(FILE *out, const char *name)
{
    for (; *name; name++) {
        fputc(isalnum((unsigned char) *name) ? *name : '_', out);
    }
}

/* 'choices' with blanks in place of '|'. */
static void
put_choices(FILE *out, const char *choices)
{
    for (; *choices; choices++) {
        fputc(*choices == '|' ? ' ' : *choices, out);
    }
}

/* The words that may come first, each once. */
static void
put_commands(FILE *out, const struct app_command *commands)
{
    const char *last = "";
    size_t last_len = 0;

    for (const struct app_command *c = commands; c->name; c++) {
        size_t len = strcspn(c->name, " ");

        if (len != last_len || memcmp(c->name, last, len) != 0) {
            fprintf(out, "%s%.*s", c == commands ? "" : " ", (int) len,
                    c->name);
        }
        last = c->name;
        last_len = len;
    }
}

/* Whether the first word of 'command' is that of the one before. */
static bool
is_same_word(const struct app_command *commands,
             const struct app_command *command)
{
    size_t len = strcspn(command->name, " ");

    return command > commands &&
           !strncmp(command[-1].name, command->name, len) &&
           command[-1].name[len] == ' ';
}

/* The second words of the commands that begin as 'first', the first of
 * them. */
static void
put_second_words(FILE *out, const struct app_command *commands,
                 const struct app_command *first)
{
    size_t len = strcspn(first->name, " ");

    for (const struct app_command *c = first;
         c == first || (c->name && is_same_word(commands, c)); c++) {
        fprintf(out, "%s%s", c == first ? "" : " ", c->name + len + 1);
    }
}

static bool
has_choices(const struct app_command *command)
{
    return strchr(command->args, '|');
}

/* The words between '|' and brackets in what it takes: "[a|b] [c|d]". */
static void
put_arg_choices(FILE *out, const struct app_command *command)
{
    for (const char *s = command->args; *s; s++) {
        fputc(strchr("[]|", *s) ? ' ' : *s, out);
    }
}

/* What files it takes: 'f' any, 'd' directories, '\0' none. */
static char
what_files(const struct app_command *command)
{
    size_t len = strlen(command->args);
    const char *end = command->args + (len < 4 ? 0 : len - 4);

    return !strcmp(end, "FILE")                                  ? 'f'
           : len >= 3 && !strcmp(command->args + len - 3, "DIR") ? 'd'
                                                                 : '\0';
}

/* --- bash ---------------------------------------------------------------- */

static void
put_bash_files(char what, FILE *out)
{
    fprintf(out,
            "        compopt -o filenames 2>/dev/null\n"
            "        mapfile -t COMPREPLY < <(compgen -%c -- \"$cur\")\n",
            what);
}

/* A case of "what stands before" for each option that takes something. */
static void
put_bash_values(const struct app_option *const *tables, FILE *out)
{
    size_t n = app_option_count(tables);

    for (size_t i = 0; i < n; i++) {
        const struct app_option *o = app_option_at(tables, i);

        if (!o->name || !o->value) {
            continue;
        }
        fputs("    ", out);
        if (o->letter) {
            fprintf(out, "-%c|", o->letter);
        }
        fprintf(out, "--%s)\n", o->name);
        if (o->choices) {
            fputs("        COMPREPLY=($(compgen -W \"", out);
            put_choices(out, o->choices);
            fputs("\" -- \"$cur\"))\n", out);
        } else if (app_option_takes_file(o) || app_option_takes_dir(o)) {
            put_bash_files(app_option_takes_dir(o) ? 'd' : 'f', out);
        }
        fputs("        return ;;\n", out);
    }
}

static void
put_bash_names(const struct app_option *const *tables, FILE *out)
{
    size_t n = app_option_count(tables);

    fputs("    if [[ $cur == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"",
          out);
    for (size_t i = 0; i < n; i++) {
        const struct app_option *o = app_option_at(tables, i);

        if (o->name) {
            fprintf(out, " --%s%s", o->name, o->value ? "=" : "");
        }
    }
    fputs("\" -- \"$cur\"))\n"
          "        if [[ ${COMPREPLY[0]} == *= ]]; then\n"
          "            compopt -o nospace 2>/dev/null\n"
          "        fi\n"
          "        return\n"
          "    fi\n",
          out);
}

/* What comes after the command: its second word, words, or files. */
static void
put_bash_after(const struct app_command *commands, const struct app_command *c,
               FILE *out)
{
    size_t len = strcspn(c->name, " ");
    char files = what_files(c);

    if (c->name[len] && !is_same_word(commands, c)) {
        fprintf(out, "    \"%.*s %.*s\")\n        COMPREPLY=($(compgen -W \"",
                (int) len, c->name, (int) len, c->name);
        put_second_words(out, commands, c);
        fputs("\" -- \"$cur\"))\n        return ;;\n", out);
    }
    if (has_choices(c)) {
        fprintf(out, "    \"%s \"*)\n        COMPREPLY=($(compgen -W \"",
                c->name);
        put_arg_choices(out, c);
        fputs("\" -- \"$cur\"))\n        return ;;\n", out);
    } else if (files) {
        fprintf(out, "    \"%s%s%s\")\n", c->name, c->name[len] ? "" : " ",
                c->name[len] ? "" : c->name);
        put_bash_files(files, out);
        fputs("        return ;;\n", out);
    }
}

/* Finds out whether the command is there already. */
static void
put_bash_commands(const struct app_program *program, FILE *out)
{
    const struct app_option *const *tables = app_tables(program);
    const struct app_command *commands = program->commands;
    size_t n = app_option_count(tables);

    fputs("    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        word=${COMP_WORDS[i]}\n"
          "        case $word in\n",
          out);
    for (size_t i = 0; i < n; i++) {
        const struct app_option *o = app_option_at(tables, i);

        if (o->value) {
            fputs("        ", out);
            if (o->letter) {
                fprintf(out, "-%c|", o->letter);
            }
            fprintf(out,
                    "--%s)\n"
                    "            if [[ ${COMP_WORDS[i + 1]} == \"=\" ]]; "
                    "then\n"
                    "                ((i++))\n"
                    "            fi\n"
                    "            ((i++)) ;;\n",
                    o->name);
        }
    }
    fputs("        -*) ;;\n"
          "        *)\n"
          "            command=$word\n"
          "            break ;;\n"
          "        esac\n"
          "    done\n"
          "    if [[ -z $command ]]; then\n"
          "        COMPREPLY=($(compgen -W \"",
          out);
    put_commands(out, commands);
    fputs("\" -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    case \"$command $prev\" in\n",
          out);
    for (const struct app_command *c = commands; c->name; c++) {
        put_bash_after(commands, c, out);
    }
    fputs("    esac\n", out);
}

void
app_document_bash(const struct app_program *program, FILE *out)
{
    const struct app_option *const *tables = app_tables(program);

    fprintf(out,
            "# SPDX-License-Identifier: Apache-2.0\n"
            "# bash completion for %s, made from its options.\n\n_",
            program->name);
    put_identifier(out, program->name);
    fputs("()\n"
          "{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]}\n"
          "    local prev=${COMP_WORDS[COMP_CWORD - 1]} command= word i\n"
          "    COMPREPLY=()\n"
          "    # Bash takes the \"=\" of --option=value for a word of its "
          "own.\n"
          "    if [[ $cur == \"=\" ]]; then\n"
          "        cur=\n"
          "    elif [[ $prev == \"=\" ]]; then\n"
          "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    fi\n"
          "    case $prev in\n",
          out);
    put_bash_values(tables, out);
    fputs("    esac\n", out);
    put_bash_names(tables, out);
    if (program->commands) {
        put_bash_commands(program, out);
    }
    if (program->takes_files) {
        fputs("    compopt -o filenames 2>/dev/null\n"
              "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n",
              out);
    }
    fputs("}\ncomplete -F _", out);
    put_identifier(out, program->name);
    fprintf(out, " %s\n", program->name);
}

/* --- zsh ----------------------------------------------------------------- */

/* The first sentence of 'text', for single quotes and brackets. */
static void
put_zsh_text(FILE *out, const char *text)
{
    const char *end = strstr(text, ". ");
    size_t len = end ? (size_t) (end - text) : strlen(text);

    len -= len && text[len - 1] == '.';
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'') {
            fputs("'\\''", out);
        } else if (strchr("[]:\\", text[i])) {
            fprintf(out, "\\%c", text[i]);
        } else {
            fputc(text[i], out);
        }
    }
}

/* What an option takes. */
static void
put_zsh_value(FILE *out, const struct app_option *o)
{
    if (!o->value) {
        return;
    }
    fputc(':', out);
    put_zsh_text(out, o->value);
    fputc(':', out);
    if (o->choices) {
        fputc('(', out);
        put_choices(out, o->choices);
        fputc(')', out);
    } else if (app_option_takes_file(o) || app_option_takes_dir(o)) {
        fputs(app_option_takes_dir(o) ? "_files -/" : "_files", out);
    }
}

static void
put_zsh_option(FILE *out, const struct app_option *o)
{
    bool may_repeat = o->type == APP_CALL;
    const char *equals = o->value ? "=" : "";

    fputs("    ", out);
    if (o->letter) {
        fprintf(out, "%s{-%c%s,--%s%s}'[", may_repeat ? "'*'" : "", o->letter,
                o->value ? "+" : "", o->name, equals);
    } else {
        fprintf(out, "'%s--%s%s[", may_repeat ? "*" : "", o->name, equals);
    }
    put_zsh_text(out, o->help);
    fputc(']', out);
    put_zsh_value(out, o);
    fputs("' \\\n", out);
}

/* What comes after the command. */
static void
put_zsh_after(const struct app_command *commands, const struct app_command *c,
              FILE *out)
{
    size_t len = strcspn(c->name, " ");

    if (c->name[len] && !is_same_word(commands, c)) {
        fprintf(out, "    '%.*s')\n        compadd -- ", (int) len, c->name);
        put_second_words(out, commands, c);
        fputs(" ;;\n", out);
    }
    if (has_choices(c)) {
        fprintf(out, "    '%s'*)\n        compadd -- ", c->name);
        put_arg_choices(out, c);
        fputs(" ;;\n", out);
    } else if (what_files(c)) {
        fprintf(out, "    '%s')\n        _files%s ;;\n", c->name,
                what_files(c) == 'd' ? " -/" : "");
    }
}

static void
put_zsh_commands(const struct app_program *program, FILE *out)
{
    const struct app_command *commands = program->commands;

    fputs("    '1:command:(", out);
    put_commands(out, commands);
    fputs(")' \\\n"
          "    '*::argument:->argument'\n\n"
          "[[ $state == argument ]] || return\n"
          "case \"${words[1,CURRENT-1]}\" in\n",
          out);
    for (const struct app_command *c = commands; c->name; c++) {
        put_zsh_after(commands, c, out);
    }
    fprintf(out, "%sesac\n",
            program->takes_files ? "    *)\n        _files ;;\n" : "");
}

void
app_document_zsh(const struct app_program *program, FILE *out)
{
    const struct app_option *const *tables = app_tables(program);
    size_t n = app_option_count(tables);

    fprintf(out,
            "#compdef %s\n"
            "# SPDX-License-Identifier: Apache-2.0\n"
            "# zsh completion for %s, made from its options.\n\n"
            "%s_arguments -s -S%s \\\n",
            program->name, program->name,
            program->commands ? "local curcontext=\"$curcontext\" state\n"
                              : "",
            program->commands ? " -C" : "");
    for (size_t i = 0; i < n; i++) {
        const struct app_option *o = app_option_at(tables, i);

        if (o->name) {
            put_zsh_option(out, o);
        }
    }
    if (program->commands) {
        put_zsh_commands(program, out);
    } else {
        fprintf(out, "    '*:argument:%s'\n",
                program->takes_files ? "_files" : "");
    }
}
