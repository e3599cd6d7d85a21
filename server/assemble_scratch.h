/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_scratch - what the stages of assembly hand to each other.
 *
 * The stages run in this order, each in a file of its own, over one
 * `struct assembler` whose arrays are reused from call to call:
 *
 *   assemble_visit   postcards -> visits (assemble_blind: in_ports and flags,
 *                    if need be), with assemble_outs: and their outputs
 *                    (assemble_whole: of switches that know them)
 *   assemble_link    visits -> trees, by links, headers, then time
 *   assemble_double  equal postcards: more visits, or the same again
 *   assemble_gap     trees -> joined across lost postcards, with
 *                    assemble_across and assemble_way for several in a row
 *   assemble_blind   where packets came in whose postcards do not tell
 *   assemble_judge   what became of every output; is anything still to come
 *   assemble_tree    trees -> struct history
 *
 * Cards, outs, branches and visits refer to each other by index; -1 is none.
 *
 * Threads: an assembler belongs to one thread. */
#ifndef SERVER_ASSEMBLE_SCRATCH_H
#define SERVER_ASSEMBLE_SCRATCH_H 1

#include "server/assemble.h"

/* The little of a header that joins ask for again and again. */
struct assemble_brief {
    bool is_known;
    bool has_ttl;
    uint8_t ttl;
    uint64_t flow; /* Hash of addresses and ports. */
    uint64_t src;  /* Hash of where it comes from: address and port. */
    uint64_t dst;  /* The same of where it goes. */
};

struct assemble_card {
    const struct postcard *p;
    uint32_t in_port;        /* Of p, or what the rule's match says. */
    uint8_t flags;           /* Of p, or what the rule says. */
    bool is_double;          /* Equal to one of a visit, a moment before. */
    int double_of;           /* That visit. */
    const struct rule *rule; /* NULL: not known. */
    int next;                /* In its visit, in order of emission. */
    struct assemble_brief brief;
};

enum assemble_header {
    ASSEMBLE_HEADER_UNASKED,
    ASSEMBLE_HEADER_KNOWN,
    ASSEMBLE_HEADER_TTL,    /* The rule's dec_ttl ends the packet first. */
    ASSEMBLE_HEADER_UNKNOWN /* Not computable. */
};

/* One output of a visit. */
struct assemble_out {
    int next;         /* In its visit. */
    int first_branch; /* Set by judge. */
    uint32_t port;    /* As the postcard or the rule has it. */
    int card;         /* That names it; -1: proven by the next hop alone. */
    bool is_expected; /* By the rule of 'card'; its postcard is missing. */
    bool is_maybe;    /* Not every packet takes it: a bond chooses. */
    enum assemble_header state;
    size_t header_ofs; /* In the assembler's bytes: header as it left. */
    size_t header_len;
    struct assemble_brief brief; /* Of that, or of the card's. */
};

/* One link that an output leads onto. */
struct assemble_branch {
    int visit, out;
    uint32_t port; /* Where it leaves. */
    uint64_t peer_dpid;
    uint32_t peer_port;
    bool is_soft;  /* NORMAL: may lead here, need not. */
    bool is_moved; /* The link was not there all the time. */
    bool is_other; /* ... and not when the packet left. */
    int child;     /* Visit at the far end, -1: none seen. */
    int next;      /* Of its output, set by judge. */
};

/* One packet at one switch, once. */
struct assemble_visit {
    uint64_t dpid;
    uint32_t in_port;
    bool is_in_port_deduced; /* The postcards did not tell it. */
    bool is_packet_out;
    bool is_deduced;
    bool has_gap_before;
    bool is_removed;  /* Merged into another, or a double. */
    bool is_open;     /* Tables that were not seen may have had outputs. */
    bool is_whole;    /* A postcard tells all of it. */
    bool is_metered;  /* ... and another that a meter dropped it. */
    int n_passes_due; /* Passes that were announced and not seen; less than 0:
                       * seen, and not those before. */
    int first_card, last_card, n_cards;
    int rep; /* Card whose header is the packet as it came in; -1 deduced. */
    int first_out;
    int parent, parent_branch;
    int n_packet_outs;             /* Children by way of the controller. */
    int first_child, next_sibling; /* Set by tree, with hop. */
    int hop;                       /* Index in its history. */
    bool is_looped;
    int root;         /* Union-find. */
    uint64_t time_ns; /* Of its first postcard; 0 deduced. */
};

