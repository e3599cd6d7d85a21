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
    } else if (msg[0] >= OF_WIRE_11 && msg[0] <= OF_WIRE_14 &&
               (group->gm.command == OFPGC15_INSERT_BUCKET ||
                group->gm.command == OFPGC15_REMOVE_BUCKET)) {
        /* The library lets through what only 1.5 has. */
        group->gm.command = UINT16_MAX;
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

static const struct {
    enum of_group_command command;
    uint16_t wire;
} commands[] = {
    {OF_GROUP_ADD, OFPGC11_ADD},
    {OF_GROUP_MODIFY, OFPGC11_MODIFY},
    {OF_GROUP_DELETE, OFPGC11_DELETE},
    {OF_GROUP_ADD_OR_MODIFY, OFPGC11_ADD_OR_MOD},
    {OF_GROUP_INSERT_BUCKETS, OFPGC15_INSERT_BUCKET},
    {OF_GROUP_REMOVE_BUCKET, OFPGC15_REMOVE_BUCKET},
};

enum of_group_command
of_group_command(const struct of_group *group)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (commands[i].wire == group->gm.command) {
            return commands[i].command;
        }
    }
    return OF_GROUP_OTHER;
}

void
of_group_set_command(struct of_group *group, enum of_group_command command)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (commands[i].command == command) {
            group->gm.command = commands[i].wire;
        }
    }
}

uint32_t
of_group_id(const struct of_group *group)
{
    return group->gm.group_id;
}

bool
of_group_is_select(const struct of_group *group)
{
    return group->gm.type == OFPGT11_SELECT;
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

uint32_t
of_group_bucket_id(const struct of_group *group, size_t i)
{
    return get_bucket(group, i)->bucket_id;
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

/* Copies bucket 'i' of 'source' to the end of 'group'. */
static void
append_bucket(struct of_group *group, const struct of_group *source, size_t i)
{
    const struct ofputil_bucket *bucket = get_bucket(source, i);
    struct ofputil_bucket *copy = lh_memdup(bucket, sizeof *bucket);

    copy->ofpacts = lh_memdup(bucket->ofpacts, bucket->ofpacts_len);
    ovs_list_push_back(&group->gm.buckets, &copy->list_node);
}

/* Where in 'old' the new buckets go; false: nowhere. */
static bool
find_place(const struct of_group *old, uint32_t id, size_t *place)
{
    size_t n = of_group_n_buckets(old);

    switch (id) {
    case OFPG15_BUCKET_FIRST:
        *place = 0;
        return true;
    case OFPG15_BUCKET_LAST:
        *place = n;
        return true;
    default:
        for (*place = 1; *place <= n; (*place)++) {
            if (of_group_bucket_id(old, *place - 1) == id) {
                return true;
            }
        }
        return false;
    }
}

/* True when 'change' removes bucket 'i' of the 'n' of 'old'. */
static bool
removes(const struct of_group *change, const struct of_group *old, size_t i,
        size_t n)
{
    uint32_t id = change->gm.command_bucket_id;

    return change->gm.command == OFPGC15_REMOVE_BUCKET &&
           (id == OFPG15_BUCKET_ALL || (id == OFPG15_BUCKET_FIRST && !i) ||
            (id == OFPG15_BUCKET_LAST && i == n - 1) ||
            id == of_group_bucket_id(old, i));
}

struct of_group *
of_group_edit(const struct of_group *old, const struct of_group *change,
              size_t **from)
{
    size_t n_old = of_group_n_buckets(old);
    size_t n_new = of_group_n_buckets(change);
    bool is_insert = change->gm.command == OFPGC15_INSERT_BUCKET;
    uint32_t id = change->gm.command_bucket_id;
    struct of_group *group;
    size_t place = 0;
    size_t n = 0;

    *from = NULL;
    if ((is_insert || id <= OFPG15_BUCKET_MAX) &&
        !find_place(old, id, &place)) {
        return NULL;
    }
    group = group_create(OFPGC11_ADD, old->gm.type, old->gm.group_id);
    ofputil_group_properties_copy(&group->gm.props, &old->gm.props);
    *from = lh_alloc_array(NULL, n_old + n_new, sizeof **from);
    for (size_t i = 0; i <= n_old; i++) {
        for (size_t j = 0; is_insert && i == place && j < n_new; j++) {
            append_bucket(group, change, j);
            (*from)[n++] = n_old + j;
        }
        if (i < n_old && !removes(change, old, i, n_old)) {
            append_bucket(group, old, i);
            (*from)[n++] = i;
        }
    }
    if (ofputil_bucket_check_duplicate_id(&group->gm.buckets)) {
        of_group_destroy(group);
        free(*from);
        *from = NULL;
        return NULL;
    }
    return group;
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

void
of_group_stats_request(uint8_t version, uint32_t id, uint8_t **msg,
                       size_t *msg_len)
{
    of_ovs_take(ofputil_encode_group_stats_request(version, id), 0, msg,
                msg_len);
}
