/* SPDX-License-Identifier: Apache-2.0 */
/* template_log - the templates of a ring, on disk: an agent that is started
 * again finds postcards in the ring whose templates were told before.
 *
 * Each entry has the place in the ring where it was told, so that those of
 * before the place where reading goes on can be told from later ones.
 *
 * Ownership: template_log_open() to template_log_close(); the file is
 * removed by template_log_remove().
 *
 * Threads: one. */
#ifndef AGENT_TEMPLATE_LOG_H
#define AGENT_TEMPLATE_LOG_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hop_template.h"
#include "lib/lh_error.h"

struct template_log;

/* The file 'path', made when it is not there.  Returns 0 or an errno with the
 * reason. */
int template_log_open(const char *path, struct template_log **,
                      struct lh_error *);
void template_log_close(struct template_log *);
/* Closes it, and removes the file. */
void template_log_remove(struct template_log *);

/* Calls 'visit' for each entry of before 'tail', in order.  What is cut off or
 * malformed at the end of the file is dropped. */
void template_log_load(struct template_log *, uint64_t tail,
                       void (*visit)(void *aux, uint16_t slot,
                                     const struct hop_template *),
                       void *aux);
/* Notes that the record at 'at' said that 'slot' is 'template'.  An error is
 * counted: the disk is full. */
void template_log_put(struct template_log *, uint64_t at, uint16_t slot,
                      const struct hop_template *);
/* Whether so much was put that it should be written anew, and does so: 'slots'
 * are the 4,096 templates that slots mean now (NULL: none). */
bool template_log_is_long(const struct template_log *);
void template_log_rewrite(struct template_log *,
                          const struct hop_template *const *slots);
uint64_t template_log_n_errors(const struct template_log *);

#endif /* agent/template_log.h */
