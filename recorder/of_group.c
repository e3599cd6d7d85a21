/* SPDX-License-Identifier: Apache-2.0 */
/* of_group - groups: group-mods and group descriptions. */
#include <config.h>
#include "recorder/of_group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_ovs.h"
#include "recorder/of_wire.h"

struct of_group {
    struct ofputil_group_mod gm; /* Owned. */
};

static struct of_group *
group_create(uint16_t command, uint8_t type, uint32_t id)
{
    struct of_group *group = lh_alloc_zero(sizeof *group);

    group->gm.command = command;
    group->gm.type = type;
    group->gm.group_id = id;
    group->gm.command_bucket_id = OFPG15_BUCKET_ALL;
    ovs_list_init(&group->gm.buckets);
    return group;
}

struct of_group *
of_group_decode(const uint8_t *msg, size_t len)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    struct of_group *group = group_create(0, 0, 0);
    enum ofptype type;

    if (ofptype_decode(&type, b->data) || type != OFPTYPE_GROUP_MOD ||
        ofputil_decode_group_mod(b->data, &group->gm)) {
        free(group);
        group = NULL;
    }
    ofpbuf_delete(b);
    return group;
}

struct of_group *
of_group_clone(const struct of_group *group)
{
    struct of_group *copy =
        group_create(group->gm.command, group->gm.type, group->gm.group_id);

    copy->gm.command_bucket_id = group->gm.command_bucket_id;
    ofputil_bucket_clone_list(&copy->gm.buckets, &group->gm.buckets, NULL);
    ofputil_group_properties_copy(&copy->gm.props, &group->gm.props);
    return copy;
}

void
of_group_destroy(struct of_group *group)
{
    if (group) {
        ofputil_uninit_group_mod(&group->gm);
        free(group);
    }
}

enum of_group_command
of_group_command(const struct of_group *group)
{
    switch (group->gm.command) {
    case OFPGC11_ADD:
        return OF_GROUP_ADD;
    case OFPGC11_MODIFY:
        return OF_GROUP_MODIFY;
    case OFPGC11_DELETE:
        return OF_GROUP_DELETE;
    default:
        return OF_GROUP_OTHER;
    }
}

void
of_group_set_command(struct of_group *group, enum of_group_command command)
{
    group->gm.command = (command == OF_GROUP_ADD      ? OFPGC11_ADD
                         : command == OF_GROUP_MODIFY ? OFPGC11_MODIFY
                                                      : OFPGC11_DELETE);
}

uint32_t
of_group_id(const struct of_group *group)
{
    return group->gm.group_id;
}

size_t
of_group_n_buckets(const struct of_group *group)
{
    return ovs_list_size(&group->gm.buckets);
}

static struct ofputil_bucket *
get_bucket(const struct of_group *group, size_t i)
{
    struct ofputil_bucket *bucket;

    LIST_FOR_EACH(bucket, list_node, &group->gm.buckets)
    {
        if (!i--) {
            return bucket;
        }
    }
    abort();
}

void
of_group_get_bucket(const struct of_group *group, size_t i,
                    struct of_acts *acts)
{
    const struct ofputil_bucket *bucket = get_bucket(group, i);

    acts->data = bucket->ofpacts;
    acts->len = bucket->ofpacts_len;
}

void
of_group_set_bucket(struct of_group *group, size_t i,
                    const struct of_acts *acts)
{
    struct ofputil_bucket *bucket = get_bucket(group, i);

    free(bucket->ofpacts);
    bucket->ofpacts = lh_memdup(acts->data, acts->len);
    bucket->ofpacts_len = acts->len;
}

int
of_group_encode(const struct of_group *group, uint8_t version, uint32_t xid,
                uint8_t **msg, size_t *msg_len)
{
    return of_ovs_take(
        ofputil_encode_group_mod(version, &group->gm, &group->gm.buckets, -1),
        xid, msg, msg_len);
}

/* Reads the next record of a description: 1, or 0 at the end, or -1. */
static int
next_desc(struct ofpbuf *b, uint8_t version, struct ofputil_group_desc *gd)
{
    int result = ofputil_decode_group_desc_reply(gd, b, version);

    return !result ? 1 : result == EOF ? 0 : -1;
}

static struct ofpbuf *
open_desc(const uint8_t *msg, size_t len)
{
    struct ofpbuf *b = of_ovs_message(msg, len);
    enum ofptype type;

    if (ofptype_decode(&type, b->data) ||
        type != OFPTYPE_GROUP_DESC_STATS_REPLY) {
        ofpbuf_delete(b);
        return NULL;
    }
    return b;
}

bool
of_group_read_desc(const uint8_t *msg, size_t len,
                   void (*found)(void *aux, struct of_group *), void *aux)
{
    struct ofpbuf *b = open_desc(msg, len);
    struct ofputil_group_desc gd;
    int result = -1;

    while (b && (result = next_desc(b, msg[0], &gd)) > 0) {
        struct of_group *group =
            group_create(OFPGC11_ADD, gd.type, gd.group_id);

        ofputil_bucket_clone_list(&group->gm.buckets, &gd.buckets, NULL);
        ofputil_group_properties_copy(&group->gm.props, &gd.props);
        ofputil_uninit_group_desc(&gd);
        found(aux, group);
    }
    if (b) {
        ofpbuf_delete(b);
    }
    return !result;
}

bool
of_group_restore_desc(const uint8_t *msg, size_t len,
                      const struct of_group *(*restore)(void *aux,
                                                        uint32_t id),
                      void (*emit)(void *aux, uint8_t *msg, size_t len),
                      void *aux)
{
    struct ofpbuf *b = open_desc(msg, len);
    struct ofputil_group_desc gd;
    struct ovs_list replies;
    struct ofpbuf *request;
    struct ofpbuf *reply;
    int result;

    if (!b) {
        return false;
    }
    request = ofputil_encode_group_desc_request(msg[0], OFPG_ALL);
    ofpmp_init(&replies, request->data);
    ofpbuf_delete(request);
    while ((result = next_desc(b, msg[0], &gd)) > 0) {
        const struct of_group *own = restore(aux, gd.group_id);

        ofputil_append_group_desc_reply(
            &gd, own ? &own->gm.buckets : &gd.buckets, &replies);
        ofputil_uninit_group_desc(&gd);
    }
    ofpbuf_delete(b);
    LIST_FOR_EACH_POP(reply, list_node, &replies)
    {
        bool is_last = ovs_list_is_empty(&replies);
        uint8_t *out;
        size_t out_len;

        if (result < 0) {
            ofpbuf_delete(reply);
        } else if (!of_ovs_take(reply, of_wire_xid(msg), &out, &out_len)) {
            of_wire_put16(out + 10,
                          !is_last || !of_wire_is_last_reply(msg, len));
            emit(aux, out, out_len);
        }
    }
    return !result;
}

void
of_group_desc_request(uint8_t version, uint8_t **msg, size_t *msg_len)
{
    of_ovs_take(ofputil_encode_group_desc_request(version, OFPG_ALL), 0, msg,
                msg_len);
}
