/* SPDX-License-Identifier: Apache-2.0 */
/* test_hdr_traces - the parser, the packet ID and the texts over real traffic:
 * every capture in $LASTHOP_DATA (default ../shared/data beside the sources),
 * which its MANIFEST.tsv lists with what other tools counted in it. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "lib/hdr.h"
#include "lib/packet_id.h"
#include "lib/rule.h"

#define MAX_LINE   65536
#define N_COLUMNS  20
#define COL_FILE   0
#define COL_N      6
#define COL_LINK   16
#define COL_COUNTS 18
#define EDIT_ROOM  16

/* TCP and UDP count where their header is, not in later fragments. */
struct counts {
    uint64_t n, ip4, ip6, arp, tcp, udp, vlan, n_ids, n_short;
};

static char data_dir[4096];

/* A rule that does what forwarding does: NAT of IPv4 and IPv6, TTL, DSCP, a
 * tag. */
static struct rule *
nat_rule(void)
{
    static const uint8_t bytes[16] = {0xc0, 0, 2, 1, 9, 9, 9, 9,
                                      9,    9, 9, 9, 9, 9, 9, 9};
    static const enum step_field fields[] = {
        FIELD_ETH_SRC,  FIELD_ETH_DST,  FIELD_IPV4_SRC, FIELD_IPV4_DST,
        FIELD_IPV6_SRC, FIELD_IPV6_DST, FIELD_TP_SRC,   FIELD_TP_DST,
        FIELD_IP_DSCP,  FIELD_IP_TTL,   FIELD_VLAN_VID, FIELD_IPV6_LABEL,
    };
    struct rule *rule = rule_create();

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        rule_add_set(rule, fields[i], bytes, NULL);
    }
    return rule;
}

static void
check_offsets(const uint8_t *data, size_t len, const struct hdr *h)
{
    size_t ofs;
    uint16_t type;
    uint32_t id;

    ck_assert_uint_le(h->payload_ofs, len);
    ck_assert_uint_le((size_t) h->l3_ofs + h->l3_len, len);
    ck_assert_uint_le((size_t) h->l4_ofs + h->l4_len, len);
    if (hdr_inner(data, len, h, &ofs, &type, &id) != HDR_TUNNEL_NONE) {
        struct hdr inner;

        ck_assert_uint_lt(ofs, len);
        if (type) {
            hdr_parse_l3(data + ofs, len - ofs, type, &inner);
        } else {
            hdr_parse(data + ofs, len - ofs, &inner);
        }
        ck_assert_uint_le(inner.payload_ofs, len - ofs);
    }
}

static void
check_id(const struct rule *rule, const uint8_t *data, size_t len,
         const struct hdr *h, struct counts *counts)
{
    static const struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    uint8_t *edited = malloc(len + EDIT_ROOM);
    size_t edited_len;
    struct hdr edited_h;
    uint64_t id, edited_id;
    enum packet_id_result result = packet_id(&config, data, len, h, &id);

    ck_assert_int_eq(result == PACKET_ID_SHORT, id == 0);
    counts->n_short += result == PACKET_ID_SHORT;
    counts->n_ids += result != PACKET_ID_SHORT;
    ck_assert_int_eq(rule_apply(rule, SIZE_MAX, data, len, edited,
                                len + EDIT_ROOM, &edited_len),
                     RULE_APPLY_OK);
    hdr_parse(edited, edited_len, &edited_h);
    if (result == PACKET_ID_OK && edited_len >= len &&
        edited_h.n_tags == h->n_tags + (h->n_tags ? 0 : 1)) {
        ck_assert_int_eq(
            packet_id(&config, edited, edited_len, &edited_h, &edited_id),
            PACKET_ID_OK);
        ck_assert_uint_eq(edited_id, id);
    }
    free(edited);
}

static void
check_packet(const struct rule *rule, const uint8_t *captured, size_t len,
             struct counts *counts)
{
    uint8_t *data = malloc(len + 1);
    char text[1024];
    struct hdr h;