struct assembler {
    const struct assemble_env *env; /* For one call. */
    size_t n_cards, allocated_cards;
    struct assemble_card *cards;
    size_t n_visits, allocated_visits;
    struct assemble_visit *visits;
    size_t n_outs, allocated_outs;
    struct assemble_out *outs;
    size_t n_branches, allocated_branches;
    struct assemble_branch *branches; /* Sorted by far end once linked. */
    size_t n_bytes, allocated_bytes;
    uint8_t *bytes;
    size_t n_asked; /* Switches that searches for ways looked at. */
    size_t n_histories, allocated_histories;
    struct history **histories;
    size_t n_duplicates, n_ambiguous; /* Postcards. */
    bool is_short_of_memory;          /* Some array could not grow. */
    bool is_short_of_rules;           /* See assemble_whole_state(). */
};

/* Makes room for one more element in an array of '*allocatedp'; false, and
 * a->is_short_of_memory, when memory is short. */
bool assemble_scratch_grow(struct assembler *a, void **arrayp,
                           size_t *allocatedp, size_t n, size_t size);

/* --- assemble_visit ------------------------------------------------------ */
void assemble_visit_make(struct assembler *, const struct postcard *const *,
                         size_t n);
/* Adds a visit without postcards; -1 when memory is short. */
int assemble_visit_add(struct assembler *, uint64_t dpid, uint32_t in_port);
/* Adds an output to a visit; -1 when memory is short. */
int assemble_visit_add_out(struct assembler *, int visit, uint32_t port,
                           int card);
/* Puts a card that is in no visit into 'visit'; 0 when it does not belong
 * there. */
bool assemble_visit_put(struct assembler *, int visit, int card);
/* True when visit 'v' has the output 'port'. */
bool assemble_visit_has_out(const struct assembler *, int v, uint32_t port);
/* True when the rules let the two postcards be of one visit. */
bool assemble_visit_may_share(struct assembler *, int card_a, int card_b);
/* True when a packet that met the rule may meet others of its switch. */
bool assemble_visit_is_passed_on(const struct rule *);
/* Orders the cards of a visit by stage and sets 'rep', the first. */
void assemble_visit_order(struct assembler *, struct assemble_visit *);
/* Moves the postcards and outputs of 'from' to 'into'; 'from' is removed. */
void assemble_visit_merge(struct assembler *, int into, int from);

/* --- assemble_outs ------------------------------------------------------- */
/* Fills the outputs of a visit from its cards and their rules. */
void assemble_outs_make(struct assembler *, int visit);

/* --- assemble_blind ------------------------------------------------------ */
/* For cards without in_port: asks their rules for in_port and flags.  True
 * when there is such a card. */
bool assemble_blind_load(struct assembler *);
/* Gives first visits whose in_port is not known the one edge port that they
 * can have come by, if there is just one. */
void assemble_blind_settle(struct assembler *);

/* --- assemble_whole ------------------------------------------------------ */
/* How well card 'c' would belong to visit 'v', where one of them is whole: 0
 * not at all, up to 2. */
int assemble_whole_fit(const struct assembler *, int v, int c);
/* Fills the outputs of a whole visit.  One to its own input port becomes an
 * output to IN_PORT. */
void assemble_whole_make_outs(struct assembler *, int visit);
/* Joins later passes, which do not say so, to those that a packet-out began.
 */
void assemble_whole_join_passes(struct assembler *);
/* What output 'out' of a whole visit sends. */
void assemble_whole_compute_out(struct assembler *, struct assemble_out *);
/* False for an output that a meter kept from happening. */
bool assemble_whole_is_sent(const struct assembler *,
                            const struct assemble_visit *, int out);
/* True for a packet whose TTL ended, of which the switch told the controller
 * although no rule says to. */
bool assemble_whole_has_died(struct assembler *,
                             const struct assemble_visit *);
void assemble_whole_add_versions(const struct assembler *,
                                 const struct assemble_visit *,
                                 struct history_hop *);
/* Sets why it was dropped: 'reason', or if NULL what the switch says. */
void assemble_whole_set_dropped(const struct assembler *,
                                const struct assemble_visit *, uint32_t port,
                                const char *reason, struct verdict *);
/* Whether more may come of the visit. */
enum assemble_state assemble_whole_state(struct assembler *,
                                         const struct assemble_visit *);

/* --- assemble_header ----------------------------------------------------- */
const struct assemble_brief *assemble_header_of_card(struct assembler *,
                                                     int card);
/* What output 'out' sends: fills its state, header and brief. */
struct assemble_out *assemble_header_of_out(struct assembler *, int out);
bool assemble_header_is_equal(const struct postcard *,
                              const struct postcard *);

/* How well the packet that left by a branch fits the visit at its far end. */
enum assemble_fit {
    ASSEMBLE_FIT_NO,
    ASSEMBLE_FIT_LATER,   /* Only if hops lie between: the TTL fell too far. */
    ASSEMBLE_FIT_EDITED,  /* Neither its source nor its destination stayed. */
    ASSEMBLE_FIT_ONE_END, /* One of them did, as where NAT was done. */
    ASSEMBLE_FIT_FLOW,
    ASSEMBLE_FIT_EXACT
};
enum assemble_fit assemble_header_fit(struct assembler *, int out, int visit);
/* The same where hops that nobody saw lie between: how much the TTL fell more
 * than the output and the visit's own tables explain, in '*fallp' (0 where
 * there is none); false when it rose, which no packet does.  '*same_flowp':
 * addresses and ports are what the output sent. */
