/* SPDX-License-Identifier: Apache-2.0 */
/* random_filter - filters by chance. */
#include <config.h>

#include "tests/server/random_filter.h"

#include <check.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void __attribute__((format(printf, 2, 3)))
put(struct random_filter *f, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    f->len += (size_t) vsnprintf(f->text + f->len, RANDOM_FILTER_MAX - f->len,
                                 format, args);
    va_end(args);
    ck_assert_uint_lt(f->len, RANDOM_FILTER_MAX);
}

/* Some ask for what is constant in a flow, some for what is not. */
static const char *const expressions[] = {
    "udp",
    "tcp",
    "ip",
    "icmp or icmp6",
    "len > 80",
    "greater 100 and ip",
    "ip[4:2] & 1 = 0",
    "ip[12:4] & 1 = 0",
    "ip[16:4] & 3 = 1",
    "ip[8] < 62",
    "ip[8] > 62 and udp",
    "ether[5] & 1 = 1",
    "portrange 0-1000",
    "udp[0:2] & 1 = 1",
    "udp[8:4] & 1 = 1",
    "tcp[4:4] & 1 = 1 or udp[6:2] & 1 = 1",
    "src net 10.0.0.0/9",
    "vlan",
    "ip[300] = 1",
    /* By what the index of a set looks up, alone and with what varies. */
    "host 10.0.0.1 or host 10.0.0.2",
    "ip[12:4] > 0x0a000001 and ip[12:4] <= 0x0a000004",
    "net 10.0.0.0/30 and tcp[13] & 2 = 0",
    "dst net 10.0.0.0/28 and ip[4:2] & 3 = 0",
    "ether[0:4] & 0xffff0000 = 0x02000000 and ip[8] = 64",
    "src portrange 0-32767 and not dst port 80",
    "tcp[13] & 16 != 0 and ip[8] > 60",
    "udp[6:2] & 1 = 0 and ip[8] >= 63",
    "port 80 or port 443 or port 53",
    "ip6 and tcp[13] & 1 = 0 or ip6[6] = 17",
    "tcp and ip[2:2] & 1 = 1",
    "ip[8] = 62",
    "ip[8] = 61 or ip[8] = 63",
    "ip[2:2] = 49",
};
#define N_EXPRESSIONS (sizeof expressions / sizeof expressions[0])

static void
put_term(struct random_filter *f, struct gen_random *r,
         const struct topology *t)
{
    const char *not = gen_random_pick(r, 5) ? "" : "not ";
    const struct topology_switch *sw = topology_switch_at(
        t, gen_random_pick(r, (uint32_t) topology_n_switches(t)));
    static const char *const verdicts[] = {"delivered", "dropped", "lost"};

    switch (gen_random_pick(r, 10)) {
    case 0:
    case 1:
        put(f, "--dpid %s%" PRIu64, not, sw->dpid);
        break;
    case 2:
        put(f, "--dpid %s\"%s\"", not, sw->name);
        break;
    case 3:
        put(f, "--inport %s%u", not, 1 + gen_random_pick(r, 4));
        break;
    case 4:
        put(f, "--outport %s%u", not, 1 + gen_random_pick(r, 4));
        break;
    case 5:
        put(f, "--version %s%u", not, 1 + gen_random_pick(r, 12));
        break;
    case 6:
        put(f, "--verdict %s%s", not, verdicts[gen_random_pick(r, 3)]);
        break;
    default:
        put(f, "--bpf %s\"%s\"", not,
            expressions[gen_random_pick(r, N_EXPRESSIONS)]);
        break;
    }
}

static void
put_hop(struct random_filter *f, struct gen_random *r,
        const struct topology *t)
{
    uint32_t n = gen_random_pick(r, 3) ? 1 : 2;

    put(f, "{{");
    for (uint32_t i = 0; i < n; i++) {
        put(f, " ");
        put_term(f, r, t);
    }
    put(f, "}}");
}

static void
put_part(struct random_filter *f, struct gen_random *r,
         const struct topology *t)
{
    uint32_t form = gen_random_pick(r, 8);

    if (form < 2) {
        put(f, ".");
    } else if (form < 6) {
        put_hop(f, r, t);
    } else {
        put(f, form == 6 ? "[" : "[^");
        put_hop(f, r, t);
        put_hop(f, r, t);
        put(f, "]");
    }
    if (!gen_random_pick(r, 3)) {
        put(f, "%c", "*+?"[gen_random_pick(r, 3)]);
    }
}

void
random_filter(struct random_filter *f, struct gen_random *r,
              const struct topology *t)
{
    uint32_t n_parts = 1 + gen_random_pick(r, 3);

    f->len = 0;
    if (!gen_random_pick(r, 8)) {
        put(f, "(");
        put_part(f, r, t);
        put(f, ".).*\\1|");
    }
    put(f, gen_random_pick(r, 3) ? "" : "^");
    for (uint32_t i = 0; i < n_parts; i++) {
        put_part(f, r, t);
        put(f, gen_random_pick(r, 3) ? ".*" : "");
    }
    put_part(f, r, t);
    put(f, gen_random_pick(r, 3) ? "" : "$");
}
