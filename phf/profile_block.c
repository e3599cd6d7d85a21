/* SPDX-License-Identifier: Apache-2.0 */
/* profile_block - what the histories of one block sent over the links of a
 * profile. */
#include <config.h>

#include "phf/profile_block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hop_traffic.h"
#include "lib/lh_alloc.h"
#include "phf/profile_crossing.h"
#include "phf/profile_shapes.h"
#include "phf/profile_who.h"

/* Packets in a row that count alike. */
struct run {
    uint32_t bucket;
    uint64_t packets, bytes; /* From the IP header on. */
};

struct work {
    const struct profile_ask *ask;
    struct profile_sums *sums;
    struct query_block *block;
    bool tells_flows;  /* Some level is of addresses. */
    bool is_whole;     /* All of the block is in the range, */
    uint32_t bucket;   /* and in this interval; */
    bool is_split;     /* but not in one of them. */
    bool asks_lengths; /* Of packets, not of flows only. */
    double ratio;      /* Packets that one stands for. */
    struct run *runs;  /* Of all flows of each shape, where these are not told
                        * apart.  Owned. */
    bool has_crossing; /* Packets of some shape crossed a link. */
};

/* --- Keys --------------------------------------------------------------- */

/* The keys of a flow, which crossings complete. */
struct keys {
    struct profile_key all, first;
};

static void
make_keys(const struct profile_ask *ask, const struct packet_who *who,
          struct keys *keys)
{
    profile_who_key(ask, ask->n_by, who, &keys->all);
    if (ask->interval_ns) {
        profile_who_key(ask, ask->n_by ? 1 : 0, who, &keys->first);
    }
}

static void
count(struct work *w, struct keys *keys, const struct profile_crossing *c,
      uint32_t bucket, uint64_t packets, uint64_t bytes)
{
    struct profile_table *table = &w->sums->table;
    double all_packets = w->ratio * (double) packets;
    double all_bytes = w->ratio * (double) bytes;

    keys->all.link = c->link;
    keys->all.way = c->way;
    profile_table_count(table, &keys->all, all_packets, all_bytes);
    if (w->ask->interval_ns) {
        keys->first.link =
            w->ask->n_by && w->ask->by[0] == PROFILE_BY_LINK ? c->link : 0;
        keys->first.way = c->first_way;
        keys->first.bucket = bucket;
        profile_table_count(table, &keys->first, all_packets, all_bytes);
    }
}

static uint32_t
bucket_of(const struct profile_ask *ask, uint64_t ns)
{
    return ask->interval_ns
               ? 1 + (uint32_t) ((ns - ask->base_ns) / ask->interval_ns)
               : 0;
}

static bool
is_in_range(const struct profile_ask *ask, uint64_t ns)
{
    return ns >= ask->since_ns && ns < ask->until_ns;
}

/* --- Packets of trajectories -------------------------------------------- */

static void
flush(struct work *w, const struct profile_shape *shape, struct keys *keys,
      struct run *run)
{
    for (size_t i = 0; run->packets && i < shape->n; i++) {
        const struct profile_crossing *c = &shape->crossings[i];

        count(w, keys, c, run->bucket, run->packets,
              run->bytes + run->packets * c->extra);
    }
    run->packets = 0;
    run->bytes = 0;
}

/* Whether the filter matches a row of a flow that it has to be asked of. */
static bool
row_matches(struct work *w, size_t flow, size_t row)
{
    enum phf_result result = PHF_MISS;
    const struct history *h;

    if (!column_decoder_history(w->block->columns, flow, row, &h, NULL)) {
        result = phf_match(w->ask->phf, h, w->ask->topology);
    }
    w->sums->counters.n_limits += result == PHF_LIMIT;
    return result == PHF_MATCH;
}

