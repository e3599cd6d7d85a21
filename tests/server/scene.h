/* SPDX-License-Identifier: Apache-2.0 */
/* scene - a small network for tests of the server: a line of SCENE_SWITCHES
 * switches, port 1 to the left, port 2 to the right, a host at each end.
 *
 * Switch i has dpid i, rule 10 + i which outputs to port 2, and rule 90 + i
 * which drops.  Packet n is a UDP datagram from the left host, whose payload
 * and IP ID are n.
 *
 * Threads: plain data. */
#ifndef TESTS_SERVER_SCENE_H
#define TESTS_SERVER_SCENE_H 1

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/postcard.h"
#include "lib/topology.h"
#include "tests/lib/frame.h"

#define SCENE_SWITCHES 4
#define SCENE_START_NS UINT64_C(1700000000000000000)
#define SCENE_ADDRESS  "192.0.2.9" /* Of all switches. */
#define SCENE_VLAN     4094

/* One postcard and the packet in it. */
struct scene_card {
    struct postcard postcard; /* Its header is in 'frame'. */
    struct frame frame;
};

/* The topology; 'with_addresses' as the recorder gives it. */
struct topology *scene_topology(bool with_addresses);
/* Rule 'version' of 'dpid' as JSON; NULL when there is none. */
json_t *scene_rule(uint64_t dpid, uint32_t version);

/* The postcard of packet 'n' at switch 'dpid', which drops it or not, at
 * 'time_ns'. */
void scene_card(struct scene_card *, uint32_t n, uint64_t dpid, bool drops,
                uint64_t time_ns);
/* What a switch sends in that case, to UDP port 6081 of a server; 'out' has
 * 2048 bytes.  Returns how many. */
size_t scene_datagram(const struct scene_card *, uint8_t *out);
/* The same as a frame of geneve or mac. */
size_t scene_frame(const struct scene_card *, bool is_mac, uint8_t *out);

/* Files: the topology, the rules as JSON lines. */
void scene_write_topology(const char *path);
void scene_write_rules(const char *path);

/* A capture file being written; 'is_ng': pcapng. */
struct scene_pcap;
struct scene_pcap *scene_pcap_open(const char *path, bool is_ng);
void scene_pcap_add(struct scene_pcap *, const void *frame, size_t len,
                    uint64_t time_ns);
void scene_pcap_close(struct scene_pcap *);

/* Writes the postcards of packets 0 to n - 1, packet i being dropped at
 * switch 1 + i % SCENE_SWITCHES when i is a multiple of 3, in order of
 * time. */
void scene_write_capture(const char *path, uint32_t n, bool is_mac,
                         bool is_ng);

#endif /* tests/server/scene.h */
