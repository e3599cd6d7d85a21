/* SPDX-License-Identifier: Apache-2.0 */
/* app_pager - long output at a terminal goes through $PAGER.
 *
 * Threads: one. */
#ifndef APPS_APP_PAGER_H
#define APPS_APP_PAGER_H 1

#include <stdio.h>

/* A stream to the user's pager ($LASTHOP_PAGER, $PAGER, or less, set up to
 * leave what fits a screen alone), or stdout when that is no terminal, no
 * pager is wanted ("" or "cat") or none can be started. */
FILE *app_pager_open(void);
/* For a program that prints once: from now on standard output goes through the
 * pager, if there is one; the program ends when the user leaves it, and waits
 * for that at its own end. */
void app_pager_start(void);
/* Waits for the pager to end. */
void app_pager_close(FILE *);

#endif /* apps/app_pager.h */
