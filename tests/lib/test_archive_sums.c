/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that sums beside a file are those of its packets at each depth, that
 * nothing damaged or of other blocks is taken for them, and that a writer
 * makes and removes them. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/archive_sums.h"
#include "lib/bytes.h"
#include "lib/hop_traffic.h"
#include "lib/lh_alloc.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

#define SECOND    1000000000ull
#define N_FLOWS   30
#define N_PACKETS 900

static char *dir;
static struct history *all[N_PACKETS]; /* Owned. */
static const struct archive_segment segment = {.first = 1, .last = 1};
static struct archive_sums_id id;

/* Adds packets of flows and histories of their own. */
static void
add_packets(struct archive_writer *w, uint32_t left_out)
{
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct flow flows[N_FLOWS];
    uint64_t seed = 17;

    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, FIXTURE_NOW_NS);
    }
    for (size_t i = 0; i < N_PACKETS; i++) {
        struct flow *flow = &flows[random_u32(&seed) % N_FLOWS];
        struct history *h = i % 10 ? flow_next(flow, &seed, 1, &config)
                                   : random_history(&seed, 6, FIXTURE_NOW_NS);
        struct trajectory_packet packet;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t =
            i % 10 ? flow_trajectory(flow, h, &packet, times_ns) : NULL;

        h->left_out = left_out;
        packet.left_out = left_out;
        if (t) {
            archive_writer_add_packet(w, t, &packet);
        } else {
            archive_writer_add(w, h);
        }
        all[i] = h;
        if (i % 200 == 199) {
            archive_writer_round(w, FIXTURE_NOW_NS);
        }
    }
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
}

static void
free_packets(void)
{
    for (size_t i = 0; i < N_PACKETS; i++) {
        history_destroy(all[i]);
        all[i] = NULL;
    }
}

/* What a reader says that the blocks of the first file are. */
static struct archive_sums_id
find_id(void)
{
    struct archive_reader *reader = fixture_reader(dir);
    struct archive_sums_id found = {.hash = 0};

    for (size_t i = 0; i < archive_reader_n_blocks(reader); i++) {
        const struct archive_entry *entry = archive_reader_entry(reader, i);

        if (entry->segment.first == 1) {
            archive_sums_id_add(&found, entry->offset, &entry->block);
        }
    }
    archive_reader_close(reader);
    return found;
}

/* Writes the sums of the first file and gives them their name. */
static int
make_sums(void)
{
    char *from = archive_sums_new_path(dir, &segment);
    char *to = archive_sums_path(dir, &segment);
    struct lh_error error = {.text = "-"};
    uint64_t size;
    int retval = archive_sums_write(dir, &segment, NULL, &size, &error);

    if (!retval) {
        ck_assert(!rename(from, to));
        ck_assert_uint_eq(archive_sums_size(dir, &segment), size);
    } else {
        ck_assert(access(from, F_OK));
    }
    free(from);
    free(to);
    return retval;
}

static void
set_up(void)
{
    struct archive_writer *w;

    dir = fixture_dir();
    w = fixture_writer(dir, NULL);
    add_packets(w, 0);
    archive_writer_close(w);
    ck_assert(!make_sums());
    id = find_id();
    ck_assert_uint_eq(id.n_records, N_PACKETS);
}

static void
tear_down(void)
{
    free_packets();
    fixture_remove(dir);
}

/* --- What they say ------------------------------------------------------ */

#define MAX_PLACES 4096

/* A direction at a port. */
struct place {
    uint64_t dpid;
    uint32_t port;
    bool is_in;
    uint64_t packets, bytes;
};

struct places {
    size_t n;
    struct place all[MAX_PLACES];
};

static void
count_at(struct places *p, uint64_t dpid, uint32_t port, bool is_in,
         uint64_t packets, uint64_t bytes)
{
    size_t i = 0;

    while (i < p->n && (p->all[i].dpid != dpid || p->all[i].port != port ||
                        p->all[i].is_in != is_in)) {
        i++;
    }
    if (i == p->n) {
        ck_assert_uint_lt(p->n, MAX_PLACES);
        p->all[p->n++] = (struct place){dpid, port, is_in, 0, 0};
    }
    p->all[i].packets += packets;
    p->all[i].bytes += bytes;
}

