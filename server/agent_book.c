/* SPDX-License-Identifier: Apache-2.0 */
/* agent_book - what the server knows of each lasthop-agent. */
#include <config.h>

#include "server/agent_book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "lib/text_number.h"

/* A loss of one switch, or (is_any) of any that the agent tells of. */
struct loss {
    uint64_t dpid;
    bool is_any;
    uint8_t id[AGENT_ID_LEN];
    uint64_t first_ns, last_ns, noted_ns;
    enum agent_place place;
};

struct told_switch {
    uint64_t dpid;
    uint8_t id[AGENT_ID_LEN];
};

struct agent_book {
    size_t n, allocated;
    struct agent_entry *entries; /* Owned. */
    size_t n_switches;
    struct told_switch switches[AGENT_BOOK_SWITCHES]; /* By dpid. */
    size_t first_loss, n_losses;                      /* A ring. */
    struct loss losses[AGENT_BOOK_LOSSES];
};

struct agent_book *
agent_book_create(void)
{
    return lh_alloc_zero(sizeof(struct agent_book));
}

void
agent_book_destroy(struct agent_book *book)
{
    if (book) {
        free(book->entries);
        free(book);
    }
}

/* --- Agents. --------------------------------------------------------------
 */

static struct agent_entry *
find(const struct agent_book *book, const uint8_t *id)
{
    for (size_t i = 0; i < book->n; i++) {
        if (!memcmp(book->entries[i].id, id, AGENT_ID_LEN)) {
            return &book->entries[i];
        }
    }
    return NULL;
}

/* The place of the agent that is away and was not seen longest, or NULL. */
static struct agent_entry *
find_oldest(struct agent_book *book)
{
    struct agent_entry *oldest = NULL;

    for (size_t i = 0; i < book->n; i++) {
        struct agent_entry *e = &book->entries[i];

        if (!e->is_connected && (!oldest || e->seen_ns < oldest->seen_ns)) {
            oldest = e;
        }
    }
    return oldest;
}

struct agent_entry *
agent_book_get(struct agent_book *book, const uint8_t id[AGENT_ID_LEN],
               uint64_t now_ns)
{
    struct agent_entry *e = find(book, id);

    if (e) {
        e->seen_ns = now_ns > e->seen_ns ? now_ns : e->seen_ns;
        return e;
    }
    if (book->n >= AGENT_BOOK_MAX) {
        e = find_oldest(book);
    }
    if (!e) {
        book->entries = lh_alloc_grow(book->entries, book->n, &book->allocated,
                                      sizeof *book->entries);
        e = &book->entries[book->n++];
    }
    *e = (struct agent_entry){.seen_ns = now_ns,
                              .threshold = AGENT_THRESHOLD_ALL,
                              .want = AGENT_THRESHOLD_ALL};
    memcpy(e->id, id, AGENT_ID_LEN);
    return e;
}

size_t
agent_book_count(const struct agent_book *book)
{
    return book->n;
}

const struct agent_entry *
agent_book_at(const struct agent_book *book, size_t i)
{
    return &book->entries[i];
}

