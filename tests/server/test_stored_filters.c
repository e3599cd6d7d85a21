/* SPDX-License-Identifier: Apache-2.0 */
/* test_stored_filters - a filter finds in the archive just what it let through
 * live.
 *
 * A made-up network's postcards go through a path table; what comes out is
 * offered to a set of some hundred random filters and archived, in several
 * blocks, the last of which is pending.  Then each filter is asked of the
 * archive, in either order of time, and must give the histories that it
 * matched live, each once. */
#include <config.h>

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen.h"
#include "lib/crew.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "phf/phf_set.h"
#include "phf/query.h"
#include "server/path_table.h"
#include "tests/lib/archive_fixture.h"
#include "tests/server/random_filter.h"

#ifdef __SANITIZE_THREAD__ /* Which sees what it sees in the first, too. */
#define N_FILTERS 12
#else
#define N_FILTERS 150
#endif
#define N_PACKETS 800
#define N_FIRST   5
#define N_BLOCK   250 /* Histories between two rounds of the archive. */

static const char *const presets[] = {"fabric", "trouble", "faults"};
#define N_PRESETS (int) (sizeof presets / sizeof presets[0])

/* What a filter let through, and each of these found again. */
struct hit {
    uint64_t packet_id, first_ns, last_ns;
    bool is_stored;
};

struct filter {
    struct random_filter text;
    size_t n_hits, allocated_hits;
    struct hit *hits; /* Owned. */
    size_t n_limits;
};

struct both {
    struct gen *gen;               /* Owned. */
    struct archive_writer *writer; /* Owned. */
    struct phf_set *set;           /* Owned. */
    const struct topology *topology;
    uint64_t n_histories, n_packets;
    struct hit now; /* What is being matched. */
    struct filter filters[N_FILTERS];
    struct filter *asked; /* Whose query it is, ... */
    bool is_desc;         /* ... in which order ... */
    uint64_t last_ns;     /* ... and the last time given out. */
    size_t n_first;
    uint64_t first_ns[N_FIRST]; /* Given out by a query with a limit. */
};

/* --- live ---------------------------------------------------------------- */

static struct hit
hit_of(const struct history *h)
{
    return (struct hit){.packet_id = h->has_packet_id ? h->packet_id : 0,
                        .first_ns = history_first_ns(h),
                        .last_ns = history_last_ns(h)};
}

static void
note_hit(void *both_, uint32_t id, void *filter_, enum phf_result result)
{
    struct both *both = both_;
    struct filter *f = filter_;

    if (result != PHF_MATCH) {
        f->n_limits++;
        return;
    }
    f->hits =
        lh_alloc_grow(f->hits, f->n_hits, &f->allocated_hits, sizeof *f->hits);
    f->hits[f->n_hits++] = both->now;
}

static void
count(struct both *both)
{
    if (++both->n_histories % N_BLOCK == 0) {
        archive_writer_round(both->writer, FIXTURE_NOW_NS);
    }
}

static void
emit(void *both_, struct history *h)
{
    struct both *both = both_;

    both->now = hit_of(h);
    phf_set_match(both->set, h, both->topology, note_hit, both);
    archive_writer_add(both->writer, h);
    history_destroy(h);
    count(both);
}

static void
emit_packet(void *both_, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    struct both *both = both_;
    struct history *h = trajectory_history(t, packet);

    both->now = hit_of(h);
    history_destroy(h);
    archive_writer_add_packet(both->writer, t, packet);
    phf_set_match_packet(both->set, t, packet, both->topology, note_hit, both);
    both->n_packets++;
    count(both);
}

static const struct rule *
find_rule(void *both_, uint64_t dpid, uint32_t version)
{
    struct both *both = both_;

    return gen_net_find_rule(gen_get_net(both->gen), dpid, version);
}

