/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of phf/query_job: a block scanned and read, as a crew does it. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/query_job.h"
#include "tests/lib/flow_block.h"
#include "tests/lib/random_history.h"

#define N_FLOWS 30
#define N       300
#define NOW_NS  1700000000000000000ull

static struct flow flows[N_FLOWS];
static struct flow_block block;

static void
set_up(void)
{
    uint64_t seed = 11;

    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, NOW_NS);
    }
    flow_block_init(&block, flows, 0, N_FLOWS, N, 10, &seed);
    ck_assert_uint_gt(block.n_plain, 5);
}

static void
tear_down(void)
{
    flow_block_uninit(&block);
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
}

/* What jobs of a query share; a reference for the caller. */
static struct query_shared *
share(const char *filter)
{
    struct query_shared *shared = lh_alloc_zero(sizeof *shared);

    shared->n_refs = 1;
    ck_assert(!phf_compile(filter, NULL, &shared->phf, NULL));
    shared->sieve = block_sieve_create(shared->phf);
    shared->sieves = flow_sieves_create(shared->phf, NULL);
    shared->filter = (struct query_filter){
        .phf = shared->phf,
        .sieve = shared->sieve,
        .sieves = shared->sieves,
        .until_ns = UINT64_MAX,
    };
    atomic_init(&shared->is_cancelled, false);
    return shared;
}

static struct query_job *
make_job(struct query_shared *shared)
{
    struct query_block of = {.pending = block.payload.data,
                             .pending_len = block.payload.len,
                             .pending_table_len = block.table_len};

    return query_job_create(shared, 0, &of);
}

/* How many histories match, of a time from 'since_ns' on. */
static size_t
count_live(const struct query_shared *shared, uint64_t since_ns)
{
    size_t n = 0;

    for (size_t i = 0; i < block.n; i++) {
        n += history_first_ns(block.all[i]) >= since_ns &&
             phf_match(shared->phf, block.all[i], NULL) == PHF_MATCH;
    }
    return n;
}

/* Each match is one that was added, at the time that its place has. */
static void
check_matches(struct query_job *job)
{
    bool *is_found = lh_alloc_zero(block.n * sizeof *is_found);

    for (size_t i = 0; i < job->n; i++) {
        struct history *owned;
        const struct history *h;
        size_t k = 0;

        ck_assert(!query_block_history(&job->block, job->matches[i].at, &h,
                                       &owned, NULL));
        ck_assert_uint_eq(history_first_ns(h), job->matches[i].first_ns);
        ck_assert(phf_match(job->shared->phf, h, NULL) == PHF_MATCH);
        while (k < block.n &&
               (is_found[k] || block.all[k]->packet_id != h->packet_id ||
                history_first_ns(block.all[k]) != history_first_ns(h))) {
            k++;
        }
        ck_assert_uint_lt(k, block.n);
        ck_assert(history_is_same(h, block.all[k]));
        is_found[k] = true;
        history_destroy(owned);
    }
    free(is_found);
}

static const char *const filters[] = {
    ".",
    "{{--dpid 4}}",
    "{{--dpid 4711}}",
    "^{{--bpf tcp}}",
    "{{--bpf \"tcp[tcpflags] & tcp-syn != 0\"}}",
    "{{--bpf \"host 10.0.0.7 or port 80\"}}.",
};
#define N_FILTERS (int) (sizeof filters / sizeof filters[0])

START_TEST(matches_are_found_and_read)
{
    struct query_shared *shared = share(filters[_i / 2]);
    struct query_job *job;

    shared->is_desc = _i % 2;
    job = make_job(shared);
    ck_assert_uint_eq(shared->n_refs, 2);
    query_job_run(job);
    ck_assert_int_eq(job->error, 0);
    ck_assert(job->is_scanned);
    ck_assert_uint_eq(job->n, count_live(shared, 0));
    ck_assert(query_block_is_open(&job->block) == (job->n > 0));
    for (size_t i = 1; i < job->n; i++) {
        uint64_t a = job->matches[i - 1].first_ns;
        uint64_t b = job->matches[i].first_ns;

        ck_assert(shared->is_desc ? a >= b : a <= b);
    }
    check_matches(job);
    query_job_destroy(job);
    ck_assert_uint_eq(shared->n_refs, 1);
    query_shared_unref(shared);
}
END_TEST