/* Counts packets that went as 'h', with 'bytes' of each hop, in and out. */
static void
count_hops(struct places *p, const struct history *h, uint64_t packets,
           uint64_t (*bytes)(const void *aux, size_t hop, bool is_in),
           const void *aux)
{
    struct hop_ports ports = {.n = 0};

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        count_at(p, hop->dpid, hop->in_port, true, packets,
                 bytes(aux, i, true));
        hop_traffic_ports(hop, &ports);
        for (size_t k = 0; k < ports.n; k++) {
            count_at(p, hop->dpid, ports.ports[k], false, packets,
                     bytes(aux, i, false));
        }
    }
    free(ports.ports);
}

static uint64_t
bytes_of_history(const void *h, size_t hop, bool is_in)
{
    return hop_traffic_bytes(h, hop, is_in);
}

struct row_on_way {
    const struct flow_sums_row *row;
    const int64_t *more;
};

static uint64_t
bytes_of_row(const void *aux, size_t hop, bool is_in)
{
    const struct row_on_way *at = aux;

    return at->row->bytes +
           at->row->packets * (uint64_t) at->more[2 * hop + !is_in];
}

static int
compare_places(const void *a_, const void *b_)
{
    const struct place *a = a_, *b = b_;

    return a->dpid != b->dpid   ? (a->dpid < b->dpid ? -1 : 1)
           : a->port != b->port ? (a->port < b->port ? -1 : 1)
                                : (int) a->is_in - (int) b->is_in;
}

START_TEST(sums_are_those_of_the_packets)
{
    static struct places by_hand, by_sums;
    struct flow_sums_view view;
    struct lh_error error = {.text = "-"};
    uint64_t n_packets = 0;

    by_hand.n = by_sums.n = 0;
    for (size_t i = 0; i < N_PACKETS; i++) {
        count_hops(&by_hand, all[i], 1, bytes_of_history, all[i]);
    }
    ck_assert_msg(!archive_sums_read(dir, &segment, &id,
                                     (enum flow_sums_depth) _i, &view, &error),
                  "%s", error.text);
    for (size_t i = 0; i < view.n; i++) {
        struct row_on_way at = {.row = &view.rows[i]};
        struct way_view way;

        way_table_get(view.ways, view.rows[i].way, &way);
        at.more = way.more;
        count_hops(&by_sums, way.h, view.rows[i].packets, bytes_of_row, &at);
        n_packets += view.rows[i].packets;
    }
    ck_assert_uint_eq(n_packets, N_PACKETS);
    ck_assert_uint_eq(by_hand.n, by_sums.n);
    qsort(by_hand.all, by_hand.n, sizeof *by_hand.all, compare_places);
    qsort(by_sums.all, by_sums.n, sizeof *by_sums.all, compare_places);
    for (size_t i = 0; i < by_hand.n; i++) {
        const struct place *a = &by_hand.all[i], *b = &by_sums.all[i];

        ck_assert(!compare_places(a, b));
        ck_assert_uint_eq(a->packets, b->packets);
        ck_assert_uint_eq(a->bytes, b->bytes);
    }
    flow_sums_view_uninit(&view);
}
END_TEST

/* Rows of a depth are those of the next added up. */
START_TEST(depths_agree)
{
    struct flow_sums_view pairs, flows;
    struct lh_error error;
    size_t at = 0, n_with_ports = 0;

    ck_assert(!archive_sums_read(dir, &segment, &id, FLOW_SUMS_PAIRS, &pairs,
                                 &error));
    ck_assert(!archive_sums_read(dir, &segment, &id, FLOW_SUMS_FLOWS, &flows,
                                 &error));
    ck_assert_uint_gt(flows.n, pairs.n);
    for (size_t i = 0; i < pairs.n; i++) {
        const struct flow_sums_row *pair = &pairs.rows[i];
        uint64_t packets = 0, bytes = 0;

        while (packets < pair->packets) {
            const struct flow_sums_row *flow = &flows.rows[at++];

            ck_assert_uint_le(at, flows.n);
            ck_assert_uint_eq(flow->way, pair->way);
            ck_assert_uint_eq(flow->n_addr, pair->n_addr);
            ck_assert(!memcmp(flow->name, pair->name, 2 * pair->n_addr));
            packets += flow->packets;
            bytes += flow->bytes;
            n_with_ports += flow->n_ports != 0;
        }
        ck_assert_uint_eq(packets, pair->packets);
        ck_assert_uint_eq(bytes, pair->bytes);
    }
    ck_assert_uint_eq(at, flows.n);
    ck_assert_uint_gt(n_with_ports, 0);
    flow_sums_view_uninit(&pairs);
    flow_sums_view_uninit(&flows);
}
END_TEST

