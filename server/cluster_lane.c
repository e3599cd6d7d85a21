/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_lane - the postcards of one shard on their way out. */
#include <config.h>

#include "server/cluster_lane.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "server/catch_up.h"
#include "server/cluster_turn.h"
#include "server/sample_gate.h"

void
cluster_lane_init(struct cluster_lane *lane, struct cluster_lanes *all,
                  uint32_t shard)
{
    *lane = (struct cluster_lane){.all = all, .shard = shard};
}

/* --- Lost ---------------------------------------------------------------- */

/* What is wrong, said now and then. */
static void
say_trouble(const struct cluster_lane *lane, const char *what, const char *why)
{
    static struct say_site site;

    say(&site, SAY_WARN,
        "postcards for shard %" PRIu32 " of the cluster %s%s%s", lane->shard,
        what, why ? ": " : "", why ? why : "");
}

/* Takes the first message away; it is acknowledged, or lost and empty. */
static void
keep_first(struct cluster_lane *lane)
{
    struct cluster_message *m = lane->first;

    lane->all->n.waiting -= m->n_cards;
    lane->all->n.waiting_bytes -= m->size;
    lane->first = m->next;
    if (!lane->first) {
        lane->last = NULL;
    }
    cluster_lane_keep(lane, m);
}

static void
lose_first(struct cluster_lane *lane, enum cluster_door_loss cause)
{
    struct cluster_lanes *all = lane->all;
    struct cluster_message *m = lane->first;
    struct cluster_cards_head head;
    const uint8_t *batch;
    struct postcard p;
    size_t len;

    all->n.lost[cause] += m->n_cards;
    all->n.inner_lost += m->n_inner;
    if ((m->n_cards || m->n_inner) &&
        !cluster_wire_get_cards(m->data, m->size, &head, &batch, &len, NULL)) {
        if (m->n_cards &&
            !card_batch_reader_open(all->reader, batch, len, NULL)) {
            while (card_batch_reader_next(all->reader, &p)) {
                all->lose(all->aux, p.dpid);
            }
        }
        cluster_lane_make_empty(lane, m, &head);
    }
    keep_first(lane);
}

static void
forget_cards(struct cluster_lane *lane)
{
    lane->all->n.waiting_bytes -= lane->cards.len;
    lane->all->loose_bytes -= lane->cards.len;
    lane->n = lane->n_inner = 0;
    lane->n_runs = lane->n_in_runs = 0;
    byte_buf_clear(&lane->cards);
}

/* Makes '*p' what the postcard at 'from' says of its packet, and returns where
 * the next one is; '*number' is that of its mark. */
static inline const uint8_t *
get_card(const uint8_t *from, struct card_batch_packet *p, uint32_t *number)
{
    struct cluster_card card;

    memcpy(&card, from, sizeof card);
    *p = (struct card_batch_packet){.header = from + sizeof card,
                                    .packet_id = card.packet_id,
                                    .time_ns = card.time_ns,
                                    .caplen = card.caplen,
                                    .has_id = card.has_id};
    *number = card.mark;
    return p->header + card.caplen;
}

static void
lose_cards(struct cluster_lane *lane)
{
    struct cluster_lanes *all = lane->all;
    const uint8_t *at = lane->cards.data;
    struct card_batch_packet p;
    uint32_t mark;

    for (uint32_t i = 0; i < lane->n; i++) {
        at = get_card(at, &p, &mark);
        all->lose(all->aux, door_marks_get(all->marks, mark)->dpid);
    }
    all->n.lost[CLUSTER_DOOR_CLOSED] += lane->n;
    all->n.waiting -= lane->n;
    forget_cards(lane);
}

void
cluster_lane_uninit(struct cluster_lane *lane)
{
    struct cluster_lanes *all = lane->all;

    if (!all) {
        return;
    }
    bus_forget(all->bus, lane);
    while (lane->first) {
        lose_first(lane, CLUSTER_DOOR_CLOSED);
    }
    while (lane->kept) {
        cluster_lane_drop_kept(lane);
    }
    lose_cards(lane);
    byte_buf_uninit(&lane->cards);
    free(lane->runs);
    free(lane->inner);
}

/* --- Packing --------------------------------------------------------------
 */

