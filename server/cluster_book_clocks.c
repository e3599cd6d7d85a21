/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_book_clocks - how far the clocks of hosts are apart, by the packets
 * that all servers own. */
#include <config.h>

#include "lib/bytes.h"
#include "server/cluster_book_impl.h"

#define WAYS_NS UINT64_C(2000000000) /* Between messages with ways. */
/* Of a message. */
#define MAX_WAYS 4096u

/* Where the agent of a switch is; SIZE_MAX: it has none. */
static size_t
host_of(void *book, uint64_t dpid)
{
    const struct cluster_book *b = book;
    const struct book_agent *a = cluster_book_agent_of(b, dpid);

    return a ? (size_t) (a - b->agents) : SIZE_MAX;
}

struct clock_delays *
cluster_book_delays(struct cluster_book *b)
{
    return b->delays;
}

const struct clock_delays *
cluster_book_all_delays(const struct cluster_book *b)
{
    return b->all_delays;
}

/* --- Telling ------------------------------------------------------------- */

struct put {
    const struct cluster_book *book;
    struct byte_buf list;
    uint64_t n;
};

static void
put_way(void *put_, uint64_t from, uint64_t to, int64_t delay_ns)
{
    struct put *put = put_;
    size_t a = host_of((void *) put->book, from);
    size_t b = host_of((void *) put->book, to);

    if (a != b && a != SIZE_MAX && b != SIZE_MAX && put->n < MAX_WAYS) {
        byte_buf_put_u64(&put->list, from);
        byte_buf_put_u64(&put->list, to);
        byte_buf_put_svarint(&put->list, delay_ns);
        put->n++;
    }
}

void
cluster_book_put_ways(struct cluster_book *b, uint64_t now_ns,
                      struct byte_buf *out)
{
    struct put put = {.book = b, .list = BYTE_BUF_INIT};

    if (now_ns - b->ways_ns >= WAYS_NS) {
        b->ways_ns = now_ns;
        clock_delays_each(b->delays, now_ns, put_way, &put);
    }
    byte_buf_put_uvarint(out, put.n);
    if (put.n) {
        byte_buf_put(out, put.list.data, put.list.len);
    }
    byte_buf_uninit(&put.list);
}

/* --- Hearing ------------------------------------------------------------- */

void
cluster_book_take_ways(struct cluster_book *b, struct bytes_reader *in,
                       uint64_t sent_ns)
{
    uint64_t n;

    if (!bytes_left(in)) {
        return; /* Who wrote it does not tell of them. */
    }
    n = byte_buf_get_uvarint(in);
    while (n-- && !in->failed) {
        uint64_t from = bytes_get_u64(in);
        uint64_t to = bytes_get_u64(in);
        int64_t delay_ns = byte_buf_get_svarint(in);

        if (!in->failed) {
            clock_delays_note(b->all_delays, from, to, delay_ns, sent_ns);
        }
    }
}

/* --- Asking -------------------------------------------------------------- */

struct topology *
cluster_book_tell_clocks(const struct cluster_book *b, uint64_t now_ns,
                         const struct topology *topology)
{
    struct clock_offset offsets[AGENT_BOOK_CLOCKS] = {{false, 0, 0}};
    size_t n =
        b->n_agents < AGENT_BOOK_CLOCKS ? b->n_agents : AGENT_BOOK_CLOCKS;
    size_t n_named = topology ? topology_n_switches(topology) : 0;
    struct topology_builder *builder = topology_builder_create();

    clock_offset_estimate(b->all_delays, host_of, (void *) b, n, now_ns,
                          offsets);
    for (size_t i = 0; i < n_named; i++) {
        const struct topology_switch *sw = topology_switch_at(topology, i);

        topology_builder_add_switch(builder, sw->dpid, sw->name, 0, NULL);
    }
    for (size_t i = 0; i < b->n_switches; i++) {
        size_t host = host_of((void *) b, b->switches[i].dpid);
        struct topology_clock clock = {.is_told = host != SIZE_MAX};

        if (host != SIZE_MAX) {
            clock.host = (uint32_t) host;
        }
        if (host < n && offsets[host].is_known) {
            clock.is_known = true;
            clock.offset_ns = offsets[host].offset_ns;
            clock.error_ns = offsets[host].error_ns;
            clock.at_ns = now_ns;
        }
        topology_builder_set_clock(builder, b->switches[i].dpid, &clock);
    }
    return topology_build(builder, topology ? topology_epoch(topology) : 0);
}
