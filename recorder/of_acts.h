/* SPDX-License-Identifier: Apache-2.0 */
/* of_acts - a list of OpenFlow actions and instructions, whatever the version.
 *
 * Ownership: a struct of_acts owns its bytes; of_acts_uninit() frees them.
 *
 * Threads: plain data. */
#ifndef RECORDER_OF_ACTS_H
#define RECORDER_OF_ACTS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct of_acts {
    void *data; /* In the library's own form.  Owned. */
    size_t len;
};

#define OF_ACTS_INIT                                                          \
    {                                                                         \
        NULL, 0                                                               \
    }

void of_acts_uninit(struct of_acts *);
void of_acts_clone(struct of_acts *dst, const struct of_acts *src);
/* Moves: 'src' is empty afterwards. */
void of_acts_move(struct of_acts *dst, struct of_acts *src);
bool of_acts_equal(const struct of_acts *, const struct of_acts *);

/* In ovs-ofctl syntax, "drop" when empty; malloc()ed. */
char *of_acts_to_text(const struct of_acts *);
/* From that syntax.  Returns NULL, or a malloc()ed reason and leaves 'acts'
 * empty. */
char *of_acts_from_text(struct of_acts *, const char *text);

/* Numbers of tables, as bits. */
struct of_tables {
    uint64_t bits[4];
};

static inline bool
of_tables_has(const struct of_tables *t, unsigned int table_id)
{
    return table_id < 256 && (t->bits[table_id / 64] >> table_id % 64 & 1);
}

static inline void
of_tables_add(struct of_tables *t, unsigned int table_id)
{
    if (table_id < 256) {
        t->bits[table_id / 64] |= (uint64_t) 1 << table_id % 64;
    }
}

static inline void
of_tables_remove(struct of_tables *t, unsigned int table_id)
{
    if (table_id < 256) {
        t->bits[table_id / 64] &= ~((uint64_t) 1 << table_id % 64);
    }
}

/* What the state machine asks of a list. */
struct of_facts {
    struct of_tables uses;      /* Tables it names in any way. */
    struct of_tables reaches;   /* Those it sends packets to. */
    struct of_tables missing;   /* Those where a miss ends the pipeline (goto,
                                 * ct), unlike with resubmit. */
    struct of_tables resubmits; /* Those it looks up by resubmit. */
    struct of_tables calls;     /* Of those it reaches, from which the packet
                                 * always comes back to be sent elsewhere. */
    bool has_learn;
    bool is_conjunction;
    bool has_write_actions;
    bool has_set_output; /* One of these outputs to a port... */
    bool has_set_punt;   /* ...or to the controller, or nowhere. */
    bool has_recirc; /* Sends packets through the datapath a second time. */
    bool has_select; /* So does it when it comes by a select group. */
    bool has_all;    /* Outputs to ALL. */
    bool has_flood;  /* Outputs to FLOOD. */
    bool has_group;
    bool sets_in_port; /* The packet's own is lost. */
    bool has_gbp;      /* Uses the tunnel field "tun_gbp_id". */
};

/* The table of "resubmit(,N)" without a table is 'table_id'. */
void of_acts_facts(const struct of_acts *, uint8_t table_id,
                   struct of_facts *);

/* As a delete with an out_port or out_group filter sees it; OF_ACTS_ANY for
 * no filter. */
#define OF_ACTS_ANY UINT32_MAX
bool of_acts_pass_filter(const struct of_acts *, uint32_t out_port,
                         uint32_t out_group);
/* True when a learn in it makes rules of that table, priority and cookie. */
bool of_acts_learns(const struct of_acts *, uint8_t table_id,
                    uint16_t priority, uint64_t cookie);
/* The meter it uses, 0 if none. */
uint32_t of_acts_meter(const struct of_acts *);

/* True when no output of its own does not mean that the packet is dropped:
 * the rule goes on in another table, has a group, or leaves it to an action
 * set ('pending': one may stand when it begins). */
bool of_acts_is_transit(const struct of_acts *, bool pending);

#endif /* recorder/of_acts.h */
