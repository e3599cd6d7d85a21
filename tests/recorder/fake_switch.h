/* SPDX-License-Identifier: Apache-2.0 */
/* fake_switch - what a switch does with flow-mods, for tests of instr.
 *
 * Keeps flow tables by the rules of OpenFlow 1.0 to 1.5 (add, modify, delete,
 * strict or not, bundles of them), answers barriers, ports, TLV maps and flow
 * statistics.  With instr in front of one and nothing in front of another, a
 * controller must see the same.
 *
 * Ownership: fake_switch_create() to fake_switch_destroy(); messages handed
 * out are malloc()ed. */
#ifndef TESTS_RECORDER_FAKE_SWITCH_H
#define TESTS_RECORDER_FAKE_SWITCH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_PORTS         3 /* 1, 2, 3, and the postcard port. */
#define FAKE_POSTCARD_PORT 99

struct fake_switch;

struct fake_switch *fake_switch_create(uint8_t of_version);
void fake_switch_destroy(struct fake_switch *);

/* Does what 'msg' says and hands each answer to 'answer', which takes it. */
void fake_switch_run(struct fake_switch *, const uint8_t *msg, size_t len,
                     void (*answer)(void *aux, uint8_t *msg, size_t len),
                     void *aux);

/* Flow-mods with 'cookie' as their new cookie are refused, but for deletes. */
void fake_switch_refuse(struct fake_switch *, uint64_t cookie);

/* How long all rules have stood, as flow statistics tell; 1000 s if never
 * called. */
void fake_switch_set_age(struct fake_switch *, uint32_t age_s);

/* Writes port 'no', named by a letter, as port lists of 'of_version' have it
 * into 'p', which has room for 64 bytes; returns its size. */
size_t fake_switch_put_port(uint8_t of_version, uint16_t no, uint8_t *p);
/* A port-status about port 'no', malloc()ed. */
uint8_t *fake_switch_port_status(uint8_t of_version, uint8_t reason,
                                 uint16_t no, size_t *len);

/* A rule per line as ovs-ofctl writes it, sorted; malloc()ed. */
char *fake_switch_text(const struct fake_switch *);
size_t fake_switch_n_flows(const struct fake_switch *);

/* Takes the rule with 'cookie' out as if it had timed out, and returns the
 * flow-removed message, or NULL when it is not to be sent. */
uint8_t *fake_switch_expire(struct fake_switch *, uint64_t cookie,
                            uint32_t age_s, size_t *len);

#endif /* tests/recorder/fake_switch.h */