/* What is told in the version that is spoken. */
static void
set_version(const struct cluster_lanes *all, struct cluster_cards_head *head)
{
    head->version = !all->wire || *all->wire >= CLUSTER_WIRE_VERSION
                        ? CLUSTER_WIRE_VERSION
                        : CLUSTER_WIRE_FIRST;
    head->left_out = all->gate ? UINT32_MAX - sample_gate_low(all->gate) : 0;
    head->is_catching_up =
        all->catch_up && catch_up_extra(all->catch_up, time_spec_now());
}

/* Takes the first 'n_cards' out of the runs; they are in a message. */
static void
take_runs(struct cluster_lane *lane, uint32_t n_cards)
{
    size_t n = 0;

    while (n < lane->n_runs && lane->runs[n].n <= n_cards) {
        n_cards -= lane->runs[n++].n;
    }
    lane->n_runs -= n;
    memmove(lane->runs, lane->runs + n, lane->n_runs * sizeof *lane->runs);
    if (lane->n_runs) {
        lane->runs[0].first += n_cards;
        lane->runs[0].n -= n_cards;
    }
}

/* Writes the runs of the first 'n_cards'. */
static void
put_head(struct cluster_lane *lane, const struct cluster_cards_head *head,
         uint32_t n_cards, struct byte_buf *out)
{
    uint32_t n_last = 0, n_left = n_cards;
    size_t n = 0;

    while (n < lane->n_runs && n_left) {
        n_last = lane->runs[n].n;
        lane->runs[n].n = n_last < n_left ? n_last : n_left;
        n_left -= lane->runs[n++].n;
    }
    cluster_wire_put_cards(out, head, lane->runs, n);
    if (n) {
        lane->runs[n - 1].n = n_last;
        take_runs(lane, n_cards);
    }
}

/* Appends a message, with what the writer has if 'n_cards' or 'n_inner'. */
static void
add_message(struct cluster_lane *lane, uint32_t n_cards, uint32_t n_inner,
            uint64_t watermark_ns)
{
    struct cluster_lanes *all = lane->all;
    struct byte_buf *out = &all->out;
    struct cluster_cards_head head = {.door = all->door,
                                      .number = ++lane->number,
                                      .is_file = all->is_file,
                                      .watermark_ns = watermark_ns};
    struct cluster_message *m;

    byte_buf_clear(out);
    set_version(all, &head);
    put_head(lane, &head, n_cards, out);
    if (n_cards || n_inner) {
        card_batch_writer_finish(all->writer, out);
        lane->cards_ns = all->clock_ns;
    }
    lane->told_ns = all->clock_ns;
    lane->watermark_ns = watermark_ns;
    m = lh_alloc(sizeof *m + out->len);
    *m = (struct cluster_message){.number = head.number,
                                  .first_token = lane->first_token,
                                  .n_cards = n_cards,
                                  .n_inner = n_inner,
                                  .size = out->len};
    memcpy(m->data, out->data, out->len);
    all->n.waiting_bytes += m->size;
    if (lane->last) {
        lane->last->next = m;
    } else {
        lane->first = m;
    }
    lane->last = m;
}

/* Packs all that waits, as a rule into one message. */
static void
pack(struct cluster_lane *lane)
{
    struct card_batch_writer *w = lane->all->writer;
    const uint8_t *at = lane->cards.data;

    cluster_turn_spend(lane);
    card_batch_writer_set_version(
        w, cluster_wire_batch_version(lane->all->wire ? *lane->all->wire
                                                      : CLUSTER_WIRE_VERSION));
    for (uint32_t i = 0; i < lane->n_inner; i++) {
        card_batch_writer_add_inner(w, &lane->inner[i]);
    }
    for (uint32_t i = 0; i < lane->n; i++) {
        const struct postcard *mark;
        struct card_batch_packet p;
        uint32_t number;

        at = get_card(at, &p, &number);
        mark = door_marks_get(lane->all->marks, number);
        if (!card_batch_writer_add_known(w, &p, mark, number)) {
            /* The rest may be of the same time. */
            add_message(lane, card_batch_writer_n(w), lane->n_inner,
                        lane->watermark_ns);
            lane->n_inner = 0;
            card_batch_writer_add_known(w, &p, mark, number);
        }
    }
    add_message(lane, card_batch_writer_n(w), lane->n_inner,
                lane->all->watermark_ns);
    forget_cards(lane);
}

