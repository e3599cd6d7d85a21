/* SPDX-License-Identifier: Apache-2.0 */
/* selection - which rules emit postcards: an ordered list, asked from the top.
 *
 * As text, a selection is a line; "#" begins a comment:
 *
 *     include web  bridge=br0 match=tcp,tp_dst=80 priority=200 snap-len=128
 *     include rest bridge=br1 encap=mac
 *     exclude bulk cookie=0x10/0xf0 table=0-3,7
 *
 * The first selection that a rule fits decides.  A rule that fits none emits
 * postcards if the list has no `include`, and none if it has one.
 *
 * A rule fits a selection when it fits every term of it; a term that is not
 * there fits all.  `bridge` is a name or a datapath ID, `cookie` VALUE or
 * VALUE/MASK.  `match` is as ovs-ofctl writes it, without blanks.  In doubt a
 * postcard is sent, so that a packet is never half seen: an `include` takes
 * every rule that some packet of its match can hit (the two overlap), an
 * `exclude` only rules that hit nothing but packets of its match.
 *
 * Table-miss rules count as rules of their table with cookie 0 that match
 * everything.  Packet-outs are no rules: a selection with `table`, `cookie` or
 * `match` does not fit them.
 *
 * `priority` (0 to 65535, 100 if not given) says what goes last when there are
 * too many postcards: the lowest goes first.  `snap-len` and `encap` (geneve
 * or mac) say what the postcards are like.
 *
 * Ownership: a list owns its selections.
 *
 * Threads: one at a time. */
#ifndef RECORDER_SELECTION_H
#define RECORDER_SELECTION_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"

#define SELECTION_MAX          256  /* In one list. */
#define SELECTION_MAX_LINE     4096 /* Bytes of one. */
#define SELECTION_MAX_NAME     63
#define SELECTION_PRIORITY     100
#define SELECTION_MAX_SNAP_LEN 1500

struct of_match;

struct selection {
    char *name; /* Of letters, digits, ".", "_" and "-".  Owned. */
    char *text; /* Its line, blanks made single.  Owned. */
    bool is_exclude;
    char **bridges; /* Names or datapath IDs; none: all.  Owned. */
    size_t n_bridges;
    bool has_tables;
    uint64_t tables[4]; /* A bit each. */
    uint64_t cookie, cookie_mask;
    struct of_match *match; /* NULL: any.  Owned. */
    uint16_t priority;
    uint16_t snap_len; /* 0: that of the recorder. */
    int encapsulation; /* enum instr_encapsulation; -1: that of the bridge. */
};

struct selection_list;

struct selection_list *selection_list_create(void);
void selection_list_destroy(struct selection_list *);

/* Makes a list of 'text', a line for each selection.  Returns 0, or EINVAL
 * with line, column and reason (and the byte offset as `pos`); then there is
 * none.  E2BIG when there are more than SELECTION_MAX. */
int selection_list_parse(const char *text, struct selection_list **,
                         struct lh_error *);
/* Adds the selection of 'line' before the one named 'before' (NULL: at the
 * end).  Returns 0, or EINVAL, E2BIG, EEXIST when the name is taken, ENOENT
 * when there is no 'before'; then the list is as it was. */
int selection_list_add(struct selection_list *, const char *line,
                       const char *before, struct lh_error *);
/* Takes out the selection 'name'.  0 or ENOENT. */
int selection_list_delete(struct selection_list *, const char *name,
                          struct lh_error *);

/* Exchanges what the two hold. */
void selection_list_swap(struct selection_list *, struct selection_list *);

size_t selection_list_count(const struct selection_list *);
const struct selection *selection_list_get(const struct selection_list *,
                                           size_t i);
/* As selection_list_parse() reads it; for free(). */
char *selection_list_to_text(const struct selection_list *);

/* What is asked about. */
struct selection_subject {
    uint64_t dpid;
    const char *bridge; /* Its name, NULL while not known. */
    bool is_packet_out; /* Then the rest does not count. */
    uint8_t table_id;
    uint64_t cookie;
    const struct of_match *match; /* NULL: everything. */
};

struct selection_answer {
    bool is_selected;
    uint16_t priority;
    uint16_t snap_len;          /* 0: that of the recorder. */
    int encapsulation;          /* -1: that of the bridge. */
    const struct selection *by; /* NULL: it fits none. */
};

struct selection_answer selection_list_ask(const struct selection_list *,
                                           const struct selection_subject *);

/* False when no rule of this bridge with a priority of 'above' or more is
 * selected, whatever it is. */
bool selection_list_may_select(const struct selection_list *, uint64_t dpid,
                               const char *bridge, uint32_t above);

/* The lowest priority from 'above' on that rules of this bridge may have, or
 * -1: what a bridge with too many postcards gives up next. */
int selection_list_next_priority(const struct selection_list *, uint64_t dpid,
                                 const char *bridge, int above);

#endif /* recorder/selection.h */
