/* SPDX-License-Identifier: Apache-2.0 */
/* invariant_members - who a line of an invariant file names. */
#include <config.h>
#include "apps/invariant_members.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "lib/nearest.h"
#include "lib/of_port.h"

/* Longest word that is looked at as a name or an address. */
#define MAX_WORD 120

#define MEMBERS                                                               \
    "an address, a network, SWITCH:PORT, \"vlan N\", or the name of a group " \
    "or a host"

int
invariant_members_unexpected(const struct invariant_lexer *lexer,
                             const char *what, struct lh_error *error)
{
    const struct invariant_token *token = &lexer->token;
    int pos = (int) token->pos, len = token->len < 60 ? (int) token->len : 60;

    switch (token->kind) {
    case INVARIANT_END:
        lh_error_set_at(error, pos, "the line ends where %s is expected",
                        what);
        break;
    case INVARIANT_UNENDED:
        lh_error_set_at(error, pos, "a second \" is missing");
        break;
    case INVARIANT_WORD:
    case INVARIANT_STRING:
    case INVARIANT_MARK:
        lh_error_set_at(error, pos, "\"%.*s\" stands where %s is expected",
                        len, token->text, what);
        break;
    }
    return EINVAL;
}

/* The present token, which is a word or a string, as a text; EINVAL if it is
 * none or too long. */
static int
take_text(const struct invariant_lexer *lexer, const char *what,
          char text[MAX_WORD + 1], struct lh_error *error)
{
    const struct invariant_token *token = &lexer->token;

    if ((token->kind != INVARIANT_WORD && token->kind != INVARIANT_STRING) ||
        !token->len) {
        return invariant_members_unexpected(lexer, what, error);
    }
    if (token->len > MAX_WORD) {
        lh_error_set_at(error, (int) token->pos,
                        "this is longer than %d bytes", MAX_WORD);
        return EINVAL;
    }
    memcpy(text, token->text, token->len);
    text[token->len] = '\0';
    return 0;
}

/* --- addresses ----------------------------------------------------------- */

static bool
is_mac(const char *text)
{
    for (int i = 0; i < 6; i++) {
        if (!isxdigit((unsigned char) text[0]) ||
            !isxdigit((unsigned char) text[1]) ||
            text[2] != (i < 5 ? ':' : '\0')) {
            return false;
        }
        text += 3;
    }
    return true;
}

/* Reads the decimal number 'text' up to 'max', of digits only. */
static bool
read_number(const char *text, unsigned int max, unsigned int *n)
{
    size_t len = strspn(text, "0123456789");

    *n = len && len < 7 ? (unsigned int) strtoul(text, NULL, 10) : 0;
    return len && len < 7 && !text[len] && *n <= max;
}

