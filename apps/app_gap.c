/* SPDX-License-Identifier: Apache-2.0 */
/* app_gap - matches that came while their server was not followed. */
#include <config.h>
#include "apps/app_gap.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

/* Matches remembered; each takes the place of one with the same hash. */
#define N_NOTES 65536u

struct note {
    uint64_t id, packet_id, first_ns; /* ID 0: none. */
};

/* A history comes at most so late after its first postcard
 * (docs/limits.md), and some. */
#define LATE_NS UINT64_C(5000000000)

struct app_gap {
    uint64_t began_ns, heard_ns;
    uint64_t filled_ns; /* Up to here matches may come twice. */
    struct note notes[N_NOTES];
};

struct app_gap *
app_gap_create(void)
{
    struct app_gap *gap = lh_alloc_zero(sizeof *gap);

    gap->began_ns = gap->heard_ns = time_spec_now();
    return gap;
}

void
app_gap_destroy(struct app_gap *gap)
{
    free(gap);
}

void
app_gap_heard(struct app_gap *gap, uint64_t time_ns)
{
    gap->heard_ns = time_ns > gap->heard_ns ? time_ns : gap->heard_ns;
}

uint64_t
app_gap_heard_ns(const struct app_gap *gap)
{
    return gap->heard_ns;
}

/* False when it was noted before. */
static bool
note_match(struct app_gap *gap, uint64_t id, const struct history *h)
{
    struct note note = {id, h->packet_id, history_first_ns(h)};
    uint64_t hash = (note.packet_id ^ note.first_ns * 31 ^ id << 48) *
                    UINT64_C(0x9e3779b97f4a7c15);
    struct note *place = &gap->notes[hash >> 48];
    bool is_new = place->id != note.id || place->packet_id != note.packet_id ||
                  place->first_ns != note.first_ns;

    *place = note;
    return is_new;
}

bool
app_gap_note(struct app_gap *gap, uint64_t id, const struct history *h)
{
    return note_match(gap, id, h) || history_first_ns(h) >= gap->filled_ns;
}

/* --- Filling ------------------------------------------------------------ */

struct filling {
    struct app_gap *gap;
    uint64_t id;
    bool (*give)(void *aux, uint64_t id, struct history *);
    void *aux;
    struct app_gap_filled *filled;
};

static void
take(void *filling_, struct history *h)
{
    struct filling *f = filling_;

    if (f->filled->is_enough || !note_match(f->gap, f->id, h)) {
        history_destroy(h);
        return;
    }
    f->filled->n++;
    f->filled->is_enough = !f->give(f->aux, f->id, h);
}

int
app_gap_fill(struct app_gap *gap, struct app_source *source,
             bool (*give)(void *aux, uint64_t id, struct history *), void *aux,
             struct app_gap_filled *filled, struct lh_error *error)
{
    struct filling f = {
        .gap = gap, .give = give, .aux = aux, .filled = filled};
    uint64_t since_ns = gap->heard_ns > gap->began_ns + LATE_NS
                            ? gap->heard_ns - LATE_NS
                            : gap->began_ns;
    int retval = 0;

    gap->filled_ns = time_spec_now();
    *filled = (struct app_gap_filled){.n = 0};
    for (size_t i = 0; !retval && !filled->is_enough; i++) {
        struct app_find find = {.phf = app_source_watched(source, i, &f.id),
                                .since_ns = since_ns,
                                .limit = APP_GAP_LIMIT,
                                .is_asc = true,
                                .give = take,
                                .aux = &f};
        struct app_found found = {.is_truncated = false};

        if (!find.phf) {
            break;
        }
        retval = app_source_find(source, &find, &found, error);
        filled->has_more = filled->has_more || found.is_truncated;
    }
    return retval;
}
