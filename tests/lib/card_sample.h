/* SPDX-License-Identifier: Apache-2.0 */
/* card_sample - postcards made up at random, as those of a network or any.
 *
 * Threads: one. */
#ifndef TESTS_LIB_CARD_SAMPLE_H
#define TESTS_LIB_CARD_SAMPLE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hop_template.h"
#include "lib/packet_id.h"
#include "lib/postcard.h"

#define CARD_SAMPLE_HEADER 300
#define CARD_SAMPLE_VISITS 6
#define CARD_SAMPLE_LIVE   40 /* Packets under way. */

/* What all that is drawn follows from. */
extern uint32_t card_sample_state;

uint32_t card_sample_draw(uint32_t n);
uint64_t card_sample_draw64(void);
void card_sample_draw_bytes(uint8_t *to, size_t n);

struct card_sample_packet {
    uint8_t header[CARD_SAMPLE_HEADER];
    uint16_t len, l3_ofs;
    bool is_ip4;
};

/* An Ethernet frame of some kind, as a rule one that is understood. */
void card_sample_draw_packet(struct card_sample_packet *);
/* Names it as who receives it does. */
void card_sample_name(struct postcard *);

struct card_sample {
    struct postcard *cards;
    uint8_t (*headers)[CARD_SAMPLE_HEADER];
    struct hop_template *visits[CARD_SAMPLE_VISITS];
    struct card_sample_packet packets[CARD_SAMPLE_LIVE];
    uint64_t now_ns;
    size_t n;
};

void card_sample_init(struct card_sample *, size_t max);
void card_sample_uninit(struct card_sample *);
/* Adds a postcard; of 100 'wild' have members that no network makes. */
void card_sample_add(struct card_sample *, unsigned int wild);

#endif /* tests/lib/card_sample.h */
