/* SPDX-License-Identifier: Apache-2.0 */
/* bench_done - waits for requests to NATS that must not fail. */
#include <config.h>
#include "bench/bench_done.h"

#include <check.h>
#include <stdbool.h>

#include "tests/lib/nats_fixture.h"

void
bench_done_take(void *n, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    --*(size_t *) n;
}

static bool
is_positive(void *n)
{
    return *(size_t *) n > 0;
}

void
bench_done_wait(struct event_base *base, size_t *n)
{
    nats_loop_while(base, is_positive, n);
}
