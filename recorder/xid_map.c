/* SPDX-License-Identifier: Apache-2.0 */
/* xid_map - a ring: fresh IDs are given in order, so an ID is its own place.
 */
#include <config.h>

#include "recorder/xid_map.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

#define FIRST_SIZE 256

#define ERROR_BODY            12 /* Header, type, code. */
#define ERROR_EXPERIMENTER    0xffff
#define ERROR_NICIRA          0xb0c2 /* OpenFlow 1.0 and 1.1. */
#define EXPERIMENTER_BODY_LEN 4
#define NICIRA_BODY_LEN       8

struct xid_map {
    struct xid_entry *ring; /* Owned. */
    size_t size;            /* A power of 2, at most XID_MAP_MAX. */
    uint32_t next;          /* The next fresh ID; never 0. */
    uint32_t oldest_open;   /* All before it are settled. */
    size_t n_bytes;         /* Of the quotes of open messages. */
    uint64_t n_lost;
};

struct xid_map *
xid_map_create(void)
{
    struct xid_map *map = lh_alloc_zero(sizeof *map);

    map->size = FIRST_SIZE;
    map->ring = lh_alloc_zero(map->size * sizeof *map->ring);
    map->next = 1;
    map->oldest_open = 1;
    return map;
}

void
xid_map_destroy(struct xid_map *map)
{
    if (map) {
        for (size_t i = 0; i < map->size; i++) {
            free(map->ring[i].quote);
        }
        free(map->ring);
        free(map);
    }
}

static struct xid_entry *
place(const struct xid_map *map, uint32_t fresh)
{
    return &map->ring[fresh & (map->size - 1)];
}

/* The ID after 'fresh': 0 is left out, for switches send what nobody asked
 * for under it. */
static uint32_t
after(uint32_t fresh)
{
    return fresh == UINT32_MAX ? 1 : fresh + 1;
}

size_t
xid_map_n_open(const struct xid_map *map)
{
    uint32_t n = map->next - map->oldest_open;

    /* When 'next' has wrapped the missing 0 makes one too many. */
    return map->next < map->oldest_open ? n - 1 : n;
}

bool
xid_map_is_full(const struct xid_map *map)
{
    return xid_map_n_open(map) >= XID_MAP_MAX - 1 ||
           map->n_bytes >= XID_MAP_MAX_BYTES;
}

uint64_t
xid_map_n_lost(const struct xid_map *map)
{
    return map->n_lost;
}

static void
grow(struct xid_map *map)
{
    struct xid_map old = *map;

    map->size *= 2;
    map->ring = lh_alloc_zero(map->size * sizeof *map->ring);
    for (size_t i = 0; i < old.size; i++) {
        if (old.ring[i].fresh) {
            *place(map, old.ring[i].fresh) = old.ring[i];
        }
    }
    free(old.ring);
}

static void
settle(struct xid_map *map, struct xid_entry *e)
{
    if (e->is_settled) {
        return;
    }
    e->is_settled = true;
    map->n_bytes -= e->quote_len;
    if (e->quote_len > XID_MAP_QUOTE) {
        e->quote = lh_alloc_array(e->quote, XID_MAP_QUOTE, 1);
        e->quote_len = XID_MAP_QUOTE;
    }
}

static void
skip_settled(struct xid_map *map)
{
    while (map->oldest_open != map->next) {
        const struct xid_entry *e = place(map, map->oldest_open);

        if (e->fresh == map->oldest_open && !e->is_settled) {
            break;
        }
        map->oldest_open = after(map->oldest_open);
    }
}

uint32_t
xid_map_add(struct xid_map *map, bool is_own, uint64_t tag, uint32_t xid,
            uint8_t *quote, size_t quote_len)
{
    struct xid_entry *e = place(map, map->next);

    if (e->fresh && !e->is_settled) {
        if (map->size < XID_MAP_MAX) {
            grow(map);
            e = place(map, map->next);
        } else {
            map->n_lost++;
            settle(map, e);
            skip_settled(map);
        }
    }
    free(e->quote);
    *e = (struct xid_entry){
        .fresh = map->next,
        .xid = xid,
        .tag = tag,
        .is_own = is_own,
        .quote_len = quote_len,
        .quote = quote,
    };
    map->n_bytes += quote_len;
    map->next = after(map->next);
    return e->fresh;
}

const struct xid_entry *
xid_map_find(const struct xid_map *map, uint32_t fresh)
{
    const struct xid_entry *e = place(map, fresh);

    return fresh && e->fresh == fresh ? e : NULL;
}

void
xid_map_settle(struct xid_map *map, uint32_t fresh)
{
    struct xid_entry *e = place(map, fresh);

    if (!fresh || e->fresh != fresh || e->is_settled) {
        return;
    }
    while (map->oldest_open != fresh) {
        e = place(map, map->oldest_open);
        if (e->fresh == map->oldest_open) {
            settle(map, e);
        }
        map->oldest_open = after(map->oldest_open);
    }
    settle(map, place(map, fresh));
    map->oldest_open = after(fresh);
}

size_t
xid_map_restore_error(const struct xid_entry *e, const uint8_t *msg,
                      size_t len, uint8_t **out)
{
    uint16_t type, code;
    size_t head = ERROR_BODY;

    *out = NULL;
    if (!of_wire_error(msg, len, &type, &code)) {
        return 0;
    }
    if (type == ERROR_EXPERIMENTER) {
        head += EXPERIMENTER_BODY_LEN;
    } else if (type == ERROR_NICIRA) {
        head += NICIRA_BODY_LEN;
    }
    if (head > len) {
        head = len;
    }

    size_t quote_len =
        e->quote_len < UINT16_MAX - head ? e->quote_len : UINT16_MAX - head;
    size_t out_len = head + quote_len;

    *out = lh_alloc(out_len);
    memcpy(*out, msg, head);
    if (quote_len) {
        memcpy(*out + head, e->quote, quote_len);
    }
    of_wire_put16(*out + 2, (uint16_t) out_len);
    of_wire_put32(*out + 4, e->xid);
    return out_len;
}
