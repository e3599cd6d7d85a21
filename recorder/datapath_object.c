/* SPDX-License-Identifier: Apache-2.0 */
/* datapath_object - a switch's groups and meters, put into the log. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "recorder/datapath_state.h"
#include "recorder/session.h"

static enum flow_log_class
class_of(const struct instr_object *object)
{
    return object->is_meter ? FLOW_LOG_METER : FLOW_LOG_GROUP;
}

void
datapath_object_note(struct datapath *dp, const struct instr_object *object,
                     uint64_t now_ns)
{
    if (object->text) {
        flow_log_object_set(dp->env->log, class_of(object), dp->dpid,
                            object->id, now_ns, object->how, object->text,
                            object->raw, object->raw_len);
    } else {
        flow_log_object_removed(dp->env->log, class_of(object), dp->dpid,
                                object->id, now_ns, object->how);
    }
}

/* What the log has and what the switch has. */
struct comparison {
    struct datapath *dp;
    const struct flow_log_object *objects;
    size_t n_objects;
    bool *is_there; /* Of each of the log's. */
    uint64_t now_ns;
};

static void
compare(void *comparison_, const struct instr_object *found)
{
    struct comparison *cmp = comparison_;
    bool is_same = false;

    for (size_t i = 0; i < cmp->n_objects; i++) {
        const struct flow_log_object *known = &cmp->objects[i];

        if (known->class == class_of(found) && known->id == found->id) {
            cmp->is_there[i] = true;
            is_same = !strcmp(known->text, found->text);
        }
    }
    if (!is_same) {
        datapath_object_note(cmp->dp, found, cmp->now_ns);
    }
}

void
datapath_object_reconcile(struct datapath *dp,
                          const struct flow_log_object *objects,
                          size_t n_objects, uint64_t now_ns)
{
    struct comparison cmp = {
        .dp = dp,
        .objects = objects,
        .n_objects = n_objects,
        .is_there = lh_alloc_zero((n_objects + 1) * sizeof *cmp.is_there),
        .now_ns = now_ns,
    };

    instr_objects(dp->instr, compare, &cmp);
    for (size_t i = 0; i < n_objects; i++) {
        if (!cmp.is_there[i]) {
            flow_log_object_removed(dp->env->log, objects[i].class, dp->dpid,
                                    objects[i].id, now_ns, "gone");
        }
    }
    free(cmp.is_there);
}