/* Where the switch is, or would be. */
static size_t
place_of_switch(const struct agent_book *book, uint64_t dpid)
{
    size_t lo = 0, hi = book->n_switches;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (book->switches[mid].dpid < dpid) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

void
agent_book_note_switch(struct agent_book *book, uint64_t dpid,
                       const uint8_t id[AGENT_ID_LEN])
{
    size_t i = place_of_switch(book, dpid);
    struct told_switch *sw = &book->switches[i];

    if (i == book->n_switches || sw->dpid != dpid) {
        if (book->n_switches == AGENT_BOOK_SWITCHES) {
            return;
        }
        memmove(sw + 1, sw, (book->n_switches - i) * sizeof *sw);
        book->n_switches++;
        sw->dpid = dpid;
    }
    memcpy(sw->id, id, AGENT_ID_LEN);
}

const struct agent_entry *
agent_book_of_switch(const struct agent_book *book, uint64_t dpid)
{
    size_t i = place_of_switch(book, dpid);

    return i < book->n_switches && book->switches[i].dpid == dpid
               ? find(book, book->switches[i].id)
               : NULL;
}

size_t
agent_book_n_switches(const struct agent_book *book)
{
    return book->n_switches;
}

uint64_t
agent_book_switch_at(const struct agent_book *book, size_t i,
                     const struct agent_entry **entryp)
{
    *entryp = find(book, book->switches[i].id);
    return book->switches[i].dpid;
}

/* --- Losses. --------------------------------------------------------------
 */

static const struct loss *
loss_at(const struct agent_book *book, size_t i)
{
    return &book->losses[(book->first_loss + i) % AGENT_BOOK_LOSSES];
}

static void
add_loss(struct agent_book *book, const struct loss *loss)
{
    while (book->n_losses == AGENT_BOOK_LOSSES ||
           (book->n_losses && loss_at(book, 0)->noted_ns + AGENT_BOOK_LOSS_NS <
                                  loss->noted_ns)) {
        book->first_loss = (book->first_loss + 1) % AGENT_BOOK_LOSSES;
        book->n_losses--;
    }
    book->losses[(book->first_loss + book->n_losses++) % AGENT_BOOK_LOSSES] =
        *loss;
}

void
agent_book_lose(struct agent_book *book, struct agent_entry *entry,
                const struct agent_loss *told, uint64_t now_ns)
{
    struct loss loss = {.first_ns = told->first_ns,
                        .last_ns = told->last_ns,
                        .noted_ns = now_ns,
                        .place = told->place};
    uint64_t n_named = 0;

    memcpy(loss.id, entry->id, AGENT_ID_LEN);
    entry->lost[told->place] += told->count;
    for (size_t i = 0; i < told->n; i++) {
        struct agent_loss_switch sw = agent_loss_switch(told, i);

        loss.dpid = sw.dpid;
        n_named += sw.count;
        agent_book_note_switch(book, sw.dpid, entry->id);
        add_loss(book, &loss);
    }
    if (n_named < told->count) {
        loss.dpid = 0;
        loss.is_any = true;
        add_loss(book, &loss);
    }
}

enum agent_loss_answer
agent_book_ask(const struct agent_book *book, uint64_t dpid, uint64_t from_ns,
               uint64_t to_ns, enum agent_place *placep)
{
    const struct agent_entry *e = agent_book_of_switch(book, dpid);

    if (!e) {
        return AGENT_LOSS_UNKNOWN;
    }
    for (size_t i = book->n_losses; i-- > 0;) {
        const struct loss *loss = loss_at(book, i);

        if ((loss->is_any ? !memcmp(loss->id, e->id, AGENT_ID_LEN)
                          : loss->dpid == dpid) &&
            loss->first_ns <= to_ns + AGENT_BOOK_SLACK_NS &&
            loss->last_ns + AGENT_BOOK_SLACK_NS >= from_ns) {
            *placep = loss->place;
            return AGENT_LOSS_SOME;
        }
    }
    return e->arrived_ns >= to_ns + AGENT_BOOK_SLACK_NS ? AGENT_LOSS_NONE
                                                        : AGENT_LOSS_NOT_YET;
}

/* --- The file. ------------------------------------------------------------
 */

static int
load_one(struct agent_book *book, const json_t *object)
{
    const char *hex = json_string_value(json_object_get(object, "id"));
    const char *name = json_string_value(json_object_get(object, "name"));
    const char *seq = json_string_value(json_object_get(object, "last_seq"));
    const char *seen = json_string_value(json_object_get(object, "seen_ns"));
    uint8_t id[AGENT_ID_LEN];
    uint64_t last_seq, seen_ns;
    struct agent_entry *e;

    if (!hex || !seq || !seen ||
        bytes_from_hex(hex, id, sizeof id) != sizeof id ||
        !text_number(seq, 10, 0, UINT64_MAX, &last_seq) ||
        !text_number(seen, 10, 0, UINT64_MAX, &seen_ns)) {
        return EINVAL;
    }
    e = agent_book_get(book, id, seen_ns);
    e->last_seq = last_seq;
    snprintf(e->name, sizeof e->name, "%s", name ? name : "");
    return 0;
}

int
agent_book_load(struct agent_book *book, const char *path,
                struct lh_error *error)
{
    json_error_t why;
    json_t *root, *object;
    size_t i;
    int retval = 0;

    if (access(path, F_OK) && errno == ENOENT) {
        return 0;
    }
    root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_array(root)) {
        lh_error_set(error, "%s: %s", path,
                     root ? "must be an array" : why.text);
        json_decref(root);
        return EINVAL;
    }
    json_array_foreach(root, i, object)
    {
        if (!retval && load_one(book, object)) {
            lh_error_set(error, "%s: entry %zu is not that of an agent", path,
                         i);
            retval = EINVAL;
        }
    }
    json_decref(root);
    return retval;
}

int
agent_book_save(const struct agent_book *book, const char *path,
                struct lh_error *error)
{
    json_t *root = json_array();
    char *temporary = lh_asprintf("%s.new", path);
    int retval = 0;

