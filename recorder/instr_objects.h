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

/* instr_object.c: groups and meters for the timeline. */
void instr_object_group(struct instr_change *, const struct shadow_group *,
                        const char *how);
void instr_object_meter(struct instr_out *, const struct of_meter *,
                        const char *how);
void instr_object_gone(struct instr_out *, bool is_meter, uint32_t id,
                       const char *reason);

#endif /* recorder/instr_objects.h */
