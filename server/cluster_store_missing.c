/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_store_missing - messages of histories that a marker tells of, and
 * that have not come: NATS may have lost what it acknowledged, or a copy of
 * the stream may lack what others have.  Another reader may have another copy,
 * and who sent them has them for a while. */
#include <config.h>

#include <inttypes.h>

#include "lib/monotonic.h"
#include "lib/say.h"
#include "server/cluster_sent.h"
#include "server/cluster_store_impl.h"
#include "server/store_intake.h"

/* They are read again, the first time so late, and given up. */
#define AGAIN_NS   UINT64_C(1000000000)
#define MISSING_NS UINT64_C(60000000000)
/* A marker comes a moment after what it tells of. */
#define STUCK_NS UINT64_C(5000000000)

static void
give_missing_up(struct cluster_store *s)
{
    uint64_t n = store_intake_give_up(s->intake);

    s->missing_ns = 0;
    s->has_news = true;
    say_error("archive of shard %" PRIu32 ": %" PRIu64
              " messages of histories that NATS had acknowledged are not "
              "there any more, and are lost",
              s->config.shard, n);
}

static void
ask(void *s_, uint32_t k, uint64_t first, uint64_t last)
{
    const struct cluster_store *s = s_;
    const struct cluster_sent_wanted wanted = {
        .m = s->config.shard, .k = k, .first = first, .last = last};

    cluster_sent_ask(s->config.bus, &wanted);
}

static void
read_again(struct cluster_store *s, uint64_t now_ns)
{
    if (now_ns - s->again_ns > s->again_wait_ns) {
        s->again_ns = now_ns;
        s->again_wait_ns *= 2;
        cluster_store_read_again(s);
        store_intake_each_wanted(s->intake, ask, s);
    }
}

/* Whether the same message has waited for its marker for so long that this one
 * is likely to be missing too. */
static bool
is_stuck(struct cluster_store *s, uint64_t now_ns)
{
    uint64_t oldest = store_intake_oldest(s->intake);

    if (oldest != s->oldest_seq) {
        s->oldest_seq = oldest;
        s->oldest_ns = now_ns;
    }
    return oldest != UINT64_MAX && now_ns - s->oldest_ns > STUCK_NS;
}

void
cluster_store_look_for_missing(struct cluster_store *s)
{
    uint64_t now_ns = monotonic_ns();
    bool is_waiting = store_intake_n_held(s->intake) > 0;
    bool is_wanting = is_stuck(s, now_ns) || is_waiting;

    if (!is_wanting) {
        s->missing_ns = 0;
    } else if (!s->missing_ns || !bus_is_connected(s->config.bus)) {
        s->missing_ns = s->again_ns = now_ns;
        s->again_wait_ns = AGAIN_NS;
    } else if (is_waiting && now_ns - s->missing_ns > MISSING_NS) {
        give_missing_up(s);
    } else {
        read_again(s, now_ns);
    }
}