void
cluster_lane_announce(struct cluster_lane *lane)
{
    if (!lane->number) {
        add_message(lane, 0, 0, 0);
    }
}

static void
push_run(struct cluster_lane *lane, struct cluster_run run)
{
    lane->runs = lh_alloc_grow(lane->runs, lane->n_runs, &lane->allocated_runs,
                               sizeof *lane->runs);
    lane->runs[lane->n_runs++] = run;
    lane->n_in_runs += run.n;
}

void
cluster_lane_add_run(struct cluster_lane *lane, uint64_t agent, uint64_t frame,
                     uint32_t ordinal)
{
    struct cluster_run *last;

    if (lane->n_in_runs < lane->n) {
        push_run(lane, (struct cluster_run){.n = lane->n - lane->n_in_runs});
    }
    last = lane->n_runs ? &lane->runs[lane->n_runs - 1] : NULL;
    if (last && last->agent == agent && last->frame == frame &&
        last->first + last->n == ordinal) {
        last->n++;
        lane->n_in_runs++;
    } else {
        push_run(lane, (struct cluster_run){.agent = agent,
                                            .frame = frame,
                                            .first = ordinal,
                                            .n = 1});
    }
}

void
cluster_lane_add(struct cluster_lane *lane, const struct postcard *p,
                 uint32_t mark, uint64_t token)
{
    const struct cluster_card card = {.packet_id = p->packet_id,
                                      .time_ns = p->time_ns,
                                      .mark = mark,
                                      .caplen = p->caplen,
                                      .has_id = p->has_id};
    struct cluster_lanes *all = lane->all;
    uint8_t *copy;

    if (!lane->n) {
        lane->first_token = token;
        if (!lane->n_inner) {
            cluster_turn_begin(lane);
        }
    }
    copy = byte_buf_extend(&lane->cards, cluster_lane_cost(p));
    memcpy(copy, &card, sizeof card);
    memcpy(copy + sizeof card, p->header, p->caplen);
    /* Where the next one goes, when the other lanes had theirs. */
    copy = lane->cards.data + lane->cards.len;
    __builtin_prefetch(copy + 64, 1);
    __builtin_prefetch(copy + 128, 1);
    lane->n++;
    all->n.waiting++;
    all->n.waiting_bytes += cluster_lane_cost(p);
    all->loose_bytes += cluster_lane_cost(p);
    if (lane->n == CLUSTER_LANE_CARDS ||
        lane->cards.len >= CLUSTER_LANE_BYTES) {
        pack(lane);
        cluster_lane_run(lane);
    }
}

void
cluster_lane_pack(struct cluster_lane *lane)
{
    if (lane->n) {
        pack(lane);
    }
}

bool
cluster_lane_add_inner(struct cluster_lane *lane,
                       const struct card_batch_inner *inner)
{
    if (!lane->inner) {
        lane->inner =
            lh_alloc_array(NULL, CARD_BATCH_MAX_INNER, sizeof *lane->inner);
    }
    if (lane->n_inner == CARD_BATCH_MAX_INNER) {
        return false;
    }
    if (!lane->n && !lane->n_inner) {
        cluster_turn_begin(lane);
    }
    lane->inner[lane->n_inner++] = *inner;
    return true;
}

/* --- Sending --------------------------------------------------------------
 */

static void
acknowledge(struct cluster_lane *lane, bool was_there)
{
    struct cluster_door_counters *n = &lane->all->n;
    const struct cluster_message *m = lane->first;

    n->acknowledged += m->n_cards;
    n->inner += m->n_inner;
    n->were_there += was_there;
    if (m->n_cards || m->n_inner) {
        n->messages++;
        n->bytes += m->size;
    } else {
        n->empty++;
    }
    keep_first(lane);
}

/* Whether the attempt may have worked all the same. */
static bool
is_uncertain(int error_number)
{
    return error_number != ENOSPC && error_number != ECONNREFUSED;
}

