/* SPDX-License-Identifier: Apache-2.0 */
/* test_crew - every job that is given is run once and can be taken. */
#include <config.h>

#include <check.h>
#include <poll.h>
#include <stdlib.h>

#include "lib/crew.h"

#define N_JOBS 1000

struct job {
    struct crew_job base;
    unsigned int number, square;
    bool is_taken;
};

static void
run(struct crew_job *base)
{
    struct job *job = (struct job *) base;

    job->square = job->number * job->number + job->square;
}

START_TEST(each_job_is_run_once)
{
    static const enum crew_priority priorities[] = {CREW_NORMAL,
                                                    CREW_BACKGROUND};
    struct crew *crew = crew_create(3, priorities[_i]);
    static struct job jobs[N_JOBS];
    size_t n_taken = 0;

    ck_assert_ptr_nonnull(crew);
    ck_assert_uint_eq(crew_n_threads(crew), 3);
    ck_assert_ptr_null(crew_take(crew));
    for (unsigned int i = 0; i < N_JOBS; i++) {
        jobs[i] = (struct job){.base.run = run, .number = i};
        crew_give(crew, &jobs[i].base);
    }
    ck_assert_uint_eq(crew_n_jobs(crew), N_JOBS);
    while (n_taken < N_JOBS) {
        struct job *job = (struct job *) crew_take(crew);

        if (!job) {
            crew_wait(crew, -1);
            continue;
        }
        ck_assert(!job->is_taken);
        ck_assert_uint_eq(job->square, job->number * job->number);
        job->is_taken = true;
        n_taken++;
    }
    ck_assert_uint_eq(crew_n_jobs(crew), 0);
    ck_assert_ptr_null(crew_take(crew));
    crew_destroy(crew);
}
END_TEST

/* Or an event loop would miss it, or never rest. */
START_TEST(the_descriptor_tells_of_what_is_done)
{
    struct crew *crew = crew_create(1, CREW_NORMAL);
    struct pollfd fd = {.fd = crew_fd(crew), .events = POLLIN};
    struct job job = {.base.run = run, .number = 3};

    ck_assert_int_eq(poll(&fd, 1, 0), 0);
    crew_give(crew, &job.base);
    ck_assert_int_eq(poll(&fd, 1, -1), 1);
    ck_assert_ptr_eq(crew_take(crew), &job.base);
    ck_assert_ptr_null(crew_take(crew));
    ck_assert_int_eq(poll(&fd, 1, 0), 0);
    crew_destroy(crew);
}
END_TEST

START_TEST(a_crew_without_work_ends)
{
    crew_destroy(crew_create(2, CREW_BACKGROUND));
    crew_destroy(NULL);
    ck_assert_uint_ge(crew_n_processors(), 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("crew");
    TCase *tc = tcase_create("crew");

    tcase_add_loop_test(tc, each_job_is_run_once, 0, 2);
    tcase_add_test(tc, the_descriptor_tells_of_what_is_done);
    tcase_add_test(tc, a_crew_without_work_ends);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
