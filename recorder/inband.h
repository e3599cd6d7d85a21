/* SPDX-License-Identifier: Apache-2.0 */
/* inband - postcards that travel through the switches themselves.
 *
 * Keeps the tree (recorder/tree.h) over the switches that are set up, rooted
 * where the collector is, and tells every switch its place in it.  When the
 * tree changes, first the switches take out what is not in both trees, and
 * only when all of them have done so get what is new; so what they have is at
 * every moment part of one tree, and no frame can run in a circle.
 *
 * A link that goes changes the tree at once, what comes a moment later, so
 * that what comes together counts together.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_INBAND_H
#define RECORDER_INBAND_H 1

#include <stdint.h>
#include <jansson.h>

#define INBAND_GATHER_MS 500  /* After something has come. */
#define INBAND_AWAY_MS   3000 /* A switch may come back. */
#define INBAND_SETTLE_MS 5000 /* One that has not answered is left out. */
#define INBAND_START_MS  8000 /* Switches find the recorder again. */

struct datapath;
struct inband;
struct session_env;

/* NULL unless postcards are configured to go in band.  'env' must outlive
 * it. */
struct inband *inband_create(const struct session_env *env);
void inband_destroy(struct inband *);

/* All take a NULL inband and do nothing. */

/* The switch is about to be set up: gives its instr the place that it is
 * likely to have. */
void inband_prepare(struct inband *, struct datapath *);
/* A switch is set up; it has gone; links are new; one has gone. */
void inband_came(struct inband *);
void inband_went(struct inband *);
void inband_links(struct inband *);
void inband_link_gone(struct inband *);
/* A switch has done what it was told. */
void inband_settled(struct inband *);

/* For `stats`, a new object; null without inband. */
json_t *inband_stats(const struct inband *);

#endif /* recorder/inband.h */
