/* SPDX-License-Identifier: Apache-2.0 */
/* of_meter - meters: meter-mods and the configuration a switch tells.
 *
 * Threads: plain data. */
#ifndef RECORDER_OF_METER_H
#define RECORDER_OF_METER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum of_meter_command { OF_METER_ADD, OF_METER_MODIFY, OF_METER_DELETE };

#define OF_METER_ALL UINT32_MAX /* Delete: every meter. */

struct of_meter {
    enum of_meter_command command;
    uint32_t id;
    char *text;   /* As ovs-ofctl add-meter takes it.  Owned. */
    uint8_t *raw; /* The meter-mod that adds it.  Owned. */
    size_t raw_len;
};

/* False when malformed, or of a command that no switch takes. */
bool of_meter_decode(const uint8_t *msg, size_t len, struct of_meter *);
void of_meter_uninit(struct of_meter *);

/* Calls 'found' with every meter (as an ADD; what it owns is the callee's) of
 * a meter configuration reply.  False: malformed. */
bool of_meter_read_config(const uint8_t *msg, size_t len,
                          void (*found)(void *aux, struct of_meter *),
                          void *aux);
/* A request for the configuration of all meters; 'version' is 1.3 or later. */
void of_meter_config_request(uint8_t version, uint8_t **msg, size_t *msg_len);

#endif /* recorder/of_meter.h */
