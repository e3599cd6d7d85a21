/* SPDX-License-Identifier: Apache-2.0 */
/* card_flows - the flows of the packets in a batch: each one's constant bytes
 * are told once, its packets then say which flow theirs is.
 *
 * Of these bytes what is before the IP header, and what is in it beside
 * addresses, are told once for all flows that have them; the same holds of
 * what the control vector of a flow's first packet says.
 *
 * A flow, and what is before its IP header, leads to expect a mark
 * (lib/card_marks.h): packets of a flow mostly go the same way.
 *
 * docs/formats/cluster.md is the format.  Used by card_batch*.c only.
 *
 * Ownership: init to uninit.  Headers that a writer is told of are borrowed
 * until card_flows_clear().
 *
 * Threads: plain data. */
#ifndef LIB_CARD_FLOWS_H
#define LIB_CARD_FLOWS_H 1

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/byte_buf.h"
#include "lib/card_batch_impl.h"
#include "lib/card_sections.h"
#include "lib/column_reader.h"
#include "lib/column_writer.h"
#include "lib/header_split.h"
#include "lib/packet_row.h"

#define CARD_FLOWS_MAX     4096
#define CARD_FLOWS_BUCKETS (2 * CARD_FLOWS_MAX)
#define CARD_FLOW_WORDS    14  /* Of the longest constant header. */
#define CARD_NUMBERS       512 /* Of a dictionary that are found again. */
#define CARD_FORM_LEN      8   /* Kind, where the IP header is, and ... */
#define CARD_FORM_IP_LEN   6   /* ... bytes of it. */
#define CARD_FIRST_LEN     4   /* Control vector and flags. */

/* What a new packet leads to expect of its mark, and who else is to expect it
 * from now on. */
struct card_place {
    uint16_t *next;     /* See card_marks_tell(); NULL: ask elsewhere. */
    uint16_t *fresh[2]; /* NULL: none. */
};

static inline void
card_place_learn(const struct card_place *place, uint16_t mark)
{
    for (unsigned int i = 0; i < 2; i++) {
        if (place->fresh[i]) {
            place->fresh[i][0] = mark;
            place->fresh[i][1] = 0;
        }
    }
}

/* --- Writing --------------------------------------------------------------
 */

struct card_known_flow {
    uint64_t hash;
    uint8_t kind, n_words; /* enum header_kind. */
    uint16_t l3_ofs;
    uint16_t next[2];                /* Marks. */
    uint64_t words[CARD_FLOW_WORDS]; /* Constant bytes; some twice. */
    struct packet_row row;
};

/* Keys that have been told, the first CARD_NUMBERS of them. */
struct card_numbers {
    uint64_t keys[CARD_NUMBERS];
    uint32_t n;                         /* All. */
    uint16_t buckets[2 * CARD_NUMBERS]; /* Number, from 1 on. */
};

struct card_known_l2 {
    const uint8_t *bytes; /* Borrowed. */
    uint16_t len;
    uint16_t next[2];
};

struct card_flows {
    unsigned int version;
    uint64_t secret; /* Of hashes: who sends packets chooses flows. */
    struct card_known_flow *flows; /* Owned. */
    uint32_t n;
    uint16_t buckets[CARD_FLOWS_BUCKETS];   /* Number + 1. */
    struct card_numbers forms, l2s, firsts; /* Of l2s hashes. */
    struct card_known_l2 l2[CARD_NUMBERS];

    /* What is to be stored: of flows ... */
    struct byte_buf kinds, cold, sources, destinations, ports;
    struct byte_buf form_rows, form, l2_rows, l2_of, first_rows, first;
    struct byte_buf whose; /* ... and of packets. */
};

void card_flows_init(struct card_flows *);
void card_flows_uninit(struct card_flows *);
void card_flows_clear(struct card_flows *, unsigned int version);

/* Tells which flow the packet at 'header' is of, which is a new one if need
 * be; returns what its packets so far lead to expect. */
struct packet_row *card_flows_tell(struct card_flows *, const uint8_t *header,
                                   const struct header_split *,
                                   struct card_place *);
/* Takes what is told of a flow's first packet back from the columns. */
void card_flows_tell_first(struct card_flows *, struct column_writer *);
/* Sets all that is to be stored. */
void card_flows_get(const struct card_flows *,
                    const struct byte_buf *sections[CARD_SECTIONS_MAX]);

/* --- Both -----------------------------------------------------------------
 */

/* Of what is before an IP header so much is told: its type, behind two
 * addresses alone, says only what its kind does. */
static inline uint16_t
card_l2_len(uint16_t l3_ofs)
{
    return l3_ofs == 14 ? 12 : l3_ofs;
}

/* --- Reading --------------------------------------------------------------
 */

/* The constant bytes of packets, and what its rows lead to expect. */
struct card_flow {
    uint16_t l3_ofs, tail_ofs; /* tail_ofs bytes are constant or 0. */
    uint16_t kind;             /* enum header_kind. */
    uint16_t next[2];
    uint16_t l2; /* Number, from 0 on. */
    bool is_l2_new;
    struct packet_row row;
    uint8_t constant[CARD_MAX_HEADER];
};

/* Puts the constant bytes of 'f', and maybe more, into the 'room' bytes at
 * 'to', which are at least tail_ofs. */
static inline void
card_flow_copy(const struct card_flow *f, uint8_t *to, size_t room)
{
    if (room >= 64 && f->tail_ofs <= 64) {
        memcpy(to, f->constant, 64);
    } else {
        memcpy(to, f->constant, f->tail_ofs);
    }
}

/* Sets '*split' to what header_split() makes of the flow's packet whose row
 * was just read; false if it is not of the flow's kind. */
static inline bool
card_flow_split(const struct card_flow *f, const uint8_t *header,
                uint16_t caplen, struct header_split *split)
{
    enum header_kind kind = (enum header_kind) f->kind;

    if (kind == HEADER_IP4_PORTS || kind == HEADER_IP6_PORTS) {
        return header_split(header, caplen, split) && split->kind == kind;
    }
    *split =
        (struct header_split){.kind = kind,
                              .l3_ofs = f->l3_ofs,
                              .l4_ofs = (uint16_t) (f->l3_ofs + f->row.l4_ofs),
                              .tail_ofs = f->tail_ofs,
                              .own_len = f->row.own_len};
    return true;
}

struct card_flow_list {
    unsigned int version;
    struct card_flow *flows; /* Owned, as what follows. */
    struct card_known_l2 *l2;
    uint32_t n, n_met, n_forms, n_l2, n_firsts;
};

void card_flow_list_init(struct card_flow_list *);
void card_flow_list_uninit(struct card_flow_list *);
/* There are 'n' flows, which are read as they are met. */
void card_flow_list_begin(struct card_flow_list *, unsigned int version,
                          uint32_t n);
/* The flow of the packet at hand; NULL when there is no such, or it is
 * malformed. */
struct card_flow *card_flow_list_get(struct card_flow_list *,
                                     struct card_sections *,
                                     struct card_place *);
/* Gives what is told of a flow's first packet to the columns.  False when it
 * is malformed. */
bool card_flow_list_get_first(struct card_flow_list *, struct card_sections *,
                              struct column_reader *);
/* Whether all that was told of flows was of some. */
bool card_flow_list_is_used_up(const struct card_flow_list *,
                               struct card_sections *);

#endif /* lib/card_flows.h */
