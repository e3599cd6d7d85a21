/* SPDX-License-Identifier: Apache-2.0 */
/* alert_command - runs a command for every alert, without waiting for it.
 *
 * The command is run by /bin/sh, one at a time, with the alert as JSON on its
 * standard input and in its environment; what it prints goes to standard
 * error.  Up to ALERT_COMMAND_QUEUE alerts wait for their turn, of more the
 * rest is dropped and counted.  A command that takes too long is killed with
 * all that it started.
 *
 * Threads: one; alert_command_tick() has to be called now and then. */
#ifndef APPS_ALERT_COMMAND_H
#define APPS_ALERT_COMMAND_H 1

#include <stdbool.h>
#include <stdint.h>

#define ALERT_COMMAND_QUEUE 100

struct alert_command;

struct alert_command_totals {
    uint64_t run, failed, killed, dropped;
};

/* 'command' is borrowed; 'say' gets what went wrong, in words. */
struct alert_command *
alert_command_create(const char *command, uint64_t timeout_ns,
                     void (*say)(void *aux, const char *what), void *aux);
/* Kills what still runs. */
void alert_command_destroy(struct alert_command *);

/* Runs it, soon.  'input' is for its standard input; 'environment' holds
 * "NAME=value" texts, ended by NULL, beside which it has ours.  Both are
 * copied. */
void alert_command_run(struct alert_command *, const char *input,
                       const char *const *environment);
/* Starts and ends what is due.  Returns whether anything runs or waits. */
bool alert_command_tick(struct alert_command *);
const struct alert_command_totals *
alert_command_totals(const struct alert_command *);

#endif /* apps/alert_command.h */
