/* SPDX-License-Identifier: Apache-2.0 */
/* profile - who sent how much over a set of links, in a range of time: the
 * request `profile` of docs/api.md.
 *
 * It sees what was in the archive and what was pending when it was made, each
 * history once.  Blocks are read by the threads of a crew:
 *
 *     if (!profile_create(&config, request, &profile, &error)) {
 *         profile_start(profile, crew);
 *         ..
 *         while ((job = crew_take(crew)) != NULL) {
 *             profile_take(job);
 *         }
 *         if (profile_is_done(profile)) {
 *             answer = profile_answer(profile);
 *
 * Ownership: profile_destroy() may come at any time; what the crew still has
 * is freed when profile_take() gets it.
 *
 * Threads: one, the owner of the crew. */
#ifndef PHF_PROFILE_H
#define PHF_PROFILE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/archive_reader.h"
#include "lib/archive_writer.h"
#include "lib/byte_buf.h"
#include "lib/crew.h"
#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/topology.h"

#define PROFILE_MAX_TOP       1000
#define PROFILE_DEFAULT_TOP   10
#define PROFILE_MAX_INTERVALS 2000
#define PROFILE_MAX_NODES     20000 /* Of an answer. */

struct profile_config {
    struct archive_reader *reader;   /* NULL: only what is pending. */
    struct archive_pending *pending; /* Taken with the payloads when the
                                      * profile is made. */
    size_t n_pending;
    const struct topology *topology; /* Referenced; may be NULL. */
    uint64_t now_ns;                 /* For times such as "-10m". */

    /* Where it is one server's part of a profile of many: names of links are
     * numbers, and its answer is what profile_add_totals() takes. */
    bool is_part;
    uint64_t from_ns; /* Only what is from here on; intervals begin where
                       * the request says. */
    const uint32_t
        *shards;     /* Only these shards of a cluster, and what is in */
    size_t n_shards; /* none; NULL: all. */
};

struct profile;

/* What can be said of a request before anything is read. */
struct profile_verdict {
    bool is_bad_filter;   /* What is wrong is the filter. */
    bool tells_addresses; /* Its answer has addresses of packets. */
};
/* Checks a request without making anything of it.  0, or EINVAL with the
 * reason. */
int profile_check(const struct profile_config *, const json_t *request,
                  struct profile_verdict *, struct lh_error *);
/* 0, or EINVAL with the reason; then what is pending is still the
 * caller's. */
int profile_create(const struct profile_config *, const json_t *request,
                   struct profile **, struct lh_error *);
void profile_destroy(struct profile *);

/* Gives the crew its jobs; without one (NULL) does all itself. */
void profile_start(struct profile *, struct crew *);
void profile_take(struct crew_job *);
bool profile_is_done(const struct profile *);
/* The threads end soon; the answer then lacks what they had not read. */
void profile_cancel(struct profile *);
/* The answer's members, a new object, once it is done. */
json_t *profile_answer(struct profile *);

/* --- Profiles of many servers --- */

/* Appends rows of a part that is done, from number 'first' on, as many as are
 * sent at once (phf/profile_rows.h); returns the first of the next, 'first'
 * when there are no more. */
size_t profile_put_rows(const struct profile *, size_t first,
                        struct byte_buf *out);
/* What a profile counts besides what it reads itself, before it is started:
 * such rows (0, or EBADMSG, and some of them may have been added), what the
 * part's answer said, and single histories of its range. */
int profile_add_rows(struct profile *, const uint8_t *data, size_t size);
void profile_add_totals(struct profile *, const json_t *totals);
void profile_add_history(struct profile *, const struct history *);

#endif /* phf/profile.h */
