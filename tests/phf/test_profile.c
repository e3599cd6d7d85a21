/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that a profile of an archive is what one counts history by history,
 * and of how links are named. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "phf/phf.h"
#include "phf/profile.h"
#include "phf/profile_links.h"
#include "phf/profile_table.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

#define N_FLOWS   40
#define N_PACKETS 1500

static char *dir;
static struct archive_writer *writer;
static struct archive_reader *reader;
static struct history *all[N_PACKETS]; /* Owned. */
static bool is_sampled; /* Blocks stand for 4, 2, 1, 1 times what they have. */

static uint32_t
left_out(size_t i)
{
    return !is_sampled || i >= 800 ? 0 : i < 400 ? 3u << 30 : 1u << 31;
}

static void
set_up(void)
{
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct flow *flows = lh_alloc_zero(N_FLOWS * sizeof *flows);
    uint64_t seed = 78;

    dir = fixture_dir();
    writer = fixture_writer(dir, NULL);
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, FIXTURE_NOW_NS);
    }
    for (size_t i = 0; i < N_PACKETS; i++) {
        struct flow *flow = &flows[random_u32(&seed) % N_FLOWS];
        struct history *h = flow_next(flow, &seed, 1, &config);
        struct trajectory_packet packet;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t = flow_trajectory(flow, h, &packet, times_ns);

        h->left_out = left_out(i);
        packet.left_out = h->left_out;
        if (t) {
            archive_writer_add_packet(writer, t, &packet);
        } else {
            archive_writer_add(writer, h);
        }
        all[i] = h;
        if (i % 400 == 399) {
            archive_writer_round(writer, FIXTURE_NOW_NS);
        }
    }
    archive_writer_round(writer, FIXTURE_NOW_NS);
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    free(flows);
    reader = fixture_reader(dir);
}

static void
set_up_sampled(void)
{
    is_sampled = true;
    set_up();
}

static void
tear_down(void)
{
    for (size_t i = 0; i < N_PACKETS; i++) {
        history_destroy(all[i]);
    }
    archive_reader_close(reader);
    archive_writer_close(writer);
    fixture_remove(dir);
}

/* --- By hand ------------------------------------------------------------ */

struct sum {
    uint64_t packets, bytes;
};

static uint64_t
length_of(const uint8_t *data, size_t len)
{
    struct hdr hdr;

    hdr_parse(data, len, &hdr);
    return hdr_has_l3(&hdr) ? hdr.l3_ofs + hdr.own_len : len;
}

/* What goes out of 'dpid' at 'port' in 'h' (UINT64_MAX: at any port of any
 * switch, and what comes in first). */
static void
add_by_hand(struct sum *sum, const struct history *h, uint64_t dpid,
            uint32_t port)
{
    uint64_t weight = h->left_out == 3u << 30 ? 4 : h->left_out ? 2 : 1;
    bool is_any = dpid == UINT64_MAX;

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        if (is_any && hop->parent < 0) {
            sum->packets += weight;
            sum->bytes += weight * length_of(hop->header, hop->caplen);
        }
        for (size_t k = 0; k < hop->n_out; k++) {
            if (hop->out_ports[k] < 0xff00 &&
                (is_any || (hop->dpid == dpid && hop->out_ports[k] == port)) &&
                hop->verdict.name != VERDICT_DROPPED) {
                sum->packets += weight;
                sum->bytes +=
                    weight *
                    (hop->has_header_out
                         ? length_of(hop->header_out, hop->header_out_len)
                         : length_of(hop->header, hop->caplen));
            }
        }
    }
}

/* --- By the profile ----------------------------------------------------- */