static void
count_flow(struct work *w, const struct profile_shape *shape, size_t i,
           bool asks_rows)
{
    struct column_decoder *d = w->block->columns;
    const struct column_flow *flow = column_decoder_flow(d, i);
    struct run run = {.bucket = w->bucket};
    struct packet_who who = {.proto = packet_who_proto(shape->kind)};
    const uint32_t *lengths;
    struct keys keys;

    if (!w->tells_flows && !w->asks_lengths) {
        w->runs[flow->shape].packets += flow->n_rows;
        w->runs[flow->shape].bytes += column_decoder_flow_bytes(d, i);
        return;
    }
    if (w->tells_flows) {
        struct column_key key = column_decoder_key(d, i);

        who.n_addr = key.n_addr;
        who.n_ports = key.n_ports;
        who.src = key.src;
        who.dst = key.dst;
        who.ports = key.ports;
    }
    make_keys(w->ask, &who, &keys);
    if (!w->asks_lengths && !w->ask->interval_ns) {
        keys.all.link = shape->number;
        profile_table_count(
            &w->sums->flows, &keys.all, w->ratio * flow->n_rows,
            w->ratio * (double) column_decoder_flow_bytes(d, i));
        return;
    }
    if (!w->asks_lengths) {
        run.packets = flow->n_rows;
        run.bytes = column_decoder_flow_bytes(d, i);
        flush(w, shape, &keys, &run);
        return;
    }
    lengths = column_decoder_lengths(d, i);
    for (uint32_t row = 0; row < flow->n_rows; row++) {
        if (w->is_split) {
            uint64_t ns = column_decoder_first_ns(d, i, row);

            if (!is_in_range(w->ask, ns)) {
                continue;
            }
            if (bucket_of(w->ask, ns) != run.bucket) {
                flush(w, shape, &keys, &run);
                run.bucket = bucket_of(w->ask, ns);
            }
        }
        if (!asks_rows || row_matches(w, i, row)) {
            run.packets++;
            run.bytes += lengths[row];
        }
    }
    if (w->tells_flows || w->is_split) {
        flush(w, shape, &keys, &run);
    } else {
        w->runs[flow->shape].packets += run.packets;
        w->runs[flow->shape].bytes += run.bytes;
    }
}

static struct profile_shape
shape_of(const struct work *w, size_t shape)
{
    return profile_shapes_of(w->sums->shapes, w->block, shape);
}

/* What is to be read besides shapes: 0 or an errno. */
static int
read_columns(struct work *w, struct lh_error *why)
{
    struct column_decoder *d = w->block->columns;
    bool asks_rows = false;
    int retval;

    for (size_t i = 0;
         w->ask->phf && i < column_decoder_n_flows(d) && !asks_rows; i++) {
        asks_rows = query_block_verdict(w->block, i) == QUERY_FLOW_ASK &&
                    shape_of(w, column_decoder_flow(d, i)->shape).n;
    }
    w->asks_lengths = w->is_split || asks_rows;
    retval = w->asks_lengths ? column_decoder_need_lengths(d, why)
                             : column_decoder_need_flow_bytes(d, why);
    if (!retval && w->tells_flows) {
        retval = column_decoder_need_keys(d, why);
    }
    if (!retval && (w->is_split || asks_rows)) {
        retval = column_decoder_need_times(d, why);
    }
    if (!retval && asks_rows) {
        retval = column_decoder_need_rows(d, why);
    }
    return retval;
}

/* Flows kept before they are put into the table. */
#define MAX_FLOWS ((size_t) 1 << 18)

/* Adds up what is of all flows of a shape. */
static void
count_shapes(struct work *w)
{
    for (size_t i = 0; i < column_decoder_n_shapes(w->block->columns); i++) {
        struct profile_shape shape = shape_of(w, i);
        struct packet_who nobody = {.n_addr = 0};
        struct keys keys;

        if (w->runs[i].packets) {
            make_keys(w->ask, &nobody, &keys);
            w->runs[i].bucket = w->bucket;
            flush(w, &shape, &keys, &w->runs[i]);
        }
    }
}

/* Reads the shapes. */
static int
read_shapes(struct work *w, struct lh_error *why)
{
    struct profile_sums *sums = w->sums;
    int retval;

    if (sums->shapes && profile_shapes_is_full(sums->shapes)) {
        profile_shapes_spread(sums->shapes, &sums->flows, &sums->table);
        profile_shapes_destroy(sums->shapes);
        sums->shapes = NULL;
    }
    if (!sums->shapes) {
        sums->shapes = profile_shapes_create(w->ask, &sums->table);
    }
    retval = profile_shapes_read(sums->shapes, w->block, why);
    if (!retval) {
        size_t n = column_decoder_n_shapes(w->block->columns);

        w->runs = lh_alloc_zero((n + 1) * sizeof *w->runs);
        for (size_t i = 0; i < n && !w->has_crossing; i++) {
            w->has_crossing = shape_of(w, i).n != 0;
        }
    }
    return retval;
}

