/* SPDX-License-Identifier: Apache-2.0 */
/* crew - threads that do jobs for one thread, their owner.
 *
 *     struct crew *crew = crew_create(2, CREW_BACKGROUND);
 *     crew_give(crew, &job->base);
 *     ..
 *     while ((done = crew_take(crew)) != NULL) {
 *         ..
 *     }
 *     crew_destroy(crew);
 *
 * Neither giving nor taking waits for a thread of the crew, so that one that
 * gets no processor never holds its owner up.
 *
 * Ownership: a job is the crew's from crew_give() until crew_take() returns
 * it.
 *
 * Threads: all functions are for the owner; jobs run in the crew's, which
 * share nothing but lists whose members are moved with one exchange. */
#ifndef LIB_CREW_H
#define LIB_CREW_H 1

#include <stdbool.h>
#include <stddef.h>

#define CREW_MAX_THREADS 64

struct crew_job {
    struct crew_job *next; /* For the crew. */
    void (*run)(struct crew_job *);
    unsigned int worker; /* For the crew. */
};

enum crew_priority {
    CREW_NORMAL,
    CREW_BACKGROUND /* Runs where nothing else wants the processor or the
                     * disk (SCHED_IDLE and the I/O class idle). */
};

struct crew;

/* NULL when threads cannot be made. */
struct crew *crew_create(unsigned int n_threads, enum crew_priority);
/* Waits for the jobs that are being run and for those given; no job may be
 * left that was not taken. */
void crew_destroy(struct crew *);
unsigned int crew_n_threads(const struct crew *);

void crew_give(struct crew *, struct crew_job *);
/* A job that is done, or NULL. */
struct crew_job *crew_take(struct crew *);
/* Jobs given and not taken. */
size_t crew_n_jobs(const struct crew *);
/* Waits until crew_take() has one; at most 'ms' milliseconds, -1: for ever. */
void crew_wait(struct crew *, int ms);
/* Readable when crew_take() may have one; crew_take() makes it unreadable
 * when there is none left. */
int crew_fd(const struct crew *);

/* The number of processors this process may use. */
unsigned int crew_n_processors(void);

#endif /* lib/crew.h */
