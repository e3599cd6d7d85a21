/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_interrupt - Ctrl-C ends what ndb is doing, not ndb. */
#include <config.h>
#include "apps/ndb_interrupt.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t came;

static void
note(int number)
{
    came = 1;
}

void
ndb_interrupt_init(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = note; /* Without SA_RESTART. */
    sigaction(SIGINT, &action, NULL);
}

bool
ndb_interrupt_came(void)
{
    return came;
}

void
ndb_interrupt_clear(void)
{
    came = 0;
}
