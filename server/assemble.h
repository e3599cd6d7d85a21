/* SPDX-License-Identifier: Apache-2.0 */
/* assemble - from the postcards that share one packet ID to packet histories.
 *
 * A pure function: the same postcards, topology and rules give the same
 * histories, whatever the order in which the postcards came.  docs/assembly.md
 * says how it decides.  In short: postcards of one (switch, in_port) are
 * visits, links join visits into trees, the header that a rule would have sent
 * tells apart what the links do not, and time is asked last.
 *
 * What the postcards do not show is said, not guessed: a missing hop that the
 * links leave only one possibility for is a deduced hop, any other is a gap
 * marked at the hop after it; an output onto a link that nobody saw at its far
 * end is `lost`, `uncertain` unless no postcard of that switch is missing.
 *
 * A hop may have a verdict and children: then one of its outputs ended (was
 * lost, say) while others went on.  The verdict of a history is the highest of
 * all its hops'.
 *
 * Ownership: postcards, topology and rules are borrowed for the call; the
 * histories are the caller's.
 *
 * Threads: an assembler is scratch memory for one thread. */
#ifndef SERVER_ASSEMBLE_H
#define SERVER_ASSEMBLE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/packet_id.h"
#include "lib/postcard.h"
#include "lib/rule.h"
#include "lib/topology.h"
#include "server/topology_past.h"

/* Postcards that one call takes at most: work grows with the square of the
 * postcards of one (switch, in_port), so it has a bound. */
#define ASSEMBLE_MAX 512

/* Equal postcards closer in time than this are one postcard that came twice,
 * unless links ask for another visit; further apart they are two packets or
 * two visits. */
#define ASSEMBLE_TWIN_NS 1000000

/* How sure it is that no postcard of a group is still on its way. */
enum assemble_state {
    /* A start, an output, a next hop or a packet-out may still come. */
    ASSEMBLE_PARTIAL,
    /* As PARTIAL, but for rules that 'find_rule' did not know: ask again. */
    ASSEMBLE_WAITS_RULE,
    /* Nothing is missing that rules and links name, but another table, bucket
     * or an unknown in_port could add to it.  Whole once it has been quiet for
     * a while. */
    ASSEMBLE_SETTLING,
    /* Starts at an edge port or packet-out, every output of every rule was
     * seen, every branch ended. */
    ASSEMBLE_COMPLETE
};

/* What the world looks like around the packet. */
struct assemble_env {
    const struct topology *topology; /* NULL: none known yet. */
    /* All topologies of the packet's time, the newest is 'topology'; NULL:
     * there is only that one. */
    const struct topology_span *span;
    const struct packet_id_config *id_config;
    /* The rule of 'version' at switch 'dpid', borrowed until assemble()
     * returns; NULL when not known (yet). */
    const struct rule *(*find_rule)(void *aux, uint64_t dpid,
                                    uint32_t version);
    /* True when every postcard that switch 'dpid' sent between the two times
     * has arrived.  May be NULL: never known. */
    bool (*has_lossless)(void *aux, uint64_t dpid, uint64_t from_ns,
                         uint64_t to_ns);
    /* True when packets may pass switch 'dpid', or end there, without a
     * postcard: not all its rules send them.  May be NULL: never. */
    bool (*is_silent)(void *aux, uint64_t dpid);
    /* True when the cap is why; asked after is_silent().  May be NULL. */
    bool (*is_capped)(void *aux, uint64_t dpid);
    void *aux;
    uint64_t until_ns; /* Until when postcards of the group were waited for;
                        * 0: the time of its last one. */
};

struct assemble_result {
    enum assemble_state state;
    size_t n_histories;
    struct history **histories; /* Borrowed array, good until the next call;
                                 * what it points to is the caller's. */
    /* Every postcard is in one hop, or counted in exactly one of: */
    size_t n_duplicates; /* The same postcard twice. */
    size_t n_ambiguous;  /* The same, of a packet whose every postcard came
                          * twice: it may as well have been two packets. */
    size_t n_in_hops;    /* Postcards that became part of a hop. */
};

struct assembler;

/* NULL when memory is short. */
struct assembler *assembler_create(void);
void assembler_destroy(struct assembler *);

/* Assembles the 'n' (1 to ASSEMBLE_MAX) postcards 'cards', all of one packet
 * ID (or a single one without), into '*result'.
 *
 * Histories are made when the group's state is at least 'wanted', otherwise
 * only the state is told and n_histories is 0.  With ASSEMBLE_PARTIAL ("the
 * window has ended") histories are always made.
 *
 * Returns 0, or ENOMEM with nothing made. */
int assemble(struct assembler *, const struct assemble_env *env,
             const struct postcard *const *cards, size_t n,
             enum assemble_state wanted, struct assemble_result *result);

#endif /* server/assemble.h */
