/* SPDX-License-Identifier: Apache-2.0 */
/* trigger_keys - removes keys of live filters from the bucket lh-meta, so that
 * nothing of them stays.
 *
 * NATS keeps of a key that is deleted that it was, so that all who watch hear
 * of it.  Each filter has a key of its own, so that would grow without end: a
 * while after a deletion it is purged too.  Not where a purge is not safe
 * (lib/bus_sweep.h): there it stays.
 *
 * Threads: the bus's. */
#ifndef SERVER_TRIGGER_KEYS_H
#define SERVER_TRIGGER_KEYS_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/bus.h"

/* Turns of trigger_keys_tick() until what is deleted is purged: who watches
 * has heard of it. */
#define TRIGGER_KEYS_WAIT 10
/* Deletions that are kept in mind at a time, and as many purges. */
#define TRIGGER_KEYS_MAX 65536

struct trigger_keys;

struct trigger_keys *trigger_keys_create(struct bus *);
/* What is not done stays.  NULL is fine. */
void trigger_keys_destroy(struct trigger_keys *);

/* Deletes a key; what fails is tried again. */
void trigger_keys_delete(struct trigger_keys *, const char *key);
/* It was found that the key was deleted, with that revision. */
void trigger_keys_purge(struct trigger_keys *, const char *key,
                        uint64_t revision);
/* About once a second. */
void trigger_keys_tick(struct trigger_keys *);
/* Deletions and purges that are not done. */
size_t trigger_keys_n(const struct trigger_keys *);

#endif /* server/trigger_keys.h */