    /* In memory that ends where the capture does. */
    data = realloc(data, len ? len : 1);
    memcpy(data, captured, len);
    hdr_parse(data, len, &h);
    check_offsets(data, len, &h);
    check_id(rule, data, len, &h, counts);
    ck_assert_uint_gt(hdr_format(data, len, text, sizeof text), 0);
    ck_assert_uint_eq(hdr_format_diff(data, len, data, len, text, sizeof text),
                      0);
    counts->n++;
    counts->ip4 += h.is_ip4;
    counts->ip6 += h.is_ip6;
    counts->arp += h.is_arp;
    counts->vlan += h.n_tags > 0;
    counts->tcp +=
        (h.is_ip4 || h.is_ip6) && h.ip_proto == HDR_IP_TCP && !h.frag_ofs;
    counts->udp +=
        (h.is_ip4 || h.is_ip6) && h.ip_proto == HDR_IP_UDP && !h.frag_ofs;
    free(data);
}

/* A temporary file with what is compressed in 'path'. */
static FILE *
decompress(const char *path)
{
    FILE *in = fopen(path, "rb"), *out = tmpfile();
    size_t in_size = ZSTD_DStreamInSize(), out_size = ZSTD_DStreamOutSize();
    char *in_buf = malloc(in_size), *out_buf = malloc(out_size);
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer input = {in_buf, 0, 0};

    ck_assert_msg(in && out, "%s: %s", path, strerror(errno));
    while ((input.size = fread(in_buf, 1, in_size, in)) > 0) {
        for (input.pos = 0; input.pos < input.size;) {
            ZSTD_outBuffer output = {out_buf, out_size, 0};
            size_t retval = ZSTD_decompressStream(stream, &output, &input);

            ck_assert_msg(!ZSTD_isError(retval), "%s: %s", path,
                          ZSTD_getErrorName(retval));
            ck_assert_uint_eq(fwrite(out_buf, 1, output.pos, out), output.pos);
        }
    }
    rewind(out);
    ZSTD_freeDStream(stream);
    free(in_buf);
    free(out_buf);
    fclose(in);
    return out;
}

static bool
ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && !strcmp(text + len - end_len, end);
}

static struct counts
read_trace(const char *name)
{
    struct counts counts = {0};
    struct rule *rule = nat_rule();
    char path[8192], reason[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const u_char *data;
    pcap_t *pcap;
    int retval;

    snprintf(path, sizeof path, "%s/%s", data_dir, name);
    if (ends_with(name, ".zst")) {
        pcap = pcap_fopen_offline(decompress(path), reason);
    } else {
        pcap = pcap_open_offline(path, reason);
    }
    ck_assert_msg(pcap != NULL, "%s: %s", path, reason);
    ck_assert_int_eq(pcap_datalink(pcap), DLT_EN10MB);
    while ((retval = pcap_next_ex(pcap, &header, &data)) == 1) {
        check_packet(rule, data, header->caplen, &counts);
    }
    /* One capture was cut on purpose. */
    ck_assert_msg(retval == PCAP_ERROR_BREAK || strstr(name, "file-cut"),
                  "%s: %s", path, pcap_geterr(pcap));
    pcap_close(pcap);
    rule_unref(rule);
    return counts;
}

/* What the manifest says was counted under 'name' ("tcp:2011 ip4:2011"). */
static uint64_t
manifest_count(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = text; p; p = strchr(p, ' ')) {
        p += *p == ' ';
        if (!strncmp(p, name, len) && p[len] == ':') {
            return strtoull(p + len + 1, NULL, 10);
        }
    }
    return 0;
}