static void
add_frame(struct path_table *paths, const struct packet_id_config *id_config,
          const struct gen_frame *frame)
{
    struct postcard p;
    struct hdr outer, h;

    ck_assert_int_eq(
        postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p),
        POSTCARD_OK);
    p.time_ns = frame->time_ns;
    hdr_parse(p.header, p.caplen, &h);
    p.has_id = packet_id(id_config, p.header, p.caplen, &h, &p.packet_id) !=
               PACKET_ID_SHORT;
    path_table_add(paths, &p);
    path_table_run(paths, p.time_ns);
}

/* Sends all packets through it. */
static void
run_live(struct both *both, const char *dir, const char *preset)
{
    struct path_table_config paths = {.emit = emit,
                                      .emit_packet = emit_packet,
                                      .find_rule = find_rule,
                                      .aux = both};
    struct gen_frame frames[256];
    struct gen_config config;
    struct lh_error error;
    char *path;
    size_t n;

    gen_config_init(&config);
    ck_assert(!gen_config_preset(&config, preset, NULL, &path, &error));
    config.n_packets = N_PACKETS;
    config.traffic.n_flows = 60;
    ck_assert(!gen_create(&config, &both->gen, &error));
    both->topology = gen_net_topology(gen_get_net(both->gen));
    both->writer = fixture_writer(dir, NULL);
    both->set = phf_set_create();

    struct gen_random r = {7};

    for (size_t i = 0; i < N_FILTERS; i++) {
        struct filter *f = &both->filters[i];
        struct phf *phf;

        random_filter(&f->text, &r, both->topology);
        ck_assert_msg(!phf_compile(f->text.text, NULL, &phf, &error), "%s: %s",
                      f->text.text, error.text);
        phf_set_add(both->set, phf, f);
    }
    paths.id_config = config.id_config;

    struct path_table *table = path_table_create(&paths);

    path_table_set_topology(table, both->topology);
    do {
        ck_assert(!gen_next(both->gen, frames, 256, &n, &error));
        for (size_t i = 0; i < n; i++) {
            add_frame(table, &config.id_config, &frames[i]);
        }
    } while (n);
    path_table_flush(table);
    path_table_destroy(table);
}

/* --- stored -------------------------------------------------------------- */

static void
give(void *both_, const struct history *h)
{
    struct both *both = both_;
    struct filter *f = both->asked;
    struct hit hit = hit_of(h);

    ck_assert(both->is_desc ? hit.first_ns <= both->last_ns
                            : hit.first_ns >= both->last_ns);
    both->last_ns = hit.first_ns;
    for (size_t i = 0; i < f->n_hits; i++) {
        struct hit *live = &f->hits[i];

        if (!live->is_stored && live->packet_id == hit.packet_id &&
            live->first_ns == hit.first_ns && live->last_ns == hit.last_ns) {
            live->is_stored = true;
            return;
        }
    }
    ck_abort_msg("%s: packet %016" PRIx64 " is found and did not match live",
                 f->text.text, hit.packet_id);
}

static bool
is_busy(void *both)
{
    return false;
}

static void
ask_stored(struct both *both, struct archive_reader *reader, struct filter *f,
           bool is_desc, struct crew *crew)
{
    struct query_config config = {.crew = crew,
                                  .reader = reader,
                                  .topology = both->topology,
                                  .until_ns = UINT64_MAX,
                                  .is_desc = is_desc,
                                  .give = give,
                                  .is_busy = is_busy,
                                  .aux = both};

    ck_assert(!phf_compile(f->text.text, NULL, &config.phf, NULL));
    config.pending = lh_alloc_zero(sizeof *config.pending);
    config.n_pending = 1;
    archive_writer_pending(both->writer, config.pending);
    both->asked = f;
    both->is_desc = is_desc;
    both->last_ns = is_desc ? UINT64_MAX : 0;

    struct query *q = query_create(&config);

    query_run(q, NULL, NULL);
    ck_assert_uint_eq(query_totals(q)->damaged, 0);
    ck_assert_uint_eq(query_totals(q)->scanned, both->n_histories);
    ck_assert_msg(query_totals(q)->n == f->n_hits,
                  "%s: %zu live, %" PRIu64 " stored", f->text.text, f->n_hits,
                  query_totals(q)->n);
    ck_assert_uint_eq(query_totals(q)->n_limits, f->n_limits);
    query_destroy(q);
}