static json_t *
profile_of(const char *request_text, struct crew *crew)
{
    json_t *request = json_loads(request_text, 0, NULL);
    struct profile_config config = {.reader = reader,
                                    .now_ns = FIXTURE_NOW_NS};
    struct lh_error error = {.text = "-"};
    struct profile *profile;
    json_t *answer;

    ck_assert_msg(request != NULL, "%s", request_text);
    ck_assert_msg(!profile_create(&config, request, &profile, &error),
                  "%s: %s", request_text, error.text);
    profile_start(profile, crew);
    while (!profile_is_done(profile)) {
        struct crew_job *job = crew_take(crew);

        if (job) {
            profile_take(job);
        } else {
            crew_wait(crew, -1);
        }
    }
    answer = profile_answer(profile);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "damaged")),
                     0);
    profile_destroy(profile);
    json_decref(request);
    return answer;
}

static struct sum
sum_of(const json_t *node)
{
    return (struct sum){
        (uint64_t) json_integer_value(json_object_get(node, "packets")),
        (uint64_t) json_integer_value(json_object_get(node, "bytes"))};
}

/* Each node is the sum of those below it. */
static void
check_tree(const json_t *node, const char *below)
{
    const json_t *nodes = json_object_get(node, below), *child;
    struct sum whole = sum_of(node), sum = {0, 0};
    uint64_t before = UINT64_MAX;
    size_t i;

    if (!json_array_size(nodes)) {
        return;
    }
    json_array_foreach(nodes, i, child)
    {
        struct sum part = sum_of(child);

        sum.packets += part.packets;
        sum.bytes += part.bytes;
        if (strcmp(json_string_value(json_object_get(child, "by")),
                   "others") != 0) {
            ck_assert_uint_le(part.bytes, before);
            before = part.bytes;
        }
        check_tree(child, "nodes");
    }
    ck_assert_uint_eq(sum.packets, whole.packets);
    ck_assert_uint_eq(sum.bytes, whole.bytes);
}

static void
check_sum(const json_t *answer, struct sum by_hand)
{
    struct sum sum = sum_of(answer);

    ck_assert_uint_gt(by_hand.packets, 0);
    ck_assert_uint_eq(sum.packets, by_hand.packets);
    ck_assert_uint_eq(sum.bytes, by_hand.bytes);
    check_tree(answer, "tree");
}

static const char *const bys[] = {
    "[\"link\"]",
    "[\"ingress\", \"path\", \"hosts\", \"flow\"]",
    "[\"flow\"]",
    "[\"src\", \"dst\"]",
    "[\"hosts\", \"link\"]",
    "[\"path\"]",
    "[]",
};

START_TEST(all_links)
{
    struct crew *crew = _i % 2 ? crew_create(2, CREW_NORMAL) : NULL;
    struct sum by_hand = {0, 0};
    char request[160];
    json_t *answer, *sampled;

    for (size_t i = 0; i < N_PACKETS; i++) {
        add_by_hand(&by_hand, all[i], UINT64_MAX, 0);
    }
    snprintf(request, sizeof request, "{\"by\": %s, \"top\": %d}", bys[_i],
             _i % 3 ? 3 : 1000);
    answer = profile_of(request, crew);
    check_sum(answer, by_hand);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "scanned")),
                     N_PACKETS);
    sampled = json_object_get(answer, "sampled");
    ck_assert(is_sampled == (sampled != NULL));
    if (is_sampled) {
        ck_assert_double_eq(
            json_number_value(json_object_get(sampled, "least")), 1);
        ck_assert_double_eq(
            json_number_value(json_object_get(sampled, "most")), 4);
    }
    json_decref(answer);
    crew_destroy(crew);
}
END_TEST

static const char *const filters[] = {
    ".*",
    "{{--bpf tcp}}",
    "{{--bpf \"ip[4:2] & 1 = 1\"}}",
    "{{--dpid 2}}{{--bpf \"less 200\"}}",
};

