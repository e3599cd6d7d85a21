/* SPDX-License-Identifier: Apache-2.0 */
/* of_ask - requests to a switch: what it has, and whether it has done what
 * came before.
 *
 * Each function gives its messages, with transaction ID 0, to 'emit', which
 * takes them.
 *
 * Threads: pure functions. */
#ifndef RECORDER_OF_ASK_H
#define RECORDER_OF_ASK_H 1

#include <stddef.h>
#include <stdint.h>

typedef void of_ask_emit(void *aux, uint8_t *msg, size_t len);

void of_ask_barrier(uint8_t version, of_ask_emit *, void *aux);
/* In 1.0: flow-mods with a table's number, and Nicira's matches. */
void of_ask_forms(uint8_t version, of_ask_emit *, void *aux);
void of_ask_ports(uint8_t version, of_ask_emit *, void *aux);
/* The map of tunnel options. */
void of_ask_tlvs(uint8_t version, of_ask_emit *, void *aux);
/* What all meters are; before 1.3 there are none. */
void of_ask_meters(uint8_t version, of_ask_emit *, void *aux);
/* The description of all groups, and all rules. */
void of_ask_rules(uint8_t version, of_ask_emit *, void *aux);

#endif /* recorder/of_ask.h */
