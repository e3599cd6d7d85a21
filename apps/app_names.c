/* SPDX-License-Identifier: Apache-2.0 */
/* app_names - what people call switches, ports and hosts. */
#include <config.h>
#include "apps/app_names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "lib/line_reader.h"
#include "lib/name_miss.h"
#include "lib/nearest.h"
#include "lib/of_port.h"
#include "lib/text_buf.h"
#include "phf/phf.h"

/* Bytes of an address as text. */
#define ADDRESS_SIZE 64

struct host {
    char address[ADDRESS_SIZE]; /* As lib/hdr.h writes it. */
    char *name;                 /* Owned. */
};

struct app_names {
    struct topology *topology; /* Reference or NULL. */
    size_t n_hosts, allocated_hosts;
    struct host *hosts; /* Sorted by address.  Owned. */
};

/* --- hosts --------------------------------------------------------------- */

static int
compare_hosts(const void *a_, const void *b_)
{
    const struct host *a = a_, *b = b_;

    return strcmp(a->address, b->address);
}

/* Writes 'text', an address, as lib/hdr.h would; false if it is none. */
static bool
normalise(const char *text, char address[ADDRESS_SIZE])
{
    struct text_buf t = text_buf(address, ADDRESS_SIZE);
    uint8_t bytes[16];
    unsigned int mac[6];
    int n = 0;

    if (inet_pton(AF_INET, text, bytes) == 1) {
        text_buf_put_ip4(&t, bytes);
    } else if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &mac[0], &mac[1],
                      &mac[2], &mac[3], &mac[4], &mac[5], &n) == 6 &&
               !text[n]) {
        for (int i = 0; i < 6; i++) {
            bytes[i] = (uint8_t) mac[i];
        }
        text_buf_put_mac(&t, bytes);
    } else if (inet_pton(AF_INET6, text, bytes) == 1) {
        text_buf_put_ip6(&t, bytes);
    } else {
        return false;
    }
    return true;
}

static int
take_line(struct app_names *names, char *line, struct lh_error *error)
{
    static const char blanks[] = " \t\r";
    struct host host = {.name = NULL};
    char *save, *address, *name;

    line[strcspn(line, "#")] = '\0';
    address = strtok_r(line, blanks, &save);
    if (!address) {
        return 0;
    }
    name = strtok_r(NULL, blanks, &save);
    if (!normalise(address, host.address)) {
        lh_error_set(error, "\"%s\" is no address (IPv4, IPv6 or MAC)",
                     address);
        return EINVAL;
    }
    if (!name) {
        lh_error_set(error, "%s has no name", address);
        return EINVAL;
    }
    host.name = lh_strdup(name);
    names->hosts =
        lh_alloc_grow(names->hosts, names->n_hosts, &names->allocated_hosts,
                      sizeof *names->hosts);
    names->hosts[names->n_hosts++] = host;
    return 0;
}

static int
read_hosts(struct app_names *names, const char *path, struct lh_error *error)
{
    struct line_reader lines = {.stream = fopen(path, "r")};
    int retval;

    if (!lines.stream) {
        retval = errno;
        lh_error_set(error, "%s: %s", path, strerror(retval));
        return retval;
    }
    while (!(retval = line_reader_next(&lines, error))) {
        retval = take_line(names, lines.text, error);
        if (retval) {
            break;
        }
    }
    if (retval == ENODATA) {
        retval = 0;
        qsort(names->hosts, names->n_hosts, sizeof *names->hosts,
              compare_hosts);
    } else {
        lh_error_prefix(error, "%s:%zu", path, lines.n);
    }
    line_reader_uninit(&lines);
    fclose(lines.stream);
    return retval;
}

const char *
app_names_host(const struct app_names *names, const char *address)
{
    struct host key = {.name = NULL};
    const struct host *host;

    if (strlen(address) >= sizeof key.address || !names->n_hosts) {
        return NULL;
    }
    strcpy(key.address, address);
    host = bsearch(&key, names->hosts, names->n_hosts, sizeof *names->hosts,
                   compare_hosts);
    return host ? host->name : NULL;
}

const char *
app_names_address(const struct app_names *names, const char *name, size_t i)
{
    for (size_t k = 0; k < names->n_hosts; k++) {
        if (!strcmp(names->hosts[k].name, name) && !i--) {
            return names->hosts[k].address;
        }
    }
    return NULL;
}

void
app_names_try_hosts(const struct app_names *names, struct nearest *nearest)
{
    for (size_t i = 0; i < names->n_hosts; i++) {
        nearest_try(nearest, names->hosts[i].name);
    }
}

/* The name for the longest beginning of 'word' (its first 'len' bytes) that is
 * an address, up to its end or a ':' or '.' before a port; '*used' is how long
 * that is. */
static const char *
host_at(const struct app_names *names, const char *word, size_t len,
        size_t *used)
{
    for (size_t n = len; n; n--) {
        char address[ADDRESS_SIZE];
        const char *name;

        if (n >= sizeof address || (n < len && !strchr(":.", word[n]))) {
            continue;
        }
        memcpy(address, word, n);
        address[n] = '\0';
        name = app_names_host(names, address);
        if (name) {
            *used = n;
            return name;
        }
    }
    return NULL;
}