START_TEST(one_link_with_a_filter)
{
    struct sum by_hand = {0, 0};
    struct lh_error error;
    struct phf *phf;
    json_t *answer, *request;
    char *text;

    ck_assert(!phf_compile(filters[_i], NULL, &phf, &error));
    for (size_t i = 0; i < N_PACKETS; i++) {
        if (phf_match(phf, all[i], NULL) == PHF_MATCH) {
            add_by_hand(&by_hand, all[i], 2, 2);
        }
    }
    phf_destroy(phf);
    request = json_pack("{s:[s], s:s}", "links", "2:2", "phf", filters[_i]);
    text = json_dumps(request, 0);
    answer = profile_of(text, NULL);
    check_sum(answer, by_hand);
    json_decref(answer);
    json_decref(request);
    free(text);
}
END_TEST

/* Blocks that say no sums have their packets' lengths read. */
START_TEST(an_archive_without_sums)
{
    const char *srcdir = getenv("srcdir");
    char *golden =
        lh_asprintf("%s/tests/lib/golden/archive-v2", srcdir ? srcdir : ".");
    struct archive_reader *old = fixture_reader(golden), *ours = reader;
    char *new_dir = fixture_dir(), request[160];
    struct archive_writer *w = fixture_writer(new_dir, NULL);
    json_t *answers[2];
    size_t n;
    struct history **histories = fixture_read_all(old, &n);

    for (size_t i = 0; i < n; i++) {
        archive_writer_add(w, histories[i]);
    }
    archive_writer_round(w, FIXTURE_NOW_NS);
    fixture_free_all(histories, n);
    snprintf(request, sizeof request, "{\"by\": %s, \"top\": 1000}", bys[_i]);
    for (int i = 0; i < 2; i++) {
        reader = i ? old : fixture_reader(new_dir);
        answers[i] = profile_of(request, NULL);
        archive_reader_close(reader);
    }
    ck_assert_uint_gt(sum_of(answers[0]).packets, 0);
    ck_assert(json_equal(answers[0], answers[1]));
    json_decref(answers[0]);
    json_decref(answers[1]);
    reader = ours;
    archive_writer_close(w);
    fixture_remove(new_dir);
    free(golden);
}
END_TEST

START_TEST(a_range_in_intervals)
{
    uint64_t min_ns = UINT64_MAX, max_ns = 0, since_ns, until_ns, step_ns;
    struct sum by_hand = {0, 0}, series[16] = {{0, 0}}, other = {0, 0};
    json_t *answer, *pair;
    char request[256];
    size_t i;

    for (i = 0; i < N_PACKETS; i++) {
        uint64_t ns = history_first_ns(all[i]);

        min_ns = ns < min_ns ? ns : min_ns;
        max_ns = ns > max_ns ? ns : max_ns;
    }
    since_ns = min_ns + (max_ns - min_ns) / 5;
    until_ns = max_ns - (max_ns - min_ns) / 7;
    step_ns = (until_ns - since_ns) / 7;
    for (i = 0; i < N_PACKETS; i++) {
        uint64_t ns = history_first_ns(all[i]);

        if (ns >= since_ns && ns < until_ns) {
            add_by_hand(&by_hand, all[i], 1, 2);
            add_by_hand(&series[(ns - since_ns) / step_ns], all[i], 1, 2);
        }
    }
    snprintf(request, sizeof request,
             "{\"links\": [\"1:2\"], \"since\": %" PRIu64
             ", \"until\": %" PRIu64 ", \"interval_ns\": %" PRIu64
             ", \"by\": [\"hosts\", \"flow\"], \"top\": 1000}",
             since_ns, until_ns, step_ns);
    answer = profile_of(request, NULL);
    check_sum(answer, by_hand);
    json_array_foreach(json_object_get(answer, "series"), i, pair)
    {
        ck_assert_uint_eq(
            (uint64_t) json_integer_value(json_array_get(pair, 0)),
            series[i].packets);
        ck_assert_uint_eq(
            (uint64_t) json_integer_value(json_array_get(pair, 1)),
            series[i].bytes);
    }
    ck_assert_uint_ge(i, 7);
    json_array_foreach(json_object_get(answer, "tree"), i, pair)
    {
        const json_t *own = json_object_get(pair, "series"), *one;
        size_t k;

        json_array_foreach(own, k, one)
        {
            other.packets +=
                (uint64_t) json_integer_value(json_array_get(one, 0));
        }
    }
    ck_assert_uint_eq(other.packets, by_hand.packets);
    json_decref(answer);
}
END_TEST

