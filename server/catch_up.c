/* SPDX-License-Identifier: Apache-2.0 */
/* catch_up - whether agents that were cut off are sending what they
 * spooled. */
#include <config.h>

#include "server/catch_up.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

struct catch_up {
    _Atomic uint64_t until_ns; /* 0: never. */
};

struct catch_up *
catch_up_create(void)
{
    return lh_alloc_zero(sizeof(struct catch_up));
}

void
catch_up_destroy(struct catch_up *c)
{
    free(c);
}

void
catch_up_note(struct catch_up *c, uint64_t now_ns)
{
    atomic_store(&c->until_ns, now_ns + CATCH_UP_HOLD_NS);
}

uint64_t
catch_up_extra(const struct catch_up *c, uint64_t now_ns)
{
    uint64_t until_ns = atomic_load(&c->until_ns);

    /* A clock that went back ends it. */
    return now_ns < until_ns && until_ns - now_ns <= 2 * CATCH_UP_HOLD_NS
               ? CATCH_UP_WINDOW_NS
               : 0;
}
