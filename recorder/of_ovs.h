/* SPDX-License-Identifier: Apache-2.0 */
/* of_ovs - the door to libopenvswitch, for the files behind it only.
 *
 * recorder/of_*.c that include this header are linked with libopenvswitch.a
 * into one object whose only global names begin with of_; nothing else in the
 * tree sees a type or a function of the library.  This header also holds what
 * the files behind the door share: the inside of the opaque structs of
 * of_match.h, and helpers on the library's buffers. */
#ifndef RECORDER_OF_OVS_H
#define RECORDER_OF_OVS_H 1

/* Both configurations define what Autoconf names the package. */
#undef PACKAGE
#undef PACKAGE_BUGREPORT
#undef PACKAGE_NAME
#undef PACKAGE_STRING
#undef PACKAGE_TARNAME
#undef PACKAGE_URL
#undef PACKAGE_VERSION
#undef VERSION
#include <openvswitch/lasthop-ovs-config.h>

#include <endian.h>

#include <openflow/openflow-1.1.h>

#include <openvswitch/dynamic-string.h>
#include <openvswitch/match.h>
#include <openvswitch/meta-flow.h>
#include <openvswitch/ofp-actions.h>
#include <openvswitch/ofp-bundle.h>
#include <openvswitch/ofp-errors.h>
#include <openvswitch/ofp-flow.h>
#include <openvswitch/ofp-group.h>
#include <openvswitch/ofp-match.h>
#include <openvswitch/ofp-monitor.h>
#include <openvswitch/ofp-msgs.h>
#include <openvswitch/ofp-packet.h>
#include <openvswitch/ofp-parse.h>
#include <openvswitch/ofp-print.h>
#include <openvswitch/ofp-protocol.h>
#include <openvswitch/ofp-table.h>
#include <openvswitch/ofp-util.h>
#include <openvswitch/ofpbuf.h>
#include <openvswitch/vlog.h>

#include "recorder/of_acts.h"
#include "recorder/of_match.h"

struct of_match {
    struct minimatch mini; /* Owned. */
    uint32_t hash;
    bool is_all;
    bool is_untagged; /* No VLAN tag, as OpenFlow 1.0 and 1.1 say it. */
    bool has_gbp;     /* Matches "tun_gbp_id" or "tun_gbp_flags". */
};

/* The library keeps its own conversions to itself. */
static inline uint16_t
of_ovs_u16(ofp_port_t port)
{
    return (OVS_FORCE uint16_t) port;
}

static inline ofp_port_t
of_ovs_port(uint16_t port)
{
    return OFP_PORT_C(port);
}

static inline ovs_be64
of_ovs_be64(uint64_t value)
{
    return (OVS_FORCE ovs_be64) htobe64(value);
}

static inline uint64_t
of_ovs_u64(ovs_be64 value)
{
    return be64toh((OVS_FORCE uint64_t) value);
}

/* A new match from one of the library's. */
struct of_match *of_match_from_ovs(const struct match *);
/* The same of what is taken. */
struct of_match *of_match_take_mini(struct minimatch *);
/* Writes the match into '*match'. */
void of_match_expand(const struct of_match *, struct match *match);
/* The same as it goes to a peer: that packets are Ethernet, which goes without
 * saying there, is left out.  Said to a switch, it would keep a match from
 * selecting the rules that do not say it. */
void of_match_expand_wire(const struct of_match *, struct match *match);

/* The length of the extensible match (OpenFlow 1.2 and later) at 'match',
 * padding and all; 0 when it cannot be copied to a peer as it is, because it
 * is not whole or says what of_match_expand_wire() leaves out. */
size_t of_match_wire_len(const uint8_t *match, size_t len);

/* 'b' is a message of OpenFlow 1.1 with the match 'm' after 48 bytes.  When
 * the fixed match of 1.1 cannot say all of 'm', returns instead of 'b', which
 * it frees, the same with an extensible match, which Open vSwitch takes too.
 */
struct ofpbuf *of_match_widen_11(struct ofpbuf *b, const struct of_match *m);

/* Copies the actions in 'ofpacts' to 'acts'. */
void of_acts_from_ovs(struct of_acts *acts, const struct ofpact *ofpacts,
                      size_t len);
static inline const struct ofpact *
of_acts_ovs(const struct of_acts *acts)
{
    return acts->data;
}

/* The library's protocol we speak with a switch of OpenFlow 'version'. */
enum ofputil_protocol of_ovs_protocol(uint8_t version);

/* The 'len' bytes at 'msg' in aligned memory, to be freed with
 * ofpbuf_delete(); 'data' is the header. */
struct ofpbuf *of_ovs_message(const uint8_t *msg, size_t len);
/* What kind of message it is; false when it cannot be decoded. */
bool of_ovs_raw(const struct ofpbuf *msg, enum ofpraw *raw);

/* Turns 'msg', which it frees, into '*data' of '*len' bytes with transaction
 * ID 'xid'.  Returns 0, or EMSGSIZE when it is too long for OpenFlow. */
int of_ovs_take(struct ofpbuf *msg, uint32_t xid, uint8_t **data, size_t *len);
/* The same of a 'msg' that is not to be freed itself. */
int of_ovs_take_data(struct ofpbuf *msg, uint32_t xid, uint8_t **data,
                     size_t *len);

#endif /* recorder/of_ovs.h */