bool assemble_header_fall(struct assembler *, int out, int visit, int *fallp,
                          bool *same_flowp);

/* --- assemble_link ------------------------------------------------------- */
void assemble_link_make(struct assembler *);
/* The root of the tree that 'visit' is in. */
int assemble_link_root(struct assembler *, int visit);
/* Recomputes all roots, after visits were taken out of trees. */
void assemble_link_refresh(struct assembler *);
/* Makes 'child' a child of 'parent' by 'branch' (-1: not by a known one). */
void assemble_link_join(struct assembler *, int parent, int branch, int child);
/* Adds the branches of output 'out' of 'visit'. */
void assemble_link_add_branches(struct assembler *, int visit, int out);
/* True for a branch that was not taken because of the port that the packet
 * came in by; it is there because the in_port was not known at first. */
bool assemble_link_is_backward(const struct assembler *,
                               const struct assemble_branch *);
/* How far apart two visits are in time. */
uint64_t assemble_link_apart(const struct assembler *, int v, int w);
/* True when a packet may enter the network this way. */
bool assemble_link_is_start(const struct assembler *, int visit);

/* --- assemble_double ----------------------------------------------------- */
/* Finds which doubles are visits of their own; counts the others. */
void assemble_double_settle(struct assembler *);

/* --- assemble_way -------------------------------------------------------- */
#define ASSEMBLE_WAY_MAX 8 /* Missing hops in a row that are looked for. */

/* A search for the ways across. */
struct assemble_way {
    struct assembler *a;
    uint64_t to_dpid; /* Leaves there by: */
    uint32_t to_port;
    uint64_t avoid[2]; /* Where the gap begins and ends. */
    int n_ways;        /* 0, 1, or 2 for more. */
    uint64_t dpid[ASSEMBLE_WAY_MAX];
    uint32_t in_port[ASSEMBLE_WAY_MAX], out_port[ASSEMBLE_WAY_MAX];
    size_t length; /* Of the one found, which is: */
    uint64_t found_dpid[ASSEMBLE_WAY_MAX];
    uint32_t found_in[ASSEMBLE_WAY_MAX], found_out[ASSEMBLE_WAY_MAX];
};

/* Looks for ways from where visit 'w' leaves by 'from_port' to where 'v' came
 * from, (dpid, port). */
void assemble_way_find(struct assembler *, int w, uint32_t from_port, int v,
                       uint64_t dpid, uint32_t port, struct assemble_way *);

/* --- assemble_gap -------------------------------------------------------- */
/* True when postcards are missing, whatever assemble_gap_close() will find: a
 * visit came by a link that nothing seen leads onto. */
bool assemble_gap_is_sure(const struct assembler *);
void assemble_gap_close(struct assembler *);
/* True for a visit that came in by a link on which nobody sent it. */
bool assemble_gap_is_orphan(const struct assembler *, int visit);
/* Writes the orphans, and the roots without in_port, into 'orphans' (at least
 * ASSEMBLE_MAX), by time; returns how many. */
size_t assemble_gap_list_orphans(const struct assembler *, int *orphans);
/* How likely orphan 'v' continues branch 'b' after 'n_missing' hops (-1: any
 * number); 0 not at all.  Bit 62: the same addresses and ports; 61: not just
 * NORMAL; 60: the branch is not later; then how little the TTL fell, then how
 * near in time. */
uint64_t assemble_gap_rank(struct assembler *, int v, size_t b, int n_missing);
/* Adds the hop (dpid, in_port) that nobody saw, with output 'port'; its index,
 * or -1 when memory is short.  '*branchp' is the branch of that output. */
int assemble_gap_deduce(struct assembler *, uint64_t dpid, uint32_t in_port,
                        uint32_t port, int *branchp);

/* --- assemble_across ----------------------------------------------------- */
void assemble_across_join(struct assembler *);

/* --- assemble_judge ------------------------------------------------------ */
/* Whether anything may still come. */
enum assemble_state assemble_judge_state(struct assembler *);
/* What became of the outputs of 'visit' that no child follows.  VERDICT_NONE
 * when all went on. */
void assemble_judge_visit(struct assembler *, int visit, struct verdict *);

/* --- assemble_tree ------------------------------------------------------- */
/* Makes the histories; 0 or ENOMEM. */
int assemble_tree_make(struct assembler *);

#endif /* server/assemble_scratch.h */
