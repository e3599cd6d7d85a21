/* SPDX-License-Identifier: Apache-2.0 */
/* instr_packet - packet-outs of the controller, packet-ins of ours. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_packet_out.h"
#include "recorder/of_wire.h"
#include "recorder/own_cookie.h"

/* Packet-ins in Nicira's formats (Open vSwitch 3.1, nicira-ext.h): an
 * experimenter message with the cookie at a fixed place, or in a property. */
#define NICIRA               0x2320u
#define NICIRA_PACKET_IN     17
#define NICIRA_PACKET_IN2    30
#define NICIRA_COOKIE_OFS    24
#define NICIRA_PROPS_OFS     16
#define NICIRA_PROP_COOKIE   4
#define NICIRA_PROP_COOKIE_N 16

void
instr_packet_out(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    struct of_packet_out po;
    struct of_facts facts;
    struct of_acts acts;
    uint8_t *sent = NULL;
    uint32_t version;
    size_t sent_len;

    instr->counters.packet_outs++;
    if (!of_packet_out_decode(msg, len, &po)) {
        instr->counters.passed_malformed++;
        instr_pass(c, msg, len);
        return;
    }
    of_acts_facts(&po.acts, 0, &facts);
    instr_own_prepare(c, 0, &facts);
    version = instr_version(c);
    instr_made(c->out,
               instr_rule_packet_out(instr, version, po.in_port, &po.acts, msg,
                                     len, c->now_ns, c->who));
    if (instr_select_is_on(instr)) {
        struct shadow_card card = instr_select_packet_out(instr);
        struct of_inject_ask ask = {.place = OF_INJECT_PACKET_OUT,
                                    .version = version,
                                    .is_quiet = !card.len,
                                    .ports = instr->flood,
                                    .n_ports = instr->n_flood,
                                    .replace_flood =
                                        c->link->of_version != OF_WIRE_10 &&
                                        instr_ports_may_flood(instr)};
        struct of_inject_result result;

        of_inject_run(instr_inject_get(c, card), &po.acts, &ask, &result);
        if (card.len) {
            of_inject_set_snap_len(instr_inject_get(c, card), card.len,
                                   &result.acts);
        }
        of_acts_move(&acts, &po.acts);
        po.acts = result.acts;
        of_packet_out_encode(&po, c->link->of_version, of_wire_xid(msg), &sent,
                             &sent_len);
        of_acts_uninit(&acts);
    }
    if (sent) {
        instr_emit(c, sent, sent_len);
    } else {
        instr_pass(c, msg, len);
    }
    of_packet_out_uninit(&po);
}

bool
instr_packet_in(struct instr_change *c, const uint8_t *msg, size_t len)
{
    const struct instr_config *config = &c->instr->config;
    struct instr_out *out = c->out;
    struct of_packet_in pi;
    uint64_t hash;
    int ignored;

    if (!config->lldp_type || !of_msg_packet_in(msg, len, &pi) ||
        pi.len < 14 || memcmp(pi.frame, config->lldp_dst, 6) ||
        of_wire_get16(pi.frame + 12) != config->lldp_type) {
        return false;
    }
    hash = instr_echo_hash(0, pi.frame, pi.len);
    hash = instr_echo_hash(hash, &pi.in_port, sizeof pi.in_port);
    if (instr_echo_take(c, hash, &ignored)) {
        return true;
    }
    instr_echo_put(c, hash, 0);
    out->lldp = lh_alloc_grow(out->lldp, out->n_lldp, &out->allocated_lldp,
                              sizeof *out->lldp);
    out->lldp[out->n_lldp++] =
        (struct instr_lldp){.in_port = pi.in_port,
                            .frame = lh_memdup(pi.frame, pi.len),
                            .len = pi.len};
    return true;
}

/* Where the message has its cookie, 0: it has none. */
static size_t
find_cookie(const uint8_t *msg, size_t len)
{
    size_t ofs = NICIRA_PROPS_OFS;

    if (len < NICIRA_PROPS_OFS || msg[1] != OF_WIRE_EXPERIMENTER ||
        of_wire_get32(msg + 8) != NICIRA) {
        return 0;
    }
    if (of_wire_get32(msg + 12) == NICIRA_PACKET_IN) {
        return len >= NICIRA_COOKIE_OFS + 8 ? NICIRA_COOKIE_OFS : 0;
    }
    if (of_wire_get32(msg + 12) != NICIRA_PACKET_IN2) {
        return 0;
    }
    while (ofs + NICIRA_PROP_COOKIE_N <= len) {
        size_t n = of_wire_get16(msg + ofs + 2);

        if (of_wire_get16(msg + ofs) == NICIRA_PROP_COOKIE &&
            n == NICIRA_PROP_COOKIE_N) {
            return ofs + 8;
        }
        if (n < 4) {
            return 0;
        }
        ofs += (n + 7) & ~(size_t) 7;
    }
    return 0;
}

void
instr_packet_in_pass(struct instr_change *c, const uint8_t *msg, size_t len)
{
    uint8_t *copy = lh_memdup(msg, len);
    size_t ofs = find_cookie(msg, len);

    if (ofs && of_wire_get64(msg + ofs) == (OWN_COOKIE | OWN_MISS)) {
        memset(copy + ofs, 0, 8);
    }
    instr_emit_up(c, copy, len);
}
