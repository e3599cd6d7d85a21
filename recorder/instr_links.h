/* SPDX-License-Identifier: Apache-2.0 */
/* instr_links - how the connections of one switch act as one; for the files of
 * instr only, which include recorder/instr_state.h.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_LINKS_H
#define RECORDER_INSTR_LINKS_H 1

#include "recorder/instr.h"

struct instr_change;

/* instr_role.c */

#define INSTR_LINK_MISS_LEN 128 /* miss_send_len, if nobody sets it. */

/* True when the switch tells a role: the answer to a request, or unasked. */
bool instr_role_told(const uint8_t *msg, size_t len, enum instr_role *);
/* True when the switch is known not to let it change anything. */
bool instr_role_is_slave(const struct instr_link *);
/* Sees a message of the controller; true when it asks for a role. */
bool instr_role_request(struct instr_change *, const uint8_t *msg, size_t len);
/* Sees a message of the switch. */
void instr_role_reply(struct instr_change *, const uint8_t *msg, size_t len,
                      uint64_t tag);
void instr_role_error(struct instr_change *, uint64_t tag, uint16_t type,
                      uint16_t code);

/* instr_fence.c */

/* True for messages that may change the switch. */
bool instr_fence_is_write(const uint8_t *msg);
/* 'msg' goes to the switch. */
void instr_fence_sent(struct instr_link *, const uint8_t *msg, uint64_t tag);
/* All before 'tag' has been done. */
void instr_fence_answered(struct instr_change *, uint64_t tag);
/* The answer to a message with 'tag' that controls a bundle: a commit has been
 * done when it is answered. */
void instr_fence_committed(struct instr_change *, const uint8_t *msg,
                           size_t len, uint64_t tag);
/* True when the switch may not have done yet what went by 'link'. */
bool instr_fence_is_open(const struct instr_link *);
/* True when 'link' must not change the switch now. */
bool instr_fence_holds(struct instr_link *, uint64_t now_ns,
                       struct instr_out *);

/* instr_again.c */

/* Asks the others whether the switch that 'link' has come from is theirs. */
void instr_again_probe(struct instr_link *, uint64_t now_ns,
                       struct instr_out *);
/* A link has answered a message with 'tag'. */
void instr_again_answered(struct instr_change *, uint64_t tag);
/* True when 'link' must wait because it is not known what the switch has. */
bool instr_again_holds(struct instr_link *, uint64_t now_ns,
                       struct instr_out *);
/* Begins to read the tables again if there is a reason to. */
void instr_again_run(struct instr *, uint64_t now_ns, struct instr_out *);
/* The link is gone. */
void instr_again_forget(struct instr_link *);
/* What the shadow held is void: it is about to be made anew. */
void instr_again_reset(struct instr *);

/* instr_owed.c */

void instr_owe(struct instr *, unsigned int what);
/* The rule of T with 'index' is to be deleted. */
void instr_owe_index(struct instr *, uint16_t index);
/* Sends what is owed if that is possible now. */
void instr_owed_pay(struct instr *, uint64_t now_ns, struct instr_out *);

/* instr_lookup.c */
/* Rules of tables that have become lookups, or no longer are, are given what
 * they are to have. */
void instr_lookup_update(struct instr_change *);

/* instr_echo.c */
struct instr_echo;
/* Of what was said; 'hash' is 0 to begin with. */
uint64_t instr_echo_hash(uint64_t hash, const void *data, size_t len);
/* True when another link has said it already, and this one had not yet;
 * '*result' is what was made of it. */
bool instr_echo_take(struct instr_change *, uint64_t hash, int *result);
/* The other links will say it too. */
void instr_echo_put(struct instr_change *, uint64_t hash, int result);
void instr_echo_join(struct instr_link *);
void instr_echo_leave(struct instr_link *);

/* Of our own, to be sent when a link may. */
enum instr_owes {
    OWES_UPDATE = 1,   /* instr_own_update() */
    OWES_LISTS = 2,    /* Rules with ALL or FLOOD. */
    OWES_REWRITE = 4,  /* All rules. */
    OWES_ALL = 8,      /* All rules, and ours. */
    OWES_INDEXES = 16, /* To delete those in dead_indexes. */
    OWES_NO_FLOOD = 32,
    OWES_SELECT = 64,  /* Postcards as the selection is now. */
    OWES_TREE = 128,   /* instr_carry_pay() */
    OWES_EXPIRY = 256, /* instr_expiry_pay() */
    OWES_GROUPS = 512  /* With OWES_ALL: groups, too. */
};

#endif /* recorder/instr_links.h */