/* --- What is not taken for sums ----------------------------------------- */

static int
read_flows(const struct archive_sums_id *wanted)
{
    struct flow_sums_view view;
    struct lh_error error = {.text = ""};
    int retval = archive_sums_read(dir, &segment, wanted, FLOW_SUMS_FLOWS,
                                   &view, &error);

    if (retval) {
        ck_assert_uint_gt(strlen(error.text), 0);
        ck_assert_ptr_null(view.rows);
        ck_assert_ptr_null(view.ways);
    } else {
        flow_sums_view_uninit(&view);
    }
    return retval;
}

static uint8_t *
load(const char *path, size_t *len)
{
    FILE *stream = fopen(path, "rb");
    uint8_t *bytes = lh_alloc(1 << 20);

    ck_assert_ptr_nonnull(stream);
    *len = fread(bytes, 1, 1 << 20, stream);
    ck_assert_uint_lt(*len, 1 << 20);
    fclose(stream);
    return bytes;
}

static void
store(const char *path, const uint8_t *bytes, size_t len)
{
    FILE *stream = fopen(path, "wb");

    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(bytes, 1, len, stream), len);
    ck_assert(!fclose(stream));
}

START_TEST(each_damaged_byte_is_seen)
{
    char *path = archive_sums_path(dir, &segment);
    size_t len;
    uint8_t *bytes = load(path, &len);

    ck_assert(!read_flows(&id));
    for (size_t i = 0; i < len; i += i < 300 ? 1 : 97) {
        bytes[i] ^= 0x10;
        store(path, bytes, len);
        ck_assert_msg(read_flows(&id) == EBADMSG, "byte %zu", i);
        bytes[i] ^= 0x10;
    }
    for (size_t n = 0; n < len; n += 1 + n / 3) {
        store(path, bytes, n);
        ck_assert_msg(read_flows(&id) == EBADMSG, "%zu bytes", n);
    }
    store(path, bytes, len);
    ck_assert(!read_flows(&id));
    free(bytes);
    free(path);
}
END_TEST

START_TEST(others_are_told_apart)
{
    char *path = archive_sums_path(dir, &segment);
    struct archive_sums_id other = id;
    size_t len;
    uint8_t *bytes = load(path, &len);

    other.hash++;
    ck_assert_int_eq(read_flows(&other), ESTALE);
    ck_assert_uint_eq(archive_sums_find(dir, &segment, &id), len);
    ck_assert_uint_eq(archive_sums_find(dir, &segment, &other), 0);
    bytes[4]++;
    bytes_put_be64(bytes + 56, XXH64(bytes, 56, 0));
    store(path, bytes, len);
    ck_assert_int_eq(read_flows(&id), EPROTONOSUPPORT);
    ck_assert(!archive_sums_remove(dir, &segment));
    ck_assert(!archive_sums_remove(dir, &segment));
    ck_assert_int_eq(read_flows(&id), ENOENT);
    free(bytes);
    free(path);
}
END_TEST

/* Of a file with damage no sums are made: what it holds is not known. */
START_TEST(a_damaged_file_gets_none)
{
    char *path = archive_dir_segment(dir, &segment);
    size_t len;
    uint8_t *bytes = load(path, &len);

    archive_sums_remove(dir, &segment);
    bytes[20] ^= 0x10;
    store(path, bytes, len);
    ck_assert_int_eq(make_sums(), EBADMSG);
    free(bytes);
    free(path);
}
END_TEST

START_TEST(where_packets_were_left_out_there_are_none)
{
    struct archive_writer *w;

    dir = fixture_dir();
    w = fixture_writer(dir, NULL);
    add_packets(w, 1u << 31);
    archive_writer_close(w);
    ck_assert_int_eq(make_sums(), ENOTSUP);
    tear_down();
}
END_TEST

/* --- The writer --------------------------------------------------------- */

static struct archive_writer *
open_writer(uint64_t retain_ns)
{
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .now_ns = FIXTURE_NOW_NS,
        .segment_bytes = 1,
        .merges = true,
        .merge_blocks = 1000,
        .sums_records = 100,
        .retain_ns = retain_ns,
    };
    struct archive_writer *w;
    struct lh_error error;

    ck_assert_msg(!archive_writer_open(&config, &w, NULL, &error), "%s",
                  error.text);
    return w;
}

