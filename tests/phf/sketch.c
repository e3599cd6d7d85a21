/* SPDX-License-Identifier: Apache-2.0 */
/* sketch - histories for tests, from a line of text. */
#include <config.h>
#include "tests/phf/sketch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"

static uint32_t
number(const char **s)
{
    char *end;
    unsigned long value = strtoul(*s, &end, 10);

    assert(end != *s);
    *s = end;
    return (uint32_t) value;
}

/* A number, '?' or a reserved name. */
static uint32_t
port(const char **s)
{
    char name[16];
    size_t len = strcspn(*s, ":>+,/= ");
    uint32_t value;

    if (**s == '?') {
        ++*s;
        return OF_PORT_UNKNOWN;
    }
    assert(len < sizeof name);
    memcpy(name, *s, len);
    name[len] = '\0';
    *s += len;
    assert(of_port_from_string(name, &value));
    return value;
}

static void
list(const char **s, uint32_t (*read)(const char **),
     void (*add)(struct history_hop *, uint32_t), struct history_hop *hop)
{
    add(hop, read(s));
    while (**s == ',') {
        ++*s;
        add(hop, read(s));
    }
}

static void
expect(const char **s, char c)
{
    assert(**s == c);
    ++*s;
}

static void
hop_from(const char **s, struct history_hop *hop)
{
    hop->dpid = number(s);
    expect(s, ':');
    hop->in_port = port(s);
    expect(s, '>');
    if (**s == '-') {
        ++*s;
    } else {
        list(s, port, history_hop_add_out, hop);
    }
    if (**s == '+') {
        ++*s;
        list(s, port, history_hop_add_branch, hop);
    }
    if (**s == '/') {
        ++*s;
        list(s, number, history_hop_add_version, hop);
    }
    if (**s == '=') {
        char name[16];
        size_t len = strcspn(++*s, " ");

        assert(len < sizeof name);
        memcpy(name, *s, len);
        name[len] = '\0';
        *s += len;
        assert(verdict_name_from_string(name, &hop->verdict.name));
    }
}

struct history *
sketch_history(const char *text)
{
    struct history *h = history_create(0x1234);
    int parent = -1;
    const char *s;

    for (s = text; *s; s += *s == ' ') {
        if (*s != '<') {
            struct history_hop *hop = history_add_hop(h);

            hop->parent = parent;
            hop_from(&s, hop);
            parent = (int) h->n_hops - 1;
        } else if (s[1] == '-') {
            parent = -1;
            s += 2;
        } else {
            s++;
            parent = (int) number(&s);
        }
        assert(!*s || *s == ' ');
    }
    history_settle(h);
    return h;
}

void
sketch_tcp(struct history_hop *hop, uint8_t src, uint8_t dst, uint16_t to,
           size_t caplen)
{
    uint8_t packet[60] = {/* Ethernet. */
                          2, 0, 0, 0, 0, dst, 2, 0, 0, 0, 0, src, 0x08, 0x00,
                          /* IPv4, total length 40. */
                          0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0,
                          src, 10, 0, 0, dst,
                          /* TCP. */
                          1000 >> 8, 1000 & 0xff, (uint8_t) (to >> 8),
                          (uint8_t) to, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2};

    assert(caplen <= sizeof packet);
    history_hop_set_header(hop, packet, caplen);
}