static size_t
word_length(const char *text)
{
    size_t len = 0;

    while (isxdigit((unsigned char) text[len]) ||
           (text[len] && strchr(":.", text[len]))) {
        len++;
    }
    return len;
}

char *
app_names_in_text(const struct app_names *names, const char *text)
{
    char *result = NULL;
    size_t size;
    FILE *out;

    if (!names->n_hosts) {
        return lh_strdup(text);
    }
    out = open_memstream(&result, &size);
    while (*text) {
        size_t len = word_length(text), used = len;
        const char *name = len ? host_at(names, text, len, &used) : NULL;

        if (name) {
            fputs(name, out);
        } else {
            /* A letter or digit of another word ends no address. */
            used = len ? len : 1;
            while (!len && isalnum((unsigned char) text[used - 1]) &&
                   isalnum((unsigned char) text[used])) {
                used++;
            }
            fwrite(text, 1, used, out);
        }
        text += used;
    }
    fclose(out);
    return result;
}

/* --- switches and ports -------------------------------------------------- */

char *
app_names_switch(const struct app_names *names, uint64_t dpid,
                 char buf[APP_NAMES_BUFSIZE])
{
    const struct topology_switch *sw =
        names->topology ? topology_find(names->topology, dpid) : NULL;

    if (sw && sw->name) {
        snprintf(buf, APP_NAMES_BUFSIZE, "%s", sw->name);
    } else {
        snprintf(buf, APP_NAMES_BUFSIZE, DPID_FMT, dpid);
    }
    return buf;
}

char *
app_names_port(const struct app_names *names, uint64_t dpid, uint32_t port,
               char buf[APP_NAMES_BUFSIZE])
{
    const struct topology_port *p =
        names->topology ? topology_port(names->topology, dpid, port) : NULL;

    if (p && p->name) {
        snprintf(buf, APP_NAMES_BUFSIZE, "%s", p->name);
    } else if (of_port_name(port)) {
        snprintf(buf, APP_NAMES_BUFSIZE, "%s", of_port_name(port));
    } else if (port == OF_PORT_UNKNOWN) {
        strcpy(buf, "?");
    } else {
        snprintf(buf, APP_NAMES_BUFSIZE, "%" PRIu32, port);
    }
    return buf;
}

void
app_names_try_switches(const struct app_names *names, struct nearest *nearest)
{
    size_t n = names->topology ? topology_n_switches(names->topology) : 0;

    for (size_t i = 0; i < n; i++) {
        nearest_try(nearest, topology_switch_at(names->topology, i)->name);
    }
}

/* Whether a filter names a switch or a port. */
static bool
has_names(const char *text)
{
    /* In which nothing has a name. */
    struct topology *none = topology_build(topology_builder_create(), 0);
    struct phf *phf;
    bool has = phf_compile(text, none, &phf, NULL) != 0;

    if (!has) {
        phf_destroy(phf);
    }
    topology_unref(none);
    return has;
}

const char *
app_names_why_none(const struct topology *topology, const char *phf)
{
    if (!phf || (topology && topology_n_switches(topology)) ||
        !has_names(phf)) {
        return NULL;
    }
    return "no topology is known, so names of switches and ports match "
           "nothing; numbers do";
}

int
app_names_find_switch(const struct app_names *names, const char *text,
                      uint64_t *dpid, struct lh_error *error)
{
    struct name_miss miss = name_miss_init(text);
    const struct topology_switch *sw =
        names->topology ? topology_find_name(names->topology, text) : NULL;

    if (sw) {
        *dpid = sw->dpid;
        return 0;
    }
    if (dpid_from_string(text, dpid)) {
        return 0;
    }
    name_miss_try_switches(&miss, names->topology);
    name_miss_set(&miss, "switch", error);
    return ENOENT;
}

int
app_names_find_port(const struct app_names *names, uint64_t dpid,
                    const char *text, uint32_t *port, struct lh_error *error)
{
    const struct topology_switch *sw =
        names->topology ? topology_find(names->topology, dpid) : NULL;
    struct name_miss miss = name_miss_init(text);

    if ((names->topology &&
         topology_port_by_name(names->topology, dpid, text, port)) ||
        of_port_from_string(text, port)) {
        return 0;
    }
    name_miss_try_ports(&miss, sw);
    name_miss_set(&miss, "port", error);
    return ENOENT;
}

/* --- the whole ----------------------------------------------------------- */

int
app_names_create(const char *hosts, struct app_names **namesp,
                 struct lh_error *error)
{
    struct app_names *names = lh_alloc_zero(sizeof *names);
    int retval = hosts ? read_hosts(names, hosts, error) : 0;

    if (retval) {
        app_names_destroy(names);
        names = NULL;
    }
    *namesp = names;
    return retval;
}

void
app_names_destroy(struct app_names *names)
{
    if (!names) {
        return;
    }
    for (size_t i = 0; i < names->n_hosts; i++) {
        free(names->hosts[i].name);
    }
    free(names->hosts);
    topology_unref(names->topology);
    free(names);
}

void
app_names_set_topology(struct app_names *names,
                       const struct topology *topology)
{
    struct topology *old = names->topology;

    names->topology = topology ? topology_ref(topology) : NULL;
    topology_unref(old);
}

const struct topology *
app_names_topology(const struct app_names *names)
{
    return names->topology;
}