static int
count_columns(struct work *w, struct lh_error *why)
{
    struct column_decoder *d = w->block->columns;
    int retval = read_shapes(w, why);

    if (!retval && w->has_crossing) {
        retval = read_columns(w, why);
    }
    for (size_t i = 0; !retval && i < column_decoder_n_flows(d); i++) {
        const struct column_flow *flow = column_decoder_flow(d, i);
        struct profile_shape shape = shape_of(w, flow->shape);
        enum query_block_verdict verdict =
            w->ask->phf ? query_block_verdict(w->block, i) : QUERY_FLOW_MATCH;

        w->sums->counters.scanned += flow->n_rows;
        if (verdict != QUERY_FLOW_MISS && shape.n) {
            count_flow(w, &shape, i, verdict == QUERY_FLOW_ASK);
        }
    }
    if (!retval) {
        count_shapes(w);
    }
    if (w->sums->flows.n > MAX_FLOWS) {
        profile_shapes_spread(w->sums->shapes, &w->sums->flows,
                              &w->sums->table);
    }
    return retval;
}

/* --- Other histories ---------------------------------------------------- */

static void
count_history(struct work *w, const struct history *h, uint64_t first_ns)
{
    struct profile_crossings crossings = {.n = 0};
    uint8_t ports[4];
    struct keys keys;
    struct packet_who who;

    if (!h->n_hops) {
        return;
    }
    if (w->ask->phf) {
        enum phf_result result = phf_match(w->ask->phf, h, w->ask->topology);

        w->sums->counters.n_limits += result == PHF_LIMIT;
        if (result != PHF_MATCH) {
            return;
        }
    }
    profile_crossings_add(&crossings, w->ask, h, &w->sums->table);
    packet_who_find(h, &who, ports);
    make_keys(w->ask, &who, &keys);
    for (size_t i = 0; i < crossings.n; i++) {
        count(w, &keys, &crossings.all[i], bucket_of(w->ask, first_ns), 1,
              hop_traffic_bytes(h, crossings.all[i].hop,
                                crossings.all[i].is_in));
    }
    free(crossings.all);
}

void
profile_block_count_history(const struct profile_ask *ask,
                            const struct history *h, struct profile_sums *sums)
{
    struct work w = {.ask = ask, .sums = sums, .ratio = 1};
    uint64_t first_ns = history_first_ns(h);

    if (is_in_range(ask, first_ns)) {
        sums->counters.scanned++;
        count_history(&w, h, first_ns);
    }
}

static int
count_records(struct work *w, struct history_decoder *decoder,
              struct lh_error *why)
{
    struct history_view *view = history_view_create();
    struct history_record record;
    int retval = 0;

    while (decoder && !retval) {
        struct history *h;

        retval = history_decoder_next(decoder, &record, why);
        if (retval || !is_in_range(w->ask, record.first_ns)) {
            continue;
        }
        retval = history_decoder_view(decoder, record.offset, view, &h, why);
        if (!retval) {
            w->sums->counters.scanned++;
            count_history(w, h, record.first_ns);
        }
    }
    history_view_destroy(view);
    return retval == ENODATA ? 0 : retval;
}

/* --- Sums ---------------------------------------------------------------- */

/* Who is shown ways. */
struct way_work {
    struct work *work;
    struct profile_crossings crossings;
};

/* Ways kept before they are put into the table. */
#define MAX_WAYS_SIZE ((size_t) 64 << 20)

