/* SPDX-License-Identifier: Apache-2.0 */
/* own_cookie - the cookies by which the recorder knows its own rules in a
 * switch: what the rule is stands in the low byte.
 *
 * Threads: constants. */
#ifndef RECORDER_OWN_COOKIE_H
#define RECORDER_OWN_COOKIE_H 1

#include <stdint.h>

#define OWN_COOKIE      UINT64_C(0x6c617374686f7000) /* "lasthop" */
#define OWN_COOKIE_MASK UINT64_C(0xffffffffffffff00)
enum own_kind {
    OWN_DROP_IN = 1,
    OWN_LLDP,
    OWN_MISS,
    OWN_INDEX,
    OWN_CARRY_UP,   /* Others' postcards, up the tree. */
    OWN_CARRY_DROP, /* All else in their VLAN. */
    OWN_CARRY_IP    /* Geneve postcards on an underlay. */
};

/* "lh": the controller ID of connections of our own (attached bridges), to
 * which alone our discovery is sent.  ovn-controller 23.03 ends with an
 * assertion when it is given packets that it did not ask for. */
#define OWN_CONTROLLER_ID 0x6c68

#endif /* recorder/own_cookie.h */
