/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_words - finds the words of a BPF expression that libpcap would take for
 * the name of a host or network. */
#include <config.h>
#include "phf/bpf_words.h"

#include <string.h>

/* What pcap-filter(7) gives a meaning on Ethernet, in the order of strcmp()
 * within each first letter being of no importance: the list is short. */
static const char *const words[] = {
    "aarp", "ah", "and", "arp", "atalk", "broadcast", "byte", "carp", "clnp",
    "csnp", "decnet", "dst", "es-is", "esis", "esp", "ether", "fddi", "geneve",
    "greater", "icmp", "icmp6", "icmp6code", "icmp6type", "icmpcode",
    "icmptype", "ifindex", "igmp", "igrp", "iih", "inbound", "ip", "ip6",
    "ipx", "is-is", "isis", "iso", "l1", "l2", "lat", "len", "length", "less",
    "link", "llc", "lsp", "mask", "mopdl", "moprc", "mpls", "multicast",
    "netbeui", "not", "or", "outbound", "pim", "pppoed", "pppoes", "psnp",
    "rarp", "sca", "sctp", "snp", "src", "stp", "tcp", "tcpflags", "tr", "udp",
    "vlan", "vrrp", "wlan",
    /* Values of tcp[tcpflags]. */
    "tcp-ack", "tcp-cwr", "tcp-ece", "tcp-fin", "tcp-push", "tcp-rst",
    "tcp-syn", "tcp-urg",
    /* Values of icmp[icmptype]. */
    "icmp-echo", "icmp-echoreply", "icmp-ireq", "icmp-ireqreply",
    "icmp-maskreply", "icmp-maskreq", "icmp-paramprob", "icmp-redirect",
    "icmp-routeradvert", "icmp-routersolicit", "icmp-sourcequench",
    "icmp-timxceed", "icmp-tstamp", "icmp-tstampreply", "icmp-unreach",
    /* Values of icmp6[icmp6type]. */
    "icmp6-certpathadvert", "icmp6-certpathsolicit",
    "icmp6-destinationrunreach", "icmp6-echo", "icmp6-echoreply",
    "icmp6-homeagentdiscoveryreply", "icmp6-homeagentdiscoveryrequest",
    "icmp6-ineighbordiscoveryadvert", "icmp6-ineighbordiscoverysolicit",
    "icmp6-mobileprefixadvert", "icmp6-mobileprefixsolicit",
    "icmp6-multicastlistenerdone", "icmp6-multicastlistenerquery",
    "icmp6-multicastlistenerreportv1", "icmp6-multicastlistenerreportv2",
    "icmp6-multicastrouteradvert", "icmp6-multicastroutersolicit",
    "icmp6-multicastrouterterm", "icmp6-neighboradvert",
    "icmp6-neighborsolicit", "icmp6-nodeinformationquery",
    "icmp6-nodeinformationresponse", "icmp6-packettoobig",
    "icmp6-parameterproblem", "icmp6-redirect", "icmp6-routeradvert",
    "icmp6-routerrenum", "icmp6-routersolicit", "icmp6-timeexceeded"};

/* After these a word is the name of a host, network or machine. */
static const char *const host_words[] = {"dst", "gateway", "host", "net",
                                         "src"};

/* After these it is the name of a service or protocol. */
static const char *const local_words[] = {"port", "portrange", "proto",
                                          "protochain"};

static bool
is_in(const char *const *list, size_t n, const char *s, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(list[i]) == len && !memcmp(list[i], s, len)) {
            return true;
        }
    }
    return false;
}

#define IS_IN(LIST, S, LEN) is_in(LIST, sizeof LIST / sizeof *LIST, S, LEN)

static bool
is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

/* The bytes at 's' up to the first that is in neither class. */
static size_t
span(const char *s, size_t len, const char *more, bool hex_only)
{
    size_t i;

    for (i = 0; i < len; i++) {
        bool is_hex = s[i] && strchr("0123456789abcdefABCDEF", s[i]);

        if (!(hex_only ? is_hex : is_alnum(s[i])) &&
            !(s[i] && strchr(more, s[i]))) {
            break;
        }
    }
    return i;
}

static bool
is_number(const char *s, size_t len)
{
    size_t n_hex = 0;
    bool digits_only = true;

    if (len > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        return span(s + 2, len - 2, "", true) == len - 2;
    }
    for (size_t i = 0; i < len; i++) {
        n_hex += span(s + i, 1, "", true);
        digits_only = digits_only && s[i] && strchr("0123456789.-", s[i]);
    }
    /* Numbers, dotted quads and ranges; or a MAC with dots or dashes. */
    return digits_only || (n_hex == 12 && span(s, len, ".-", true) == len);
}

bool
bpf_words_has_name(const char *text, size_t len, size_t *ofs, size_t *word_len)
{
    bool is_local = false;    /* Words here are services or protocols. */
    bool is_llc_kind = false; /* The word before was "llc". */
    size_t i = 0;

    while (i < len) {
        const char *s = text + i;
        size_t n = span(s, len - i, ":.", true);

        if (n && memchr(s, ':', n) && is_alnum(s[0]) &&
            span(s, len - i, "_.:-", false) == n) {
            i += n; /* An IPv6 address, a MAC, or "offset:size". */
            continue;
        }
        n = span(s, len - i, "_.-", false);
        if (!n || !is_alnum(s[0])) {
            i++;
            continue;
        }
        if (IS_IN(local_words, s, n)) {
            is_local = true;
        } else if (IS_IN(host_words, s, n)) {
            is_local = false;
        } else if (!IS_IN(words, s, n) && !is_number(s, n) && !is_local &&
                   !is_llc_kind) {
            *ofs = i;
            *word_len = n;
            return true;
        }
        is_llc_kind = n == 3 && !memcmp(s, "llc", 3);
        i += n;
    }
    return false;
}