static void
fail(struct cluster_lane *lane, int error_number, const char *why)
{
    struct cluster_message *m = lane->first;

    lane->all->n.full += error_number == ENOSPC;
    if (is_uncertain(error_number) && !m->uncertain_ns) {
        m->uncertain_ns = m->sent_ns;
    }
    if (error_number != ETIMEDOUT) {
        lane->retry_ns = monotonic_ns() + CLUSTER_LANE_RETRY_NS;
    }
    say_trouble(lane,
                error_number == ENOSPC
                    ? "wait, for stream " CLUSTER_CARDS_STREAM
                      " is full: their owner does not keep up or is away "
                      "(lasthopctl cluster status), --cluster-bytes is too "
                      "small, or NATS has no room on its disk"
                    : "wait, they were not acknowledged",
                why);
}

static void
on_published(void *lane_, int error_number, const char *why, uint64_t seq,
             bool was_there)
{
    struct cluster_lane *lane = lane_;

    (void) seq;
    lane->is_under_way = false;
    if (error_number) {
        fail(lane, error_number, why);
    } else {
        acknowledge(lane, was_there);
    }
    cluster_lane_run(lane);
    lane->all->settle(lane->all->aux);
}

/* Gives up the first messages that it is too late to send again. */
static void
lose_late(struct cluster_lane *lane, uint64_t now_ns)
{
    while (lane->first && lane->first->uncertain_ns &&
           now_ns - lane->first->uncertain_ns > lane->all->late_ns) {
        say_trouble(lane, "are lost, NATS did not acknowledge them in time",
                    NULL);
        lose_first(lane, CLUSTER_DOOR_TOO_LATE);
    }
}

/* Sends the first message, if it is not under way. */
static void
send_first(struct cluster_lane *lane)
{
    struct cluster_lanes *all = lane->all;
    char subject[32], id[64];
    struct cluster_message *m;
    struct bus_letter letter;
    uint64_t now_ns;

    if (!lane->first || lane->is_under_way || !bus_is_connected(all->bus)) {
        return;
    }
    now_ns = monotonic_ns();
    if (now_ns < lane->retry_ns) {
        return;
    }
    m = lane->first;
    snprintf(subject, sizeof subject, CLUSTER_CARDS_SUBJECT, lane->shard);
    snprintf(id, sizeof id, "%016" PRIx64 ".%" PRIu32 ".%" PRIu64, all->door,
             lane->shard, m->number);
    letter = (struct bus_letter){
        .subject = subject, .data = m->data, .size = m->size};
    m->sent_ns = now_ns;
    if (bus_stream_publish(all->bus, &letter, id, BUS_ANY_SEQ, all->timeout_ms,
                           on_published, lane, NULL)) {
        return; /* No room now: with the next run. */
    }
    all->n.sent_again += m->n_attempts++ != 0;
    lane->is_under_way = true;
}

void
cluster_lane_run(struct cluster_lane *lane)
{
    uint64_t now_ns = lane->all->clock_ns;
    bool has_cards = lane->n || lane->n_inner;

    if (lane->first && !lane->is_under_way) {
        lose_late(lane, monotonic_ns());
    }
    if (!lane->first) {
        if (has_cards && cluster_turn_is_over(lane)) {
            pack(lane);
        } else if (!has_cards && lane->is_ending && !lane->has_end) {
            lane->has_end = true;
            if (lane->number) {
                add_message(lane, 0, 0, CLUSTER_WATERMARK_END);
            }
        } else if (!has_cards && !lane->is_ending && lane->cards_ns &&
                   now_ns - lane->cards_ns < CLUSTER_LANE_ACTIVE_NS &&
                   now_ns - lane->told_ns >= CLUSTER_LANE_BEAT_NS) {
            add_message(lane, 0, 0, lane->all->watermark_ns);
        }
    }
    if (!lane->n && !lane->n_inner) {
        lane->is_flushing = false;
    }
    send_first(lane);
    cluster_lane_run_kept(lane);
}

uint64_t
cluster_lane_first(const struct cluster_lane *lane)
{
    for (const struct cluster_message *m = lane->first; m; m = m->next) {
        if (m->n_cards) {
            return m->first_token;
        }
    }
    return lane->n ? lane->first_token : UINT64_MAX;
}

bool
cluster_lane_is_idle(const struct cluster_lane *lane)
{
    return !lane->first && !lane->n && !lane->n_inner &&
           (!lane->is_ending || lane->has_end);
}
