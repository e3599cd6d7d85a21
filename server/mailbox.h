/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox - what threads of the server tell each other besides postcards.
 *
 * Rules, questions, histories that somebody wants: seldom next to postcards,
 * from several threads to one, and some of it must arrive.  So this is a list
 * under a lock, which is held for a pointer's time, and not a ring.
 * mailbox_offer() keeps to a bound, mailbox_post() is for what must arrive.
 *
 * Ownership: mail moves with what it holds.
 *
 * Threads: any; one takes. */
#ifndef SERVER_MAILBOX_H
#define SERVER_MAILBOX_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/rule.h"
#include "phf/phf.h"

enum mail_kind {
    /* To a worker. */
    MAIL_RULE_ADDED,
    MAIL_RULE_DENIED,
    MAIL_RULE_GONE,
    MAIL_RULE_RESTART,
    MAIL_GIVE,         /* A history that was waited for. */
    MAIL_FILTER_ADDED, /* Of a trigger. */
    MAIL_FILTER_GONE,
    /* From a worker. */
    MAIL_ASK,  /* For a rule. */
    MAIL_WAIT, /* A history of which counters may tell more. */
    MAIL_HIT   /* A history that triggers match, or what was missed. */
};

/* One trigger that a history matched. */
struct mail_hit {
    uint32_t id;       /* Of the trigger. */
    bool is_match;     /* False: only 'n_missed' is told. */
    uint64_t n_missed; /* Matches before that were not told. */
};

struct mail {
    struct mail *next;
    enum mail_kind kind;
    uint32_t worker; /* From which, where it matters. */
    uint32_t version;
    uint64_t dpid;
    struct rule *rule;       /* Owned reference, or NULL. */
    struct history *history; /* Owned, or NULL. */
    uint32_t trigger;        /* Whose filter. */
    struct phf *phf;         /* Owned, or NULL. */
    size_t n_hits;
    struct mail_hit hits[];
};

struct mailbox;

/* 'wake' (may be NULL) is called after mail came into the empty box. */
struct mailbox *mailbox_create(size_t limit, void (*wake)(void *aux),
                               void *aux);
/* Destroys what is in it. */
void mailbox_destroy(struct mailbox *);

/* All zero but its kind, with room for 'n_hits'. */
struct mail *mail_create(enum mail_kind, size_t n_hits);
void mail_destroy(struct mail *);

/* Moves the mail into the box. */
void mailbox_post(struct mailbox *, struct mail *);
/* The same, if less than the limit is in it; otherwise false, and the mail
 * stays the caller's. */
bool mailbox_offer(struct mailbox *, struct mail *);
bool mailbox_is_empty(const struct mailbox *);
/* Whether an offer would be taken now. */
bool mailbox_has_room(const struct mailbox *);
/* All that is in it, oldest first, linked by 'next'. */
struct mail *mailbox_take(struct mailbox *);

#endif /* server/mailbox.h */
