/* SPDX-License-Identifier: Apache-2.0 */
/* of_port - OpenFlow port numbers as lasthop writes them everywhere.
 *
 * Ports are the 16-bit numbers of OpenFlow 1.0, also for switches that speak
 * a later version (whose 32-bit reserved ports 0xffffffxx map to 0xffxx).
 * Variables are 32 bits wide, so that "not known" has a value of its own. */
#ifndef LIB_OF_PORT_H
#define LIB_OF_PORT_H 1

#include <stdbool.h>
#include <stdint.h>

#define OF_PORT_GROUP      0xff01u /* Ours: a group decides. */
#define OF_PORT_IN_PORT    0xfff8u
#define OF_PORT_TABLE      0xfff9u
#define OF_PORT_NORMAL     0xfffau
#define OF_PORT_FLOOD      0xfffbu
#define OF_PORT_ALL        0xfffcu
#define OF_PORT_CONTROLLER 0xfffdu
#define OF_PORT_LOCAL      0xfffeu
#define OF_PORT_NONE       0xffffu  /* In a postcard: dropped. */
#define OF_PORT_UNKNOWN    0x10000u /* Not a port number: not known. */

/* The reserved name of 'port' in capitals ("FLOOD", "DROP" for
 * OF_PORT_NONE), or NULL when it has none. */
const char *of_port_name(uint32_t port);

/* Parses a decimal number or a reserved name in any case (DROP and NONE are
 * the same) into '*portp'.  Returns false and leaves '*portp' alone when
 * 'text' is neither. */
bool of_port_from_string(const char *text, uint32_t *portp);

#endif /* lib/of_port.h */
