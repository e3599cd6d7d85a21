/* SPDX-License-Identifier: Apache-2.0 */
/* instr_objects - meters, and what is told of them and of groups; for the
 * files of instr only, which get it by instr_state.h. */
#ifndef RECORDER_INSTR_OBJECTS_H
#define RECORDER_INSTR_OBJECTS_H 1

#include "recorder/instr_state.h"

/* instr_meter.c */
void instr_meter_mod(struct instr_change *, const uint8_t *msg, size_t len);
/* The meter that the shadow has, taken out of it; NULL: none. */
struct of_meter *instr_meter_take(struct instr *, uint32_t id);
void instr_meter_insert(struct instr *, struct of_meter *taken);
void instr_meter_destroy(struct of_meter *);
void instr_meter_destroy_all(struct instr *);
/* Somebody else has done what 'meter', taken, says. */
void instr_meter_heard(struct instr_change *, struct of_meter *meter);

/* instr_forward.c */
/* Asks the switch to tell 'link' of what others do. */
void instr_forward_ask(struct instr_link *, uint64_t now_ns,
                       struct instr_out *);
/* The controller has set its asynchronous configuration. */
void instr_forward_configured(struct instr_change *, const uint8_t *msg,
                              size_t len);
/* Passes that on as the controller has set it. */
void instr_forward_restore(struct instr_change *, const uint8_t *msg,
                           size_t len);
/* The controller of c->link has sent a meter-mod. */
void instr_forward_sent(struct instr_change *, const struct of_meter *);
/* A request of somebody else.  True when the controller wants to hear it. */
bool instr_forward_heard(struct instr_change *, const uint8_t *msg,
                         size_t len);

/* instr_object.c: groups and meters for the timeline. */
void instr_object_group(struct instr_change *, const struct shadow_group *,
                        const char *how);
void instr_object_meter(struct instr_out *, const struct of_meter *,
                        const char *how);
void instr_object_gone(struct instr_out *, bool is_meter, uint32_t id,
                       const char *reason);

#endif /* recorder/instr_objects.h */