/* Rounds until 'n' files have got sums. */
static struct archive_writer_counters
wait_for_sums(struct archive_writer *w, uint64_t n)
{
    const struct timespec pause = {0, 1000000};
    time_t deadline = time(NULL) + 110;
    struct archive_writer_counters c;

    do {
        ck_assert(time(NULL) < deadline);
        fixture_hurry();
        nanosleep(&pause, NULL);
        archive_writer_round(w, FIXTURE_NOW_NS);
        archive_writer_get_counters(w, &c);
    } while (c.sums < n);
    return c;
}

/* Names that end so, and the bytes of all files of blocks and sums. */
static size_t
count_files(const char *end, uint64_t *n_bytes)
{
    DIR *stream = opendir(dir);
    const struct dirent *entry;
    size_t n = 0;

    *n_bytes = 0;
    while ((entry = readdir(stream)) != NULL) {
        size_t len = strlen(entry->d_name);
        struct stat st;

        n += len > strlen(end) &&
             !strcmp(entry->d_name + len - strlen(end), end);
        ck_assert(!fstatat(dirfd(stream), entry->d_name, &st, 0));
        *n_bytes +=
            strncmp(entry->d_name, "segment-", 8) ? 0 : (uint64_t) st.st_size;
    }
    closedir(stream);
    return n;
}

START_TEST(a_writer_makes_and_removes_them)
{
    struct archive_writer_counters c;
    struct archive_writer *w;
    uint64_t n_bytes;
    char *stale;

    dir = fixture_dir();
    w = open_writer(0);
    /* Five rounds, each in a file of its own; an empty one is open. */
    add_packets(w, 0);
    c = wait_for_sums(w, 5);
    ck_assert_uint_eq(c.sums, 5);
    ck_assert_uint_eq(c.merge_errors, 0);
    ck_assert_uint_eq(count_files(".sums", &n_bytes), 5);
    ck_assert_uint_eq(count_files(".new", &n_bytes), 0);
    ck_assert_uint_eq(c.total_bytes, n_bytes);
    archive_writer_close(w);

    /* One that was being written, and one of other blocks, go; the others
     * stay and count. */
    stale = archive_sums_new_path(dir, &segment);
    store(stale, (const uint8_t *) "x", 1);
    free(stale);
    stale = archive_sums_path(dir, &segment);
    store(stale, (const uint8_t *) "x", 1);
    free(stale);
    w = open_writer(SECOND);
    archive_writer_get_counters(w, &c);
    ck_assert_uint_eq(count_files(".sums", &n_bytes), 4);
    ck_assert_uint_eq(count_files(".new", &n_bytes), 0);
    ck_assert_uint_eq(c.total_bytes, n_bytes);
    c = wait_for_sums(w, 1);
    ck_assert_uint_eq(count_files(".sums", &n_bytes), 5);
    ck_assert_uint_eq(c.total_bytes, n_bytes);

    /* They go with their files. */
    archive_writer_round(w, FIXTURE_NOW_NS + 1000000 * SECOND);
    ck_assert_uint_eq(count_files(".sums", &n_bytes), 0);
    archive_writer_get_counters(w, &c);
    ck_assert_uint_eq(c.total_bytes, n_bytes);
    archive_writer_close(w);
    tear_down();
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("archive sums");
    TCase *said = tcase_create("said");
    TCase *made = tcase_create("made");
    SRunner *sr;
    int n_failed;

    tcase_add_checked_fixture(said, set_up, tear_down);
    tcase_add_loop_test(said, sums_are_those_of_the_packets, FLOW_SUMS_WAYS,
                        FLOW_SUMS_FLOWS + 1);
    tcase_add_test(said, depths_agree);
    tcase_add_test(said, each_damaged_byte_is_seen);
    tcase_add_test(said, others_are_told_apart);
    tcase_add_test(said, a_damaged_file_gets_none);
    suite_add_tcase(s, said);
    tcase_add_test(made, where_packets_were_left_out_there_are_none);
    tcase_add_test(made, a_writer_makes_and_removes_them);
    tcase_set_timeout(made, 120);
    suite_add_tcase(s, made);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    n_failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
