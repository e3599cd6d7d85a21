/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes recorder/instr: messages of both sides in any order.
 *
 * The first byte says the OpenFlow version, the encapsulation and whether the
 * switch has a second connection, of the same or another version; then, again
 * and again, a byte that says who speaks (see speak()) and a message, whose
 * length field counts as far as there are bytes.  Whatever comes in, what goes
 * out are whole messages, no rule is made twice, and no version that was never
 * made is removed. */
#include <config.h>
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/instr.h"
#include "recorder/of_wire.h"

#define MAX_VERSIONS 4096

struct state {
    struct instr *instr;
    struct instr_link *link;   /* The first. */
    struct instr_link *second; /* NULL: none. */
    uint8_t of_version, second_version;
    uint64_t now_ns;
    uint32_t next_version;
    uint64_t tags[16];
    struct instr_link *senders[16]; /* Of these. */
    size_t n_tags;
    struct rule *made[MAX_VERSIONS];
};

static uint32_t
next_version(void *state_)
{
    struct state *state = state_;

    return ++state->next_version;
}

static struct rule *
known_rule(void *state_, uint32_t version)
{
    struct state *state = state_;

    return version < MAX_VERSIONS && state->made[version]
               ? rule_ref(state->made[version])
               : NULL;
}

static void
check(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Checks what came out and remembers its tags. */
static void
take(struct state *state, struct instr_out *out)
{
    for (size_t i = 0; i < out->n_made; i++) {
        struct rule *rule = out->made[i];

        rule_describe(rule);
        check(rule->version && rule->version <= state->next_version);
        check(rule->match && rule->actions && rule->command && rule->who);
        if (rule->version < MAX_VERSIONS) {
            check(!state->made[rule->version] ||
                  !strcmp(rule->command, "restored") ||
                  !strcmp(rule->command, "selected"));
            rule_unref(state->made[rule->version]);
            state->made[rule->version] = rule;
            out->made[i] = NULL;
        }
    }
    for (size_t i = 0; i < out->n_made; i++) {
        if (out->made[i]) {
            rule_unref(out->made[i]);
        }
    }
    out->n_made = 0;
    for (size_t i = 0; i < out->n_removed; i++) {
        check(out->removed[i].version &&
              out->removed[i].version <= state->next_version);
    }
    for (size_t i = 0; i < out->n_to_switch; i++) {
        struct instr_msg *m = &out->to_switch[i];

        check(of_wire_frame(m->data, m->len) == (int) m->len);
        check(m->tag);
        check(m->link == state->link || m->link == state->second);
        state->senders[state->n_tags % 16] = m->link;
        state->tags[state->n_tags++ % 16] = m->tag;
    }
    for (size_t i = 0; i < out->n_to_controller; i++) {
        struct instr_msg *m = &out->to_controller[i];

        check(of_wire_frame(m->data, m->len) == (int) m->len);
        check(m->link == state->link || m->link == state->second);
    }
    instr_out_uninit(out);
}

static void
connect_second(struct state *state)
{
    struct instr_out out = INSTR_OUT_INIT;

    state->second =
        instr_link_create(state->instr, state->second_version, false, state);
    instr_link_start(state->second, state->now_ns, &out);
    take(state, &out);
}

/* The second connection ends and comes again. */
static void
reconnect_second(struct state *state)
{
    struct instr_out out = INSTR_OUT_INIT;

    for (size_t i = 0; i < 16; i++) {
        if (state->senders[i] == state->second) {
            state->tags[i] = 0;
            state->senders[i] = NULL;
        }
    }
    instr_link_destroy(state->second);
    state->second = NULL;
    instr_catch_up(state->instr, state->now_ns, &out);
    take(state, &out);
    connect_second(state);
}

/* A message of the controller of 'link', once it need not wait. */
static void
command(struct state *state, struct instr_link *link, const uint8_t *msg,
        size_t len, struct instr_out *out)
{
    if (instr_link_must_wait(link, msg, state->now_ns, out)) {
        take(state, out);
        state->now_ns += INSTR_FENCE_NS;
        if (instr_link_must_wait(link, msg, state->now_ns, out)) {
            return; /* The tables are being read. */
        }
    }
    instr_from_controller(link, msg, len, state->now_ns, "fuzz", out);
}

/* 'msg' comes from where 'who' says. */
static void
speak(struct state *state, uint8_t who, const uint8_t *msg, size_t len)
{
    struct instr_out out = INSTR_OUT_INIT;
    uint64_t tag = who & 0x80 ? 0 : state->tags[who >> 3 & 15];
    struct instr_link *link = tag ? state->senders[who >> 3 & 15]
                              : state->second && who & 8 ? state->second
                                                         : state->link;

    switch (who & 7) {
    case 0:
        instr_from_switch(link, msg, len, tag, state->now_ns, &out);
        break;
    case 1:
        instr_error(link, tag, 1, 1, state->now_ns, &out);
        break;
    case 2:
        instr_set_postcard_port(
            state->instr, who & 0x10 ? INSTR_MAC : INSTR_GENEVE,
            &(struct instr_postcard_port){.is_wanted = true,
                                          .no = who >> 4,
                                          .vlan = 4000,
                                          .is_no_flood = who & 8},
            state->now_ns, &out);
        break;
    case 3:
        if (state->second && who & 8) {
            reconnect_second(state);
        } else {
            instr_link_reset(state->link);
        }
        break;
    case 5:
        if (state->second) {
            command(state, state->second, msg, len, &out);
            break;
        }
        /* Fall through. */
    default:
        if (state->second) {
            command(state, state->link, msg, len, &out);
        } else {
            instr_from_controller(state->link, msg, len, state->now_ns, "fuzz",
                                  &out);
        }
        break;
    }
    take(state, &out);
}

/* Ends the set-up: the switch is empty. */
static void
bring_up(struct state *state)
{
    struct instr_out out = INSTR_OUT_INIT;
    uint8_t barrier[8];

    instr_start(state->link, 1, &out);
    take(state, &out);
    of_wire_put_header(barrier, state->of_version,
                       of_wire_barrier_reply(state->of_version), 8, 0);
    for (int i = 0; i < 2; i++) {
        instr_from_switch(state->link, barrier, 8,
                          state->tags[(state->n_tags - 1) % 16], 2, &out);
        take(state, &out);
    }
}

/* Bits 3 to 5 name one of the versions; else bit 0 says 1.0 or 1.3. */
static uint8_t
get_version(uint8_t first)
{
    uint8_t version = first >> 3 & 7;

    return version && of_wire_is_known(version) ? version
           : first & 1                          ? OF_WIRE_10
                                                : OF_WIRE_13;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state *state;

    if (size < 1) {
        return 0;
    }
    state = calloc(1, sizeof *state);
    check(state);
    state->now_ns = 5;
    state->of_version = get_version(data[0]);
    state->second_version = data[0] & 0x80 ? state->of_version
                            : state->of_version == OF_WIRE_10 ? OF_WIRE_13
                                                              : OF_WIRE_10;
    state->instr = instr_create(&(struct instr_config){
        .dpid = 0x1122,
        .selection = {.encapsulation = data[0] & 2 ? INSTR_MAC : INSTR_GENEVE},
        .ports = {{.is_wanted = true, .no = data[0] & 2 ? 0 : 99},
                  {.is_wanted = true,
                   .no = data[0] & 2 ? 99 : 0,
                   .vlan = 4000}},
        .switch_index = 5,
        .lldp_dst = {1, 0x23, 0x20, 0, 0, 1},
        .lldp_type = 0x88cc,
        .next_version = next_version,
        .known_rule = known_rule,
        .aux = state});
    state->link =
        instr_link_create(state->instr, state->of_version, false, state);
    if (data[0] & 4) {
        struct instr_out out = INSTR_OUT_INIT;

        instr_start(state->link, 1, &out);
        take(state, &out);
    } else {
        bring_up(state);
        check(instr_is_ready(state->instr));
        if (data[0] & 0xc0) {
            connect_second(state);
        }
    }
    data++;
    size--;
    for (int n = 0; size > OF_WIRE_HEADER_LEN && n < 64; n++) {
        uint8_t who = data[0];
        size_t len = of_wire_get16(data + 3);
        uint8_t *msg;

        if (len < OF_WIRE_HEADER_LEN || len > size - 1) {
            len = size - 1 < 0xffff ? size - 1 : 0xffff;
        }
        /* A copy that ends where the allocation ends. */
        msg = malloc(len);
        check(msg);
        memcpy(msg, data + 1, len);
        of_wire_put16(msg + 2, (uint16_t) len);
        speak(state, who, msg, len);
        free(msg);
        data += 1 + len;
        size -= 1 + len;
    }
    instr_destroy(state->instr);
    for (size_t i = 0; i < MAX_VERSIONS; i++) {
        rule_unref(state->made[i]);
    }
    free(state);
    return 0;
}