static void
note_first(void *both_, const struct history *h)
{
    struct both *both = both_;

    ck_assert_uint_lt(both->n_first, N_FIRST);
    both->first_ns[both->n_first++] = history_first_ns(h);
}

static int
compare_ns(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

/* With a limit it gives the first matches of all, however many threads look
 * for them, and one that is given up leaves nothing behind. */
static void
ask_first(struct both *both, struct archive_reader *reader, struct filter *f,
          bool is_desc, struct crew *crew)
{
    struct query_config config = {.crew = crew,
                                  .reader = reader,
                                  .topology = both->topology,
                                  .until_ns = UINT64_MAX,
                                  .limit = N_FIRST,
                                  .is_desc = is_desc,
                                  .give = note_first,
                                  .is_busy = is_busy,
                                  .aux = both};
    size_t n = f->n_hits < N_FIRST ? f->n_hits : N_FIRST;
    uint64_t *live_ns = lh_alloc_array(NULL, f->n_hits + 1, sizeof *live_ns);

    for (size_t i = 0; i < f->n_hits; i++) {
        live_ns[i] = f->hits[i].first_ns;
    }
    qsort(live_ns, f->n_hits, sizeof *live_ns, compare_ns);
    ck_assert(!phf_compile(f->text.text, NULL, &config.phf, NULL));
    config.pending = lh_alloc_zero(sizeof *config.pending);
    config.n_pending = 1;
    archive_writer_pending(both->writer, config.pending);
    both->n_first = 0;

    struct query *q = query_create(&config);

    query_run(q, NULL, NULL);
    ck_assert_uint_eq(both->n_first, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(both->first_ns[i],
                          live_ns[is_desc ? f->n_hits - 1 - i : i]);
    }
    query_destroy(q);
    free(live_ns);

    ck_assert(!phf_compile(f->text.text, NULL, &config.phf, NULL));
    config.pending = lh_alloc_zero(sizeof *config.pending);
    config.n_pending = 1;
    archive_writer_pending(both->writer, config.pending);
    both->n_first = 0;
    q = query_create(&config);
    query_step(q);
    query_destroy(q);
}

START_TEST(stored_and_live_answers_are_equal)
{
    struct both *both = lh_alloc_zero(sizeof *both);
    char *dir = fixture_dir();
    size_t n_some = 0;

    run_live(both, dir, presets[_i]);

    struct archive_reader *reader = fixture_reader(dir);

    ck_assert_uint_gt(archive_reader_n_blocks(reader), 2);
    ck_assert_uint_gt(both->n_packets, both->n_histories / 4);
    struct crew *crew = crew_create(3, CREW_BACKGROUND);

    ck_assert_ptr_nonnull(crew);
    for (size_t i = 0; i < N_FILTERS; i++) {
        struct filter *f = &both->filters[i];

        ask_stored(both, reader, f, i % 2, i % 4 < 2 ? crew : NULL);
        ask_first(both, reader, f, i % 2, crew);
        n_some += f->n_hits && f->n_hits < both->n_histories;
        free(f->hits);
    }
    /* Neither all nor nothing, or they would show little. */
    ck_assert_uint_gt(n_some, N_FILTERS / 4);
    query_drain(crew);
    crew_destroy(crew);
    archive_reader_close(reader);
    archive_writer_close(both->writer);
    phf_set_destroy(both->set);
    gen_destroy(both->gen);
    fixture_remove(dir);
    free(both);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stored_filters");
    TCase *tc = tcase_create("stored_filters");

    tcase_add_loop_test(tc, stored_and_live_answers_are_equal, 0, N_PRESETS);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
