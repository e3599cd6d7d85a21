/* SPDX-License-Identifier: Apache-2.0 */
/* instr_role - which connections may change the switch.
 *
 * The switch decides; this is what is known of it.  A role is known from the
 * switch's answers only, and while a request for one is open it is not known:
 * then, and whenever two answers of different connections cannot be put in
 * order, the connection counts as one that may change the switch, and what the
 * switch refuses is undone. */
#include <config.h>
#include "recorder/instr_state.h"

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

#define TYPE_ROLE_REQUEST 24
#define TYPE_ROLE_REPLY   25
#define TYPE_ROLE_STATUS  30
#define ONF_VENDOR        0x4f4e4600
#define ONF_ROLE_STATUS   1911 /* In 1.3. */
#define NICIRA_VENDOR     0x2320
#define NICIRA_ROLE       10
#define NICIRA_ROLE_REPLY 11

/* As on the wire of 1.2 and later. */
enum { ROLE_NO_CHANGE, ROLE_EQUAL, ROLE_MASTER, ROLE_SLAVE };

/* Of errors. */
#define BAD_REQUEST         1
#define IS_SLAVE            10
#define NICIRA_VENDOR_ERROR 0xb0c2

struct role_message {
    uint32_t role;
    bool has_generation;
    uint64_t generation;
};

static bool
parse_nicira(const uint8_t *msg, size_t len, uint32_t subtype,
             struct role_message *role)
{
    if (msg[1] != OF_WIRE_EXPERIMENTER || len < 20 ||
        of_wire_get32(msg + 8) != NICIRA_VENDOR ||
        of_wire_get32(msg + 12) != subtype) {
        return false;
    }
    role->role = of_wire_get32(msg + 16) + 1;
    role->has_generation = false;
    return true;
}

static bool
parse(const uint8_t *msg, size_t len, uint8_t type, uint32_t nicira,
      struct role_message *role)
{
    if (msg[0] >= OF_WIRE_12 && msg[1] == type && len >= 24) {
        role->role = of_wire_get32(msg + 8);
        role->generation = of_wire_get64(msg + 16);
        role->has_generation = true;
        return true;
    }
    return parse_nicira(msg, len, nicira, role);
}

static enum instr_role
from_wire(uint32_t role)
{
    switch (role) {
    case ROLE_EQUAL:
        return INSTR_ROLE_EQUAL;
    case ROLE_MASTER:
        return INSTR_ROLE_MASTER;
    case ROLE_SLAVE:
        return INSTR_ROLE_SLAVE;
    default:
        return INSTR_ROLE_UNSURE;
    }
}

/* The role of a connection has become known. */
static void
set_role(struct instr_out *out, struct instr_link *link, enum instr_role role)
{
    static const char *const names[] = {
        [INSTR_ROLE_EQUAL] = "equal",
        [INSTR_ROLE_MASTER] = "master",
        [INSTR_ROLE_SLAVE] = "slave",
        [INSTR_ROLE_UNSURE] = "not known",
    };

    if (link->role != role) {
        link->role = role;
        out->events =
            lh_alloc_grow(out->events, out->n_events, &out->allocated_events,
                          sizeof *out->events);
        out->events[out->n_events++] = (struct instr_event){
            .kind = "role", .text = lh_strdup(names[role]), .link = link};
    }
}

/* A role that the switch tells unasked. */
static bool
parse_status(const uint8_t *msg, size_t len, uint32_t *role)
{
    if (msg[0] >= OF_WIRE_14 && msg[1] == TYPE_ROLE_STATUS && len >= 12) {
        *role = of_wire_get32(msg + 8);
        return true;
    }
    if (msg[1] == OF_WIRE_EXPERIMENTER && len >= 20 &&
        of_wire_get32(msg + 8) == ONF_VENDOR &&
        of_wire_get32(msg + 12) == ONF_ROLE_STATUS) {
        *role = of_wire_get32(msg + 16);
        return true;
    }
    return false;
}

bool
instr_role_told(const uint8_t *msg, size_t len, enum instr_role *rolep)
{
    struct role_message role;
    uint32_t told;

    if (parse_status(msg, len, &told)) {
        *rolep = from_wire(told);
        return true;
    }
    if (parse(msg, len, TYPE_ROLE_REPLY, NICIRA_ROLE_REPLY, &role)) {
        *rolep = from_wire(role.role);
        return true;
    }
    return false;
}

bool
instr_role_is_slave(const struct instr_link *link)
{
    return link->role == INSTR_ROLE_SLAVE && !link->n_role_requests;
}

bool
instr_role_request(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct role_message role = {0};

    if (!parse(msg, len, TYPE_ROLE_REQUEST, NICIRA_ROLE, &role)) {
        return false;
    }
    if (role.role != ROLE_NO_CHANGE) {
        instr_pend(c, PENDING_ROLE);
        c->link->n_role_requests++;
    }
    return true;
}

/* The switch has made 'link' master at a request with 'tag', so no other
 * connection is it any more. */
static void
demote_others(struct instr_out *out, struct instr_link *link, uint64_t tag,
              const struct role_message *role)
{
    for (struct instr_link *o = link->instr->links; o; o = o->next) {
        if (o == link || o->role != INSTR_ROLE_MASTER) {
            continue;
        }
        /* Was it heard of after we had asked?  Then it may have come after
         * us, unless its generation was older. */
        if (o->role_tag > tag &&
            !(role->has_generation && o->has_generation &&
              (int64_t) (role->generation - o->generation) > 0)) {
            set_role(out, o, INSTR_ROLE_UNSURE);
            set_role(out, link, INSTR_ROLE_UNSURE);
        } else {
            set_role(out, o, INSTR_ROLE_SLAVE);
        }
    }
}

void
instr_role_reply(struct instr_change *c, const uint8_t *msg, size_t len,
                 uint64_t tag)
{
    struct instr_link *link = c->link;
    struct instr_pending *p = instr_pending_find(link, tag, PENDING_ROLE);
    struct role_message role = {0};
    uint32_t told;

    if (parse_status(msg, len, &told)) {
        set_role(c->out, link, from_wire(told));
        link->role_tag = c->tag;
    } else if (parse(msg, len, TYPE_ROLE_REPLY, NICIRA_ROLE_REPLY, &role)) {
        set_role(c->out, link, from_wire(role.role));
        link->has_generation = role.has_generation;
        link->generation = role.generation;
        link->role_tag = c->tag;
        if (p && role.role == ROLE_MASTER) {
            demote_others(c->out, link, tag, &role);
        }
        if (p) {
            instr_pending_drop(link, p);
        }
    }
}

void
instr_role_error(struct instr_change *c, uint64_t tag, uint16_t type,
                 uint16_t code)
{
    struct instr_link *link = c->link;
    struct instr_pending *p = instr_pending_find(link, tag, PENDING_ROLE);
    bool is_slave = link->of_version >= OF_WIRE_12
                        ? type == BAD_REQUEST && code == IS_SLAVE
                        : type == NICIRA_VENDOR_ERROR;

    if (p) {
        instr_pending_drop(link, p);
    } else if (is_slave && instr_is_own_tag(tag)) {
        /* What of ours has gone that way was in vain. */
        set_role(c->out, link, INSTR_ROLE_SLAVE);
        link->role_tag = c->tag;
        instr_owe(c->instr, OWES_ALL | OWES_GROUPS);
    }
}

enum instr_role
instr_link_role(const struct instr_link *link)
{
    return link->n_role_requests ? INSTR_ROLE_UNSURE : link->role;
}