/* --- Names and bad requests --------------------------------------------- */

static struct topology *
make_topology(void)
{
    struct topology_builder *b = topology_builder_create();

    topology_builder_add_switch(b, 1, "s1", 0, NULL);
    topology_builder_add_switch(b, 2, "s2", 0, NULL);
    topology_builder_add_switch(b, 3, "spine3", 0, NULL);
    topology_builder_add_port(b, 1, 1, "client", true);
    topology_builder_add_link(b, 1, 2, 2, 1);
    topology_builder_add_link(b, 1, 3, 2, 3);
    topology_builder_add_link(b, 2, 2, 3, 1);
    return topology_build(b, 1);
}

static const struct {
    const char *text, *names; /* Or what is wrong. */
    bool is_wrong;
} cases[] = {
    {"s1:2", "s1:2 -> s2;", false},
    {"s1:2/in", "-> s1:2;", false},
    {"1:client", "s1:client ->;", false},
    {"s1->s2", "s1:2 -> s2;s1:3 -> s2;", false},
    {"s2--spine3", "s2:2 -> spine3;spine3:1 -> s2;", false},
    {"s1->client", "s1:client ->;", false},
    {"s1", "s1:client ->;s1:2 -> s2;s1:3 -> s2;", false},
    {"s9:1", "s9:1: no switch is called \"s9\"; there is s1, s2, spine3",
     true},
    {"spine4:1",
     "spine4:1: no switch is called \"spine4\"; there is s1, s2, spine3; is "
     "\"spine3\" meant?",
     true},
    {"s1:cleint",
     "s1:cleint: no port is called \"cleint\"; there is client; is \"client\" "
     "meant?",
     true},
    {"s1-s2",
     "no switch is called \"s1-s2\"; s1->s2 is what s1 sends to s2, s1--s2 "
     "both ways",
     true},
    {"s1:77", "s1:77: no port is called \"77\"; there is client", true},
    {"s1->spine3",
     "s1->spine3: no link is known between these two (lasthopctl topology "
     "shows all)",
     true},
    {"s1->spime3",
     "no switch is called \"spime3\"; there is s1, s2, spine3; is \"spine3\" "
     "meant?",
     true},
};

START_TEST(links_have_names)
{
    struct topology *topology = make_topology();
    struct profile_links links = {.n = 0};
    struct lh_error error = {.text = "-"};
    char got[512] = "", name[128];
    int retval = profile_links_add(&links, cases[_i].text, topology, &error);

    for (size_t i = 0; i < links.n; i++) {
        profile_link_name(&links.links[i], topology, name, sizeof name);
        strcat(got, name);
        strcat(got, ";");
    }
    ck_assert_int_eq(retval != 0, cases[_i].is_wrong);
    ck_assert_str_eq(retval ? error.text : got, cases[_i].names);
    profile_links_uninit(&links);
    topology_unref(topology);
}
END_TEST

static const char *const bad_requests[][2] = {
    {"{\"by\": [\"host\"]}", "by[0]: must be link, ingress, path, src, dst, "
                             "hosts or flow, not \"host\""},
    {"{\"by\": [\"src\", \"src\"]}", "by[1]: \"src\" is there twice"},
    {"{\"top\": 0}", "top: must be from 1 to 1000"},
    {"{\"since\": 5, \"until\": 5}", "until: must be later than since"},
    {"{\"interval_ns\": 0}", "interval_ns: must be at least 1"},
    {"{\"links\": [7]}", "links[0]: must be a string, not an integer"},
    {"{\"since\": 0, \"until\": 2001, \"interval_ns\": 1}",
     "interval_ns: makes 2001 intervals of that range, no more than 2000 are "
     "counted"},
    {"{\"phf\": \"{{--doid 1}}\"}", NULL},
};

