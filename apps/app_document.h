/* SPDX-License-Identifier: Apache-2.0 */
/* app_document - what is made of a program's options: the text of --help,
 * parts of its manual, and completion for bash and zsh.
 *
 * The build makes the manual docs/man/NAME.SECTION of the same file with .in,
 * in which these lines stand for what the tables say:
 *
 *     @options@       the list of options
 *     @settings@      the environment and the files that set some of them
 *     @exit-status@   the list of exit statuses
 *
 * Threads: one. */
#ifndef APPS_APP_DOCUMENT_H
#define APPS_APP_DOCUMENT_H 1

#include <stdio.h>

#include "apps/app.h"

/* The text of --help. */
void app_document_help(const struct app_program *, FILE *);
void app_document_bash(const struct app_program *, FILE *);
void app_document_zsh(const struct app_program *, FILE *);
/* The manual, of the file 'path'.  0 or a positive errno. */
int app_document_manual(const struct app_program *, const char *path, FILE *);

/* Writes the one called 'what': "help", "bash", "zsh", or "manual" of the file
 * 'path'.  0 or a positive errno, with what is wrong on stderr. */
int app_document_write(const struct app_program *, const char *what,
                       const char *path, FILE *);

#endif /* apps/app_document.h */
