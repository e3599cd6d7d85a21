/* SPDX-License-Identifier: Apache-2.0 */
/* of_match_text - the texts of plain matches, fast; behind the door only.
 *
 * The log has the text of every rule that is made, and libopenvswitch takes
 * more time for it than all else that is done about a rule, because it goes
 * through every field that there may be, with printf.  Most rules match on a
 * few old fields; their texts are written here, letter for letter as the
 * library does.
 *
 * Threads: no state. */
#ifndef RECORDER_OF_MATCH_TEXT_H
#define RECORDER_OF_MATCH_TEXT_H 1

#include "recorder/of_ovs.h"

/* The text of 'match', malloc()ed, when it matches on nothing but in_port,
 * one VLAN ID, whole Ethernet addresses, EtherTypes of IPv4 and ARP, IPv4
 * prefixes, IP protocol, and whole ports or ICMP types; otherwise NULL. */
char *of_match_text_plain(const struct match *match);

#endif /* recorder/of_match_text.h */
