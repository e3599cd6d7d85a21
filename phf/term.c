/* SPDX-License-Identifier: Apache-2.0 */
/* term - one test of one value of one hop. */
#include <config.h>
#include "phf/term.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

void
term_clone(struct term *copy, const struct term *term)
{
    *copy = *term;
    copy->name = lh_strdup(term->name);
    if (term->bpf) {
        bpf_test_ref(term->bpf);
    }
}

void
term_uninit(struct term *term)
{
    free(term->name);
    bpf_test_unref(term->bpf);
}

static int
compare_strings(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

int
term_compare(const struct term *a, const struct term *b)
{
    int order;

    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->is_negated != b->is_negated) {
        return a->is_negated ? 1 : -1;
    }
    if (a->value != b->value) {
        return a->value < b->value ? -1 : 1;
    }
    order = compare_strings(a->name, b->name);
    if (!order && a->bpf) {
        order = strcmp(bpf_test_text(a->bpf), bpf_test_text(b->bpf));
    }
    return order;
}

/* FNV-1a. */
static uint32_t
hash_bytes(uint32_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len--) {
        hash = (hash ^ *p++) * 16777619u;
    }
    return hash;
}

uint32_t
term_hash(const struct term *term)
{
    uint32_t hash =
        2166136261u ^ (uint32_t) term->kind ^ (term->is_negated ? 0x100u : 0);

    hash = hash_bytes(hash, &term->value, sizeof term->value);
    if (term->name) {
        hash = hash_bytes(hash, term->name, strlen(term->name));
    }
    if (term->bpf) {
        const char *text = bpf_test_text(term->bpf);

        hash = hash_bytes(hash, text, strlen(text));
    }
    return hash;
}

/* What is known about the equality of two values. */
enum equality { UNKNOWN, DIFFERENT, EQUAL };

static enum equality
equal_if(bool is_equal)
{
    return is_equal ? EQUAL : DIFFERENT;
}

static enum equality
dpid_equality(const struct term *term, uint64_t dpid,
              const struct topology *topology)
{
    const struct topology_switch *sw;

    if (!term->name) {
        return equal_if(dpid == term->value);
    }
    sw = topology ? topology_find(topology, dpid) : NULL;
    if (!sw || !sw->name) {
        return UNKNOWN;
    }
    return equal_if(!strcmp(sw->name, term->name));
}

static enum equality
port_equality(const struct term *term, uint64_t dpid, uint32_t port,
              const struct topology *topology)
{
    const struct topology_port *p;

    if (port == OF_PORT_UNKNOWN) {
        return UNKNOWN;
    }
    if (!term->name) {
        return equal_if(port == term->value);
    }
    p = topology ? topology_port(topology, dpid, port) : NULL;
    if (p && p->name) {
        return equal_if(!strcmp(p->name, term->name));
    }
    /* FLOOD and its like are no ports that could have a name; the port LOCAL
     * may have one. */
    return of_port_name(port) && port != OF_PORT_LOCAL ? DIFFERENT : UNKNOWN;
}

/* EQUAL if any of the ports is, else UNKNOWN if any of them is. */
static enum equality
ports_equality(const struct term *term, uint64_t dpid, const uint32_t *ports,
               size_t n, const struct topology *topology)
{
    enum equality result = DIFFERENT;

    for (size_t i = 0; i < n; i++) {
        enum equality e = port_equality(term, dpid, ports[i], topology);

        if (e == EQUAL) {
            return EQUAL;
        }
        if (e == UNKNOWN) {
            result = UNKNOWN;
        }
    }
    return result;
}

static enum equality
out_equality(const struct term *term, const struct history_hop *hop,
             const struct topology *topology)
{
    static const uint32_t dropped = OF_PORT_NONE;
    enum equality out, branch;

    if (!hop->n_out && hop->is_deduced) {
        return UNKNOWN;
    }
    if (!hop->n_out) {
        return ports_equality(term, hop->dpid, &dropped, 1, topology);
    }
    out =
        ports_equality(term, hop->dpid, hop->out_ports, hop->n_out, topology);
    branch = ports_equality(term, hop->dpid, hop->branches, hop->n_branches,
                            topology);
    if (out == EQUAL || branch == EQUAL) {
        return EQUAL;
    }
    return out == UNKNOWN || branch == UNKNOWN ? UNKNOWN : DIFFERENT;
}

static enum equality
version_equality(const struct term *term, const struct history_hop *hop)
{
    if (!hop->n_versions) {
        return UNKNOWN;
    }
    for (size_t i = 0; i < hop->n_versions; i++) {
        if (hop->versions[i] == term->value) {
            return EQUAL;
        }
    }
    return DIFFERENT;
}

bool
term_test(const struct term *term, const struct history_hop *hop,
          enum verdict_name verdict, const struct topology *topology,
          bool *varies)
{
    enum equality e = UNKNOWN;

    switch (term->kind) {
    case TERM_DPID:
        e = dpid_equality(term, hop->dpid, topology);
        break;
    case TERM_IN_PORT:
        e = port_equality(term, hop->dpid, hop->in_port, topology);
        break;
    case TERM_OUT_PORT:
        e = out_equality(term, hop, topology);
        break;
    case TERM_VERSION:
        e = version_equality(term, hop);
        break;
    case TERM_VERDICT:
        if (verdict != VERDICT_NONE) {
            e = equal_if((uint64_t) verdict == term->value);
        }
        break;
    case TERM_BPF:
        /* The negation was compiled in. */
        return varies ? bpf_test_run_model(term->bpf, hop->header, hop->caplen,
                                           varies)
                      : bpf_test_run(term->bpf, hop->header, hop->caplen);
    }
    return e == (term->is_negated ? DIFFERENT : EQUAL);
}

static void
format_quoted(const char *s, FILE *stream)
{
    char quote = strchr(s, '"') ? '\'' : '"';

    fprintf(stream, "%c%s%c", quote, s, quote);
}

static void
format_value(const struct term *term, FILE *stream)
{
    const char *port;

    switch (term->kind) {
    case TERM_DPID:
        if (term->value > 0xffffffff) {
            fprintf(stream, DPID_FMT, term->value);
        } else {
            fprintf(stream, "%" PRIu64, term->value);
        }
        break;
    case TERM_IN_PORT:
    case TERM_OUT_PORT:
        port = of_port_name((uint32_t) term->value);
        if (port) {
            fputs(port, stream);
        } else {
            fprintf(stream, "%" PRIu64, term->value);
        }
        break;
    case TERM_VERSION:
        fprintf(stream, "%" PRIu64, term->value);
        break;
    case TERM_VERDICT:
        fputs(verdict_name_string((enum verdict_name) term->value), stream);
        break;
    case TERM_BPF:
        format_quoted(bpf_test_text(term->bpf), stream);
        break;
    }
}

void
term_format(const struct term *term, FILE *stream)
{
    static const char *const options[] = {
        [TERM_DPID] = "--dpid",        [TERM_IN_PORT] = "--inport",
        [TERM_OUT_PORT] = "--outport", [TERM_VERSION] = "--version",
        [TERM_VERDICT] = "--verdict",  [TERM_BPF] = "--bpf",
    };

    fprintf(stream, "%s %s", options[term->kind],
            term->is_negated ? "not " : "");
    if (term->name) {
        format_quoted(term->name, stream);
    } else {
        format_value(term, stream);
    }
}