/* Where we count otherwise than the manifest does, and why. */
static const struct {
    const char *name;
    struct counts counts; /* ip4, ip6, arp, tcp, udp. */
} exceptions[] = {
    /* 121 super-frames of TSO have an IPv4 total length of 0. */
    {"large/enterprise-apt29-utica-s128.pcap",
     {.ip4 = 5132, .tcp = 5036, .udp = 96}},
    /* A version of 0; a total length shorter than the header. */
    {"small/malf__PcapPlusPlus__ipv4-malformed.pcap", {.ip4 = 0}},
    {"small/malf__zeek__383379789-decrypt-crash.pcap", {.ip4 = 2}},
    /* PPPoE is not looked into. */
    {"small/pppoe__mercury__pppoe_double_vlan_tagging.pcap", {.ip6 = 392}},
    {"small/pppoe__nDPI__discord_mid_flow.pcap", {.ip4 = 0}},
    /* More than HDR_MAX_TAGS tags. */
    {"small/qinq__trex-core__hlt_4vlans.pcap", {.ip4 = 0}},
    {"small/qinq__skydive__icmpv4-4vlanQinQ-id-8-10-20-30.pcap",
     {.ip4 = 57, .arp = 12}},
    /* Behind SNAP headers there is IP and ARP. */
    {"small/snap__libtrace__vlan.pcap",
     {.ip4 = 230, .arp = 9, .tcp = 185, .udp = 15}},
    {"small/snap__zeek__snap-tcp.pcap", {.ip4 = 8, .tcp = 8}},
    /* All of the above, mixed. */
    {"campus-mix-dev.pcap.zst",
     {.ip4 = 254395, .ip6 = 12932, .arp = 1659, .tcp = 207699, .udp = 48547}},
};

static struct counts
expected_counts(char *columns[N_COLUMNS])
{
    const char *said = columns[COL_COUNTS];

    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++) {
        if (!strcmp(columns[COL_FILE], exceptions[i].name)) {
            return exceptions[i].counts;
        }
    }
    return (struct counts){
        .ip4 = manifest_count(said, "ip4"),
        .ip6 = manifest_count(said, "ip6"),
        .arp = manifest_count(said, "arp"),
        .tcp = manifest_count(said, "tcp"),
        .udp = manifest_count(said, "udp"),
    };
}

static void
check_count(const char *file, const char *what, uint64_t got, uint64_t want)
{
    ck_assert_msg(got == want, "%s: %" PRIu64 " %s, not %" PRIu64, file, got,
                  what, want);
}

static void
check_trace(char *columns[N_COLUMNS])
{
    const char *file = columns[COL_FILE], *said = columns[COL_COUNTS];
    struct counts want = expected_counts(columns);
    struct counts got = read_trace(file);

    check_count(file, "packets", got.n, strtoull(columns[COL_N], NULL, 10));
    check_count(file, "with or without ID", got.n_ids + got.n_short, got.n);
    check_count(file, "ip4", got.ip4, want.ip4);
    check_count(file, "ip6", got.ip6, want.ip6);
    check_count(file, "arp", got.arp, want.arp);
    check_count(file, "tcp", got.tcp, want.tcp);
    check_count(file, "udp", got.udp, want.udp);
    check_count(file, "tagged", got.vlan,
                manifest_count(said, "vlan") + manifest_count(said, "qinq"));
}

START_TEST(traces_are_read_as_others_read_them)
{
    static char line[MAX_LINE];
    char path[8192];
    size_t n_traces = 0;

    snprintf(path, sizeof path, "%s/MANIFEST.tsv", data_dir);

    FILE *file = fopen(path, "r");

    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file)) {
        char *columns[N_COLUMNS] = {NULL};
        char *rest = line;

        for (size_t i = 0; i < N_COLUMNS && rest; i++) {
            columns[i] = strsep(&rest, "\t");
        }
        if (columns[COL_COUNTS] && !strcmp(columns[COL_LINK], "EN10MB")) {
            check_trace(columns);
            n_traces++;
        }
    }
    fclose(file);
    ck_assert_uint_gt(n_traces, 0);
}
END_TEST

int
main(void)
{
    const char *srcdir = getenv("srcdir");
    const char *data = getenv("LASTHOP_DATA");

    if (data) {
        snprintf(data_dir, sizeof data_dir, "%s", data);
    } else {
        snprintf(data_dir, sizeof data_dir, "%s/../shared/data",
                 srcdir ? srcdir : ".");
    }
    if (access(data_dir, R_OK)) {
        printf("no traces in %s (LASTHOP_DATA): skipped\n", data_dir);
        return 77;
    }

    Suite *suite = suite_create("hdr_traces");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, traces_are_read_as_others_read_them);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