START_TEST(a_bad_request_is_refused)
{
    json_t *request = json_loads(bad_requests[_i][0], 0, NULL);
    struct profile_config config = {.now_ns = FIXTURE_NOW_NS};
    struct lh_error error = {.text = "-"};
    struct profile *profile;

    ck_assert_int_eq(profile_create(&config, request, &profile, &error),
                     EINVAL);
    if (bad_requests[_i][1]) {
        ck_assert_str_eq(error.text, bad_requests[_i][1]);
    } else {
        ck_assert_int_ge(error.pos, 0);
    }
    json_decref(request);
}
END_TEST

/* A table that is full tells how much it could not tell apart. */
START_TEST(a_full_table_folds)
{
    struct profile_table table = {.n = 0}, other = {.n = 0};
    struct profile_key key = {.n_addr = 4};
    uint64_t packets = 0, bytes = 0;

    profile_table_way(&table, &(struct profile_way){.n = 0});
    profile_table_link(&table, &(struct profile_link){1, 1, false});
    for (uint32_t i = 0; i < PROFILE_MAX_ROWS + 1000; i++) {
        memcpy(key.flow.bytes, &i, sizeof i);
        profile_table_count(&table, &key, 1, 100);
    }
    ck_assert_uint_eq(table.n_folded, 1000);
    ck_assert_uint_eq(table.n, PROFILE_MAX_ROWS + 1);
    profile_table_way(&other, &(struct profile_way){.n = 0});
    profile_table_link(&other, &(struct profile_link){2, 1, false});
    profile_table_count(&other, &key, 2, 7);
    profile_table_merge(&table, &other);
    ck_assert_uint_eq(table.n_links, 2);
    for (size_t i = 0; i < table.n; i++) {
        packets += table.rows[i].packets;
        bytes += table.rows[i].bytes;
    }
    ck_assert_uint_eq(packets, PROFILE_MAX_ROWS + 1002);
    ck_assert_uint_eq(bytes, (PROFILE_MAX_ROWS + 1000) * 100 + 7);
    profile_table_uninit(&table);
    profile_table_uninit(&other);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("profile");
    TCase *archive = tcase_create("archive");
    TCase *sampled = tcase_create("sampled");
    TCase *names = tcase_create("names");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_unchecked_fixture(archive, set_up, tear_down);
    tcase_add_loop_test(archive, all_links, 0, sizeof bys / sizeof *bys);
    tcase_add_loop_test(archive, one_link_with_a_filter, 0,
                        sizeof filters / sizeof *filters);
    tcase_add_loop_test(archive, an_archive_without_sums, 0,
                        sizeof bys / sizeof *bys);
    tcase_add_test(archive, a_range_in_intervals);
    suite_add_tcase(suite, archive);
    tcase_add_unchecked_fixture(sampled, set_up_sampled, tear_down);
    tcase_add_loop_test(sampled, all_links, 0, sizeof bys / sizeof *bys);
    tcase_add_loop_test(sampled, one_link_with_a_filter, 0,
                        sizeof filters / sizeof *filters);
    tcase_add_test(sampled, a_range_in_intervals);
    suite_add_tcase(suite, sampled);
    tcase_add_loop_test(names, links_have_names, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_loop_test(names, a_bad_request_is_refused, 0,
                        sizeof bad_requests / sizeof *bad_requests);
    tcase_add_test(names, a_full_table_folds);
    tcase_set_timeout(names, 60);
    suite_add_tcase(suite, names);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