/* "10.0.1.0/24".  0, or EINVAL with the reason at 'pos'. */
static int
check_net(const char *text, int pos, struct lh_error *error)
{
    char address[MAX_WORD + 1], masked[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    uint8_t bytes[16], before[16];
    unsigned int size = family == AF_INET ? 4 : 16, len;

    memcpy(address, text, (size_t) (slash - text));
    address[slash - text] = '\0';
    if (inet_pton(family, address, bytes) != 1 ||
        !read_number(slash + 1, size * 8, &len)) {
        lh_error_set_at(error, pos,
                        "\"%s\" is no network; 10.0.1.0/24 and "
                        "2001:db8::/32 are",
                        text);
        return EINVAL;
    }
    memcpy(before, bytes, sizeof before);
    for (unsigned int i = 0; i < size; i++) {
        unsigned int n = len > i * 8 ? len - i * 8 : 0;

        bytes[i] &= (uint8_t) (n >= 8 ? 0xff : 0xff00 >> n);
    }
    if (memcmp(before, bytes, size)) {
        inet_ntop(family, bytes, masked, sizeof masked);
        lh_error_set_at(error, pos,
                        "%s has bits set behind its length; is %s/%u or the "
                        "host %s meant?",
                        text, masked, len, address);
        return EINVAL;
    }
    return 0;
}

/* Adds 'text' if it is an address of some kind.  0, ENOENT if it is none, or
 * EINVAL with the reason. */
static int
add_address(struct invariant_set *set, const char *text, int pos,
            struct lh_error *error)
{
    uint8_t bytes[16];

    if (strchr(text, '/')) {
        int retval = check_net(text, pos, error);

        if (!retval) {
            invariant_set_add(set, INVARIANT_NET, text, NULL);
        }
        return retval;
    }
    if (inet_pton(AF_INET, text, bytes) == 1 ||
        inet_pton(AF_INET6, text, bytes) == 1) {
        invariant_set_add(set, INVARIANT_HOST, text, NULL);
    } else if (is_mac(text)) {
        invariant_set_add(set, INVARIANT_MAC, text, NULL);
    } else {
        return ENOENT;
    }
    return 0;
}

/* --- switches and ports -------------------------------------------------- */

/* A name as filters take it: in quotes where it could be taken for something
 * else. */
static char *
quoted(const char *name)
{
    uint64_t dpid;
    uint32_t port;
    bool is_plain = isalpha((unsigned char) *name) && strcmp(name, "not") &&
                    !dpid_from_string(name, &dpid) &&
                    !of_port_from_string(name, &port);

    for (const char *c = name; *c && is_plain; c++) {
        is_plain = isalnum((unsigned char) *c) || strchr("_.-", *c);
    }
    return lh_asprintf(is_plain ? "%s" : "\"%s\"", name);
}

static const struct topology *
topology_of(const struct app_names *names)
{
    return names ? app_names_topology(names) : NULL;
}

/* The switch 'text' as filters take it, for free(), or NULL with the reason.
 * Without a topology '*dpid' is 0. */
static char *
find_switch(const struct app_names *names, const char *text, int pos,
            uint64_t *dpid, struct lh_error *error)
{
    const struct topology *topology = topology_of(names);

    *dpid = 0;
    if (topology && app_names_find_switch(names, text, dpid, error)) {
        if (error) {
            error->pos = pos;
        }
        return NULL;
    }
    if ((topology && topology_find_name(topology, text)) ||
        !dpid_from_string(text, dpid)) {
        return quoted(text);
    }
    return lh_strdup(text);
}

/* "s1:2", with the colon at 'colon'. */
static int
add_port(struct invariant_set *set, const struct app_names *names, char *text,
         char *colon, int pos, struct lh_error *error)
{
    const char *name = colon + 1;
    char *sw, *port;
    uint64_t dpid;
    uint32_t no;

    *colon = '\0';
    sw = find_switch(names, text, pos, &dpid, error);
    if (!sw) {
        return EINVAL;
    }
    if (topology_of(names) &&
        app_names_find_port(names, dpid, name, &no, error)) {
        lh_error_prefix(error, "switch %s", text);
        if (error) {
            error->pos = pos;
        }
        free(sw);
        return EINVAL;
    }
    port = of_port_from_string(name, &no) ? lh_strdup(name) : quoted(name);
    invariant_set_add(set, INVARIANT_PORT, sw, port);
    free(port);
    free(sw);
    return 0;
}

int
invariant_members_read_switch(struct invariant_lexer *lexer,
                              const struct app_names *names, char **sw,
                              struct lh_error *error)
{
    char text[MAX_WORD + 1];
    uint64_t dpid;

    *sw = NULL;
    if (take_text(lexer, "a switch", text, error)) {
        return EINVAL;
    }
    *sw = find_switch(names, text, (int) lexer->token.pos, &dpid, error);
    if (!*sw) {
        return EINVAL;
    }
    invariant_lexer_next(lexer);
    return 0;
}

/* --- members ------------------------------------------------------------- */

/* A bare name: of a group, a host or a switch, in this order. */
static int
add_name(struct invariant_set *set, const struct invariant_file *file,
         const struct app_names *names, const char *text, int pos,
         struct lh_error *error)
{
    struct nearest nearest = nearest_init(text);
    const struct topology *topology = topology_of(names);
    const char *address;
    uint64_t dpid;

    for (size_t i = 0; i < file->n_groups; i++) {
        if (!strcmp(file->groups[i].name, text)) {
            invariant_set_add_set(set, &file->groups[i].set);
            return 0;
        }
        nearest_try(&nearest, file->groups[i].name);
    }
    for (size_t i = 0; names && (address = app_names_address(names, text, i));
         i++) {
        if (add_address(set, address, pos, error)) {
            return EINVAL;
        }
    }
    if (names && app_names_address(names, text, 0)) {
        return 0;
    }
    if (!topology || topology_find_name(topology, text) ||
        dpid_from_string(text, &dpid)) {
        char *sw = find_switch(names, text, pos, &dpid, error);

        if (!sw) {
            return EINVAL;
        }
        invariant_set_add(set, INVARIANT_SWITCH, sw, NULL);
        free(sw);
        return 0;
    }
    if (names) {
        app_names_try_hosts(names, &nearest);
        app_names_try_switches(names, &nearest);
    }
    lh_error_set_at(error, pos,
                    "there is no group, host or switch \"%s\"%s%s%s", text,
                    nearest_name(&nearest) ? "; is \"" : "",
                    nearest_name(&nearest) ? nearest_name(&nearest) : "",
                    nearest_name(&nearest) ? "\" meant?" : "");
    return EINVAL;
}

static int
read_vlan(struct invariant_lexer *lexer, struct invariant_set *set,
          struct lh_error *error)
{
    char text[MAX_WORD + 1], number[8];
    unsigned int vlan;

    invariant_lexer_next(lexer);
    if (take_text(lexer, "the number of a VLAN", text, error)) {
        return EINVAL;
    }
    if (!read_number(text, 4095, &vlan)) {
        return invariant_members_unexpected(
            lexer, "the number of a VLAN, 0 to 4095,", error);
    }
    snprintf(number, sizeof number, "%u", vlan);
    invariant_set_add(set, INVARIANT_VLAN, number, NULL);
    return 0;
}

static int
read_member(struct invariant_lexer *lexer, const struct invariant_file *file,
            const struct app_names *names, struct invariant_set *set,
            struct lh_error *error)
{
    char text[MAX_WORD + 1], *colon;
    int pos = (int) lexer->token.pos, retval;

    if (invariant_lexer_is(lexer, "vlan")) {
        retval = read_vlan(lexer, set, error);
    } else if (take_text(lexer, MEMBERS, text, error)) {
        return EINVAL;
    } else {
        retval = add_address(set, text, pos, error);
        colon = strrchr(text, ':');
        if (retval == ENOENT && colon && colon != text && colon[1]) {
            retval = add_port(set, names, text, colon, pos, error);
        } else if (retval == ENOENT) {
            retval = add_name(set, file, names, text, pos, error);
        }
    }
    if (!retval && set->n > INVARIANT_FILE_MAX_MEMBERS) {
        lh_error_set_at(error, pos, "more than %d members",
                        INVARIANT_FILE_MAX_MEMBERS);
        retval = EINVAL;
    }
    if (!retval) {
        invariant_lexer_next(lexer);
    }
    return retval;
}

int
invariant_members_read(struct invariant_lexer *lexer,
                       const struct invariant_file *file,
                       const struct app_names *names,
                       struct invariant_set *set, struct lh_error *error)
{
    size_t begin = lexer->token.pos;
    int retval;

    if (invariant_lexer_is(lexer, "any")) {
        invariant_lexer_next(lexer);
        return 0;
    }
    retval = read_member(lexer, file, names, set, error);
    while (!retval && invariant_lexer_is_mark(lexer, ',')) {
        invariant_lexer_next(lexer);
        retval = read_member(lexer, file, names, set, error);
    }
    if (retval) {
        invariant_set_uninit(set);
    } else {
        set->text = lh_asprintf("%.*s", (int) (lexer->last_end - begin),
                                lexer->text + begin);
    }
    return retval;
}