    for (size_t i = 0; i < book->n; i++) {
        const struct agent_entry *e = &book->entries[i];
        char hex[2 * AGENT_ID_LEN + 1], seq[24], seen[24];

        bytes_to_hex(e->id, AGENT_ID_LEN, hex);
        snprintf(seq, sizeof seq, "%llu", (unsigned long long) e->last_seq);
        snprintf(seen, sizeof seen, "%llu", (unsigned long long) e->seen_ns);
        json_array_append_new(root, json_pack("{s:s, s:s, s:s, s:s}", "id",
                                              hex, "name", e->name, "last_seq",
                                              seq, "seen_ns", seen));
    }
    if (json_dump_file(root, temporary, JSON_INDENT(1)) ||
        rename(temporary, path)) {
        retval = errno ? errno : EIO;
        lh_error_set(error, "%s: %s", path, strerror(retval));
        unlink(temporary);
    }
    json_decref(root);
    free(temporary);
    return retval;
}

/* --- For people. ----------------------------------------------------------
 */

/* Which host's clock a switch has. */
static size_t
host_of(void *book_, uint64_t dpid)
{
    const struct agent_book *book = book_;
    const struct agent_entry *e = agent_book_of_switch(book, dpid);

    return e ? (size_t) (e - book->entries) : SIZE_MAX;
}

static json_t *
clock_to_json(const struct clock_offset *offset)
{
    return offset->is_known
               ? json_pack("{s:I, s:I}", "offset_ns",
                           (json_int_t) offset->offset_ns, "error_ns",
                           (json_int_t) offset->error_ns)
               : json_null();
}

json_t *
agent_book_to_json(const struct agent_book *book,
                   const struct clock_delays *delays, uint64_t now_ns)
{
    struct clock_offset offsets[AGENT_BOOK_CLOCKS] = {{false, 0, 0}};
    size_t n = book->n < AGENT_BOOK_CLOCKS ? book->n : AGENT_BOOK_CLOCKS;
    json_t *array = json_array();

    clock_offset_estimate(delays, host_of, (void *) book, n, now_ns, offsets);

    for (size_t i = 0; i < book->n; i++) {
        const struct agent_entry *e = &book->entries[i];
        char hex[2 * AGENT_ID_LEN + 1];
        json_t *lost = json_object();

        bytes_to_hex(e->id, AGENT_ID_LEN, hex);
        for (int place = AGENT_PLACE_RING; place < N_AGENT_PLACES; place++) {
            json_object_set_new(lost,
                                agent_place_name((enum agent_place) place),
                                json_integer((json_int_t) e->lost[place]));
        }
        json_array_append_new(
            array,
            json_pack("{s:s, s:s, s:b, s:I, s:I, s:f, s:I, s:I, s:I, s:I, "
                      "s:o, s:o}",
                      "id", hex, "name", e->name, "connected", e->is_connected,
                      "seen_ns", (json_int_t) e->seen_ns, "last_seq",
                      (json_int_t) e->last_seq, "ratio",
                      ((double) e->threshold + 1) / 4294967296.0, "batches",
                      (json_int_t) e->batches, "postcards",
                      (json_int_t) e->postcards, "bytes",
                      (json_int_t) e->bytes, "duplicates",
                      (json_int_t) e->duplicates, "lost", lost, "clock",
                      i < n ? clock_to_json(&offsets[i]) : json_null()));
    }
    return array;
}

/* The clock of a switch, by the offsets of the first 'n' hosts. */
static struct topology_clock
clock_of(const struct agent_book *book, const struct clock_offset *offsets,
         size_t n, uint64_t dpid, uint64_t now_ns)
{
    struct topology_clock clock = {.is_told = false};
    size_t host = host_of((void *) book, dpid);

    if (host != SIZE_MAX) {
        clock.is_told = true;
        clock.host = (uint32_t) host;
        if (host < n && offsets[host].is_known) {
            clock.is_known = true;
            clock.offset_ns = offsets[host].offset_ns;
            clock.error_ns = offsets[host].error_ns;
            clock.at_ns = now_ns;
        }
    }
    return clock;
}

struct topology *
agent_book_tell_clocks(const struct agent_book *book,
                       const struct clock_delays *delays, uint64_t now_ns,
                       const struct topology *topology)
{
    struct clock_offset offsets[AGENT_BOOK_CLOCKS] = {{false, 0, 0}};
    size_t n = book->n < AGENT_BOOK_CLOCKS ? book->n : AGENT_BOOK_CLOCKS;
    size_t n_named = topology ? topology_n_switches(topology) : 0;
    struct topology_builder *b = topology_builder_create();

    clock_offset_estimate(delays, host_of, (void *) book, n, now_ns, offsets);
    for (size_t i = 0; i < n_named; i++) {
        const struct topology_switch *sw = topology_switch_at(topology, i);

        topology_builder_add_switch(b, sw->dpid, sw->name, 0, NULL);
    }
    for (size_t i = 0; i < book->n_switches; i++) {
        uint64_t dpid = book->switches[i].dpid;
        struct topology_clock clock = clock_of(book, offsets, n, dpid, now_ns);

        topology_builder_set_clock(b, dpid, &clock);
    }
    return topology_build(b, topology ? topology_epoch(topology) : 0);
}
