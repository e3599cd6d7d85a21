/* SPDX-License-Identifier: Apache-2.0 */
/* test_path_table_open - what is open in one path table goes on in another as
 * if nothing had happened, at whatever moment it is moved. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "server/path_group.h"
#include "server/path_table.h"

#define N_PACKETS 1000
#define SECRET    UINT64_C(0x5eed0f4a51e77e57)

/* Histories as lines of text. */
struct lines {
    char **line; /* Owned. */
    size_t n, allocated;
};

struct stream {
    struct gen *gen;
    struct gen_config config;
    struct path_table *paths;
    struct lines lines;
    struct path_table_counters sum; /* Of tables that are gone. */
    uint64_t n_moved;
};

static void
emit(void *s_, struct history *h)
{
    struct stream *s = s_;
    struct lines *lines = &s->lines;
    json_t *json = history_to_json(h, NULL);

    lines->line = lh_alloc_grow(lines->line, lines->n, &lines->allocated,
                                sizeof *lines->line);
    lines->line[lines->n++] = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
    history_destroy(h);
}

static const struct rule *
find_rule(void *s_, uint64_t dpid, uint32_t version)
{
    struct stream *s = s_;

    return gen_net_find_rule(gen_get_net(s->gen), dpid, version);
}

static size_t max_plain; /* Of tables; 0: as usual. */
static bool is_timed;    /* The same. */

static struct path_table *
create(struct stream *s)
{
    const struct path_table_config config = {
        .emit = emit,
        .find_rule = find_rule,
        .id_config = s->config.id_config,
        .is_driven = true,
        .is_timed = is_timed,
        .secret = SECRET,
        .max_plain = max_plain,
        .aux = s,
    };
    struct path_table *paths = path_table_create(&config);

    path_table_set_topology(paths, gen_net_topology(gen_get_net(s->gen)));
    return paths;
}

static void
resee(void *to, uint64_t id, uint64_t forget_ns, const struct path_seen *seen)
{
    uint32_t hashes[1024];

    ck_assert_uint_le(seen->n, 1024);
    for (uint32_t i = 0; i < seen->n; i++) {
        hashes[i] = i < PATH_SEEN_INLINE ? seen->hashes[i]
                                         : seen->more[i - PATH_SEEN_INLINE];
    }
    path_table_resee(to, id, forget_ns, hashes, seen->n);
}

static void
renote(void *to, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
    path_table_note_inner(to, inner, outer, time_ns);
}

static void
reopen(void *to, const struct postcard *p, uint64_t due_ns)
{
    path_table_reopen(to, p, due_ns);
}

/* Moves all that is open into a new table. */
static void
move(struct stream *s)
{
    struct path_table *to = create(s);
    struct path_table_counters was, is;

    path_table_run(to, path_table_clock_ns(s->paths));
    path_table_each_seen(s->paths, resee, to);
    path_table_each_inner(s->paths, renote, to);
    path_table_each_open(s->paths, reopen, to);
    path_table_get_counters(s->paths, &was);
    path_table_get_counters(to, &is);
    ck_assert_uint_eq(is.in, was.held);
    ck_assert_uint_eq(is.held, was.held);
    ck_assert_uint_eq(is.open_groups, was.open_groups);
    ck_assert_uint_eq(path_table_next_ns(to) == UINT64_MAX,
                      path_table_next_ns(s->paths) == UINT64_MAX);
    s->n_moved += is.held;
    s->sum.out += was.out;
    s->sum.duplicates += was.duplicates;
    s->sum.ambiguous += was.ambiguous;
    path_table_destroy(s->paths);
    s->paths = to;
}

static void
add_frame(struct stream *s, const struct gen_frame *frame)
{
    struct postcard p;
    struct hdr outer, h;

    ck_assert_int_eq(
        postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p),
        POSTCARD_OK);
    p.time_ns = frame->time_ns;
    hdr_parse(p.header, p.caplen, &h);
    p.has_id = packet_id(&s->config.id_config, p.header, p.caplen, &h,
                         &p.packet_id) != PACKET_ID_SHORT;
    path_table_lead(s->paths, p.time_ns);
    path_table_run(s->paths, p.time_ns);
    path_table_add(s->paths, &p);
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Runs the stream and moves the table before every 'every'th postcard; 0:
 * never. */
