/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_check - whether assembled histories agree with what was.
 *
 * Without loss they must equal it.  With loss they must say exactly what is
 * missing, which means:
 *
 *   - every observed hop stands in one history, with its own packet's hops
 *     only, after the hops that were before it;
 *   - a hop whose true parent was observed has that parent, and no gap;
 *   - a hop whose true parent was not observed has a deduced parent or a gap
 *     marked before it, or, where in_ports are unknown, none of its own;
 *   - every deduced hop was a hop, there, with those ports;
 *   - outputs, versions and branches are true ones;
 *   - a verdict is the true one, or lost with evidence uncertain, or open, at
 *     a hop of which, or after which, a postcard is missing; evidence is
 *     complete only where the packet was lost. */
#ifndef TESTS_SERVER_ORACLE_CHECK_H
#define TESTS_SERVER_ORACLE_CHECK_H 1

#include "lib/lh_error.h"
#include "tests/server/oracle.h"

struct oracle_check {
    struct oracle_packet *const *packets; /* All of one packet ID. */
    size_t n_packets;
    struct history *const *histories;
    size_t n_histories;
    /* Rounds of a loop look all the same: whole ones may be missing
     * unnoticed. */
    bool has_blind_rounds;
    /* The postcards went through oracle_packet_blind().  Without loss every
     * in_port must be the true one but for starts, where it may be unknown;
     * with loss it may be unknown anywhere. */
    bool is_blind;
    /* Links changed while it was under way, or nearly so: what was not seen
     * may be lost, uncertain, or open. */
    bool links_changed;
};

/* 0, or EINVAL with what is wrong. */
int oracle_check_exact(const struct oracle_check *, struct lh_error *);
int oracle_check_lossy(const struct oracle_check *, struct lh_error *);

/* Prints all of it to standard error. */
void oracle_check_dump(const struct oracle_check *);

#endif /* tests/server/oracle_check.h */
