/* SPDX-License-Identifier: Apache-2.0 */
/* Which words of a BPF expression are names of hosts. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "phf/bpf_words.h"

static const struct {
    const char *text;
    const char *name; /* NULL: there is none. */
} rows[] = {
    {"", NULL},
    {"ip", NULL},
    {"ip and not (tcp or udp)", NULL},
    {"host 10.0.0.1", NULL},
    {"host 10.1", NULL},
    {"net 10.0.0.0 mask 255.0.0.0", NULL},
    {"net 10.0.0.0/8", NULL},
    {"host 2001:db8::1", NULL},
    {"host ::1", NULL},
    {"host fe80::1 or dst abcd:ef01::", NULL},
    {"ether host aa:bb:cc:dd:ee:ff", NULL},
    {"ether host aabb.ccdd.eeff", NULL},
    {"ether host aa-bb-cc-dd-ee-ff", NULL},
    {"tcp port http or domain", NULL},
    {"udp portrange 1-1024", NULL},
    {"udp portrange ftp-data-http", NULL},
    {"ip proto \\icmp", NULL},
    {"ip protochain \\tcp", NULL},
    {"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", NULL},
    {"icmp[icmptype] = icmp-echo", NULL},
    {"icmp6[icmp6type] == icmp6-neighborsolicit", NULL},
    {"ip[2:2] > 0x40 && ether[0] & 1 = 0", NULL},
    {"vlan 5 and mpls 7 and geneve 1 and pppoes 2", NULL},
    {"llc u", NULL},
    {"len <= 100", NULL},
    {"foo", "foo"},
    {"host foo", "foo"},
    {"host foo.example.com and ip", "foo.example.com"},
    {"ip and dst host a-b", "a-b"},
    {"src 1foo", "1foo"},
    {"host dead.beef", "dead.beef"},
    {"net loopback", "loopback"},
    {"gateway snup", "snup"},
    {"tcp port http and host domain", "domain"},
    {"port 80 or src ssh", "ssh"},
    {"tpc port 80", "tpc"},
    {"llc u or foo", "foo"},
    {"IP", "IP"},
    {"ether host aa-bb-cc-dd-ee", "aa-bb-cc-dd-ee"},
    {"host foo:bar", "foo"},
};

START_TEST(names)
{
    size_t ofs = 0, len = 0;
    bool found =
        bpf_words_has_name(rows[_i].text, strlen(rows[_i].text), &ofs, &len);

    ck_assert_msg(found == (rows[_i].name != NULL), "%s: %.*s", rows[_i].text,
                  (int) len, rows[_i].text + ofs);
    if (found) {
        ck_assert_uint_eq(len, strlen(rows[_i].name));
        ck_assert_mem_eq(rows[_i].text + ofs, rows[_i].name, len);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bpf_words");
    TCase *tcase = tcase_create("bpf_words");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_loop_test(tcase, names, 0, sizeof rows / sizeof *rows);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