static void
count_way(void *way_work, const struct history *h, uint64_t packets,
          const uint64_t *bytes)
{
    struct profile_crossings *crossings =
        &((struct way_work *) way_work)->crossings;
    struct work *w = ((struct way_work *) way_work)->work;
    struct packet_who nobody = {.n_addr = 0};
    struct keys keys;

    crossings->n = 0;
    profile_crossings_add(crossings, w->ask, h, &w->sums->table);
    make_keys(w->ask, &nobody, &keys);
    for (size_t i = 0; i < crossings->n; i++) {
        const struct profile_crossing *c = &crossings->all[i];

        count(w, &keys, c, w->sums->ways_bucket, packets,
              bytes[2 * c->hop + (c->is_in ? 0 : 1)]);
    }
}

static void
count_ways(const struct profile_ask *ask, struct profile_sums *sums)
{
    struct work w = {.ask = ask, .sums = sums, .ratio = sums->ways_ratio};
    struct way_work ways = {.work = &w};

    if (sums->ways) {
        block_sums_visit(sums->ways, count_way, &ways);
        block_sums_reset(sums->ways);
    }
    free(ways.crossings.all);
}

void
profile_block_end(const struct profile_ask *ask, struct profile_sums *sums)
{
    count_ways(ask, sums);
    profile_shapes_spread(sums->shapes, &sums->flows, &sums->table);
    block_sums_destroy(sums->ways);
    profile_shapes_destroy(sums->shapes);
    sums->ways = NULL;
    sums->shapes = NULL;
}

static bool
differ(double a, double b)
{
    return a < b || a > b;
}

/* Adds the sums of the block: 0, ENOENT when it has none, or an errno. */
static int
add_sums(struct work *w, struct lh_error *why)
{
    struct profile_sums *sums = w->sums;
    uint64_t before;
    int retval;

    if (!sums->ways) {
        sums->ways = block_sums_create();
    }
    if (sums->ways_bucket != w->bucket || differ(sums->ways_ratio, w->ratio) ||
        block_sums_size(sums->ways) > MAX_WAYS_SIZE) {
        count_ways(w->ask, sums);
    }
    sums->ways_bucket = w->bucket;
    sums->ways_ratio = w->ratio;
    before = block_sums_n_packets(sums->ways);
    retval = column_decoder_sums(w->block->columns, sums->ways, why);
    sums->counters.scanned += block_sums_n_packets(sums->ways) - before;
    return retval;
}

/* Reads how many packets one of the block stands for. */
static int
read_ratio(struct work *w, struct lh_error *why)
{
    struct profile_sums *sums = w->sums;
    struct sample_tally kept;
    int retval = column_decoder_kept(w->block->columns, &kept, why);

    w->ratio = sample_tally_ratio(&kept);
    if (!sums->most || w->ratio < sums->least) {
        sums->least = w->ratio;
    }
    sums->most = w->ratio > sums->most ? w->ratio : sums->most;
    return retval;
}

/* --- The whole ---------------------------------------------------------- */

int
profile_block_count(struct query_block *block, const struct profile_ask *ask,
                    uint64_t min_ns, uint64_t max_ns,
                    struct profile_sums *sums, struct lh_error *why)
{
    struct work w = {.ask = ask, .sums = sums, .block = block, .ratio = 1};
    struct history_decoder *plain = NULL;
    int retval;

    for (size_t i = 0; i < ask->n_by; i++) {
        w.tells_flows = w.tells_flows || ask->by[i] >= PROFILE_BY_SRC;
    }
    w.is_whole = is_in_range(ask, min_ns) && is_in_range(ask, max_ns);
    w.is_split =
        !w.is_whole || bucket_of(ask, min_ns) != bucket_of(ask, max_ns);
    w.bucket = w.is_whole ? bucket_of(ask, min_ns) : 0;
    retval = query_block_open(block, why);
    if (!retval && block->columns) {
        retval = read_ratio(&w, why);
    }
    if (!retval && block->columns && !w.is_split && !w.tells_flows &&
        !ask->phf) {
        retval = add_sums(&w, why);
        if (retval != ENOENT) {
            query_block_close(block);
            return retval;
        }
        retval = 0;
    }
    if (!retval && block->columns) {
        retval = count_columns(&w, why);
        if (!retval) {
            retval = column_decoder_plain(block->columns, &plain, why);
        }
    } else {
        plain = block->decoder;
    }
    if (!retval) {
        retval = count_records(&w, plain, why);
    }
    query_block_close(block);
    free(w.runs);
    return retval;
}