static struct lines
run(uint64_t seed, size_t every)
{
    struct stream s = {.n_moved = 0};
    struct path_table_counters n;
    struct gen_frame frames[256];
    struct lh_error error;
    size_t n_frames, n_all = 0;

    gen_config_init(&s.config);
    gen_config_set_all(&s.config);
    s.config.link_change_ns = 0;
    s.config.seed = seed;
    s.config.n_packets = N_PACKETS;
    ck_assert_int_eq(gen_create(&s.config, &s.gen, &error), 0);
    s.paths = create(&s);
    do {
        ck_assert_int_eq(gen_next(s.gen, frames, 256, &n_frames, &error), 0);
        for (size_t i = 0; i < n_frames; i++) {
            if (every && n_all % every == every - 1) {
                move(&s);
            }
            add_frame(&s, &frames[i]);
            n_all++;
        }
    } while (n_frames);
    path_table_flush(s.paths);
    path_table_get_counters(s.paths, &n);
    ck_assert_uint_eq(n.out + n.duplicates + n.ambiguous + s.sum.out +
                          s.sum.duplicates + s.sum.ambiguous,
                      gen_get_counters(s.gen)->postcards);
    if (every) {
        ck_assert_uint_gt(s.n_moved, 0);
    }
    path_table_destroy(s.paths);
    gen_destroy(s.gen);
    qsort(s.lines.line, s.lines.n, sizeof *s.lines.line, compare_lines);
    return s.lines;
}

static void
free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->n; i++) {
        free(lines->line[i]);
    }
    free(lines->line);
}

START_TEST(a_table_that_is_moved_says_the_same)
{
    static const size_t every[] = {13, 101};
    struct lines plain;

    is_timed = _i & 2;
    plain = run((uint64_t) _i / 4 + 1, 0);
    max_plain = _i & 1; /* Folded postcards are moved, too. */
    ck_assert_uint_ge(plain.n, N_PACKETS);
    for (size_t k = 0; k < sizeof every / sizeof every[0]; k++) {
        struct lines moved = run((uint64_t) _i / 4 + 1, every[k]);

        ck_assert_uint_eq(moved.n, plain.n);
        for (size_t i = 0; i < plain.n; i++) {
            ck_assert_str_eq(moved.line[i], plain.line[i]);
        }
        free_lines(&moved);
    }
    free_lines(&plain);
}
END_TEST

static size_t n_emitted;
static uint64_t carrier; /* Of the last one. */

static void
count(void *aux, struct history *h)
{
    n_emitted++;
    carrier = h->carried_by;
    history_destroy(h);
}

static struct postcard
card(uint64_t id, uint64_t time_ns)
{
    struct postcard p = {.dpid = 1,
                         .packet_id = id,
                         .has_id = true,
                         .time_ns = time_ns,
                         .version = 1,
                         .version_bits = 32,
                         .in_port = 1,
                         .out_port = 2};

    return p;
}

/* Clocks of receivers that are wrong move nothing. */
START_TEST(a_driven_table_believes_its_driver)
{
    const struct path_table_config config = {
        .emit = count, .is_driven = true, .window_ns = 1000};
    struct path_table *paths = path_table_create(&config);
    struct postcard p = card(1, 5000);

    path_table_run(paths, 4000);
    path_table_add(paths, &p);
    ck_assert_uint_eq(path_table_clock_ns(paths), 4000);
    for (uint64_t i = 2; i < 20; i++) {
        p = card(i, UINT64_C(1) << 60);
        path_table_add(paths, &p);
        p = card(i + 100, 1);
        path_table_add(paths, &p);
    }
    ck_assert_uint_eq(path_table_clock_ns(paths), 4000);
    path_table_lead(paths, 4500);
    p = card(50, 4400);
    path_table_add(paths, &p);
    ck_assert_uint_eq(path_table_clock_ns(paths), 4400);
    p = card(51, 4600);
    path_table_add(paths, &p);
    ck_assert_uint_eq(path_table_clock_ns(paths), 4400);
    path_table_run(paths, 5100);
    ck_assert_uint_eq(n_emitted, 37);
    path_table_run(paths, 5500);
    ck_assert_uint_eq(n_emitted, 39);
    path_table_destroy(paths);
}
END_TEST

/* A packet is linked to the one around it, although that one closed in the
 * table before. */
START_TEST(what_carries_an_open_packet_stays_known)
{
    const struct path_table_config config = {.emit = count, .is_driven = true};
    struct path_table *from = path_table_create(&config);
    struct path_table *to = path_table_create(&config);
    struct postcard p = card(7, 5000);

    path_table_run(from, 5000);
    path_table_add(from, &p);
    path_table_note_inner(from, 7, 9, 5000);
    path_table_run(from, 5000 + PATH_TABLE_WINDOW_NS - 1);
    path_table_run(to, path_table_clock_ns(from));
    path_table_each_inner(from, renote, to);
    path_table_each_open(from, reopen, to);
    path_table_destroy(from);
    path_table_run(to, 5000 + PATH_TABLE_WINDOW_NS);
    ck_assert_uint_eq(n_emitted, 1);
    ck_assert_uint_eq(carrier, 9);
    path_table_destroy(to);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("path_table_open");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, a_table_that_is_moved_says_the_same, 0, 8);
    tcase_add_test(tcase, a_driven_table_believes_its_driver);
    tcase_add_test(tcase, what_carries_an_open_packet_stays_known);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