/* As when too much is kept for matches that wait. */
START_TEST(a_closed_block_is_read_again)
{
    struct query_shared *shared = share(filters[_i]);
    struct query_job *job = make_job(shared);
    struct query_block_counters before;

    query_job_run(job);
    before = job->counters;
    query_block_close(&job->block);
    ck_assert(!query_block_is_open(&job->block));
    query_job_run(job);
    ck_assert_int_eq(job->error, 0);
    ck_assert_uint_eq(job->n, count_live(shared, 0));
    ck_assert_uint_eq(job->counters.scanned, before.scanned);
    check_matches(job);
    query_job_destroy(job);
    query_shared_unref(shared);
}
END_TEST

START_TEST(a_limit_keeps_the_first_in_order)
{
    struct query_shared *shared = share(".");
    struct query_job *all = make_job(shared), *some;

    query_job_run(all);
    shared->limit = 7;
    some = make_job(shared);
    query_job_run(some);
    ck_assert_uint_eq(all->n, count_live(shared, 0));
    ck_assert_uint_eq(some->n, 7);
    ck_assert_mem_eq(some->matches, all->matches, 7 * sizeof *all->matches);
    check_matches(some);
    query_job_destroy(all);
    query_job_destroy(some);
    query_shared_unref(shared);
}
END_TEST

START_TEST(times_are_kept)
{
    struct query_shared *shared = share(".");
    struct query_job *job = make_job(shared);
    uint64_t since_ns = NOW_NS + 3000000000;
    size_t n = count_live(shared, since_ns);

    shared->filter.since_ns = since_ns;
    query_job_run(job);
    ck_assert(n > 0 && n < N);
    ck_assert_uint_eq(job->n, n);
    for (size_t i = 0; i < job->n; i++) {
        ck_assert_uint_ge(job->matches[i].first_ns, since_ns);
    }
    query_job_destroy(job);
    query_shared_unref(shared);
}
END_TEST

START_TEST(a_cancelled_query_reads_nothing)
{
    struct query_shared *shared = share(".");
    struct query_job *job = make_job(shared);

    atomic_store(&shared->is_cancelled, true);
    query_job_run(job);
    ck_assert_uint_eq(job->n, 0);
    ck_assert(!query_block_is_open(&job->block));
    query_job_destroy(job);
    query_shared_unref(shared);
}
END_TEST

START_TEST(damage_is_an_error_of_the_job)
{
    struct query_shared *shared = share("{{--bpf tcp}}");
    size_t n_errors = 0;

    for (size_t at = 0; at < block.payload.len;
         at += 1 + block.payload.len / 97) {
        struct query_job *job = make_job(shared);

        block.payload.data[at] ^= 0xff;
        query_job_run(job);
        ck_assert(job->error == 0 || job->error == EBADMSG);
        ck_assert(!job->error || job->why.text[0]);
        n_errors += job->error != 0;
        block.payload.data[at] ^= 0xff;
        query_job_destroy(job);
    }
    /* Damage of what is not read is no error. */
    ck_assert_uint_gt(n_errors, 10);
    query_shared_unref(shared);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("query_job");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, matches_are_found_and_read, 0, 2 * N_FILTERS);
    tcase_add_loop_test(tc, a_closed_block_is_read_again, 0, N_FILTERS);
    tcase_add_test(tc, a_limit_keeps_the_first_in_order);
    tcase_add_test(tc, times_are_kept);
    tcase_add_test(tc, a_cancelled_query_reads_nothing);
    tcase_add_test(tc, damage_is_an_error_of_the_job);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
