/* SPDX-License-Identifier: Apache-2.0 */
/* card_kind - what all postcards of one output of one rule, or of one visit
 * that is told whole, have in common.
 *
 * Where their links lead and a keyed hash of what they name: looked up for
 * every postcard, worked out once.  Entries share places, so one that is not
 * there is worked out anew.
 *
 * The link that a postcard came in by, and each it leads onto, has a number:
 * path_sum adds them up.
 *
 * Threads: used only by the thread that created it. */
#ifndef SERVER_CARD_KIND_H
#define SERVER_CARD_KIND_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/postcard.h"
#include "lib/topology.h"

struct card_kind {
    /* What it is of. */
    uint64_t dpid;
    uint32_t version, in_port, out_port;
    uint8_t flags;

    bool is_known;  /* False: this place is empty. */
    bool is_start;  /* From an edge port, or a packet-out. */
    bool is_punted; /* To the controller. */
    bool is_soft;   /* Where it leads is not known. */
    uint64_t hash;  /* Of what it is of, keyed. */
    uint64_t in;    /* Number of the link it came by; 0: none. */
    uint64_t out;   /* Sum of the numbers of the links it leads onto. */
} __attribute__((aligned(64)));

struct card_kind_cache;

/* NULL when memory is short. */
struct card_kind_cache *card_kind_cache_create(void);
void card_kind_cache_destroy(struct card_kind_cache *);
/* Forgets all; 'topology' is borrowed until the next call of this, NULL: none
 * known, so that every kind is soft. */
void card_kind_cache_set_topology(struct card_kind_cache *,
                                  const struct topology *topology);

/* By what the postcard's kind is found, and asks for the memory of that. */
uint64_t card_kind_expect(const struct card_kind_cache *,
                          const struct postcard *);
/* The postcard's kind, with 'hash' as card_kind_expect() has it, good until
 * the next call. */
const struct card_kind *card_kind_get(struct card_kind_cache *, uint64_t hash,
                                      const struct postcard *);

#endif /* server/card_kind.h */
