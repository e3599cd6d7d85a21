/* SPDX-License-Identifier: Apache-2.0 */
/* bpf - one BPF expression, compiled for Ethernet: the door to libpcap. */
#include <config.h>
#include "phf/bpf.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <pcap/pcap.h>

#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "phf/bpf_words.h"

/* What the compiled program takes for the longest packet. */
#define SNAPLEN 65535

struct bpf_test {
    atomic_uint n_refs;
    struct bpf_program program; /* Owned; bf_insns NULL before it is made. */
    bool has_length;            /* It loads the length of the packet. */
    char text[];                /* As given. */
};

static int
compile(const char *text, struct bpf_program *program, struct lh_error *error)
{
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
    int retval = 0;

    if (!pcap) {
        lh_error_set_at(error, 0, "BPF: libpcap has no memory");
        return EINVAL;
    }
    if (pcap_compile(pcap, program, text, 1, PCAP_NETMASK_UNKNOWN)) {
        lh_error_set_at(error, 0, "BPF: %s", pcap_geterr(pcap));
        retval = EINVAL;
    }
    pcap_close(pcap);
    return retval;
}

static bool
loads_length(const struct bpf_program *program)
{
    for (unsigned int i = 0; i < program->bf_len; i++) {
        unsigned int code = program->bf_insns[i].code;

        if (code == (BPF_LD | BPF_W | BPF_LEN) ||
            code == (BPF_LDX | BPF_W | BPF_LEN)) {
            return true;
        }
    }
    return false;
}

int
bpf_test_create(const char *text, size_t len, bool is_negated,
                struct bpf_test **testp, struct lh_error *error)
{
    struct bpf_test *test;
    size_t ofs, word_len;
    int retval;

    *testp = NULL;
    if (bpf_words_has_name(text, len, &ofs, &word_len)) {
        lh_error_set_at(error, (int) ofs,
                        "BPF: \"%.*s\" is neither a word of BPF nor an "
                        "address (names of hosts are not looked up)",
                        (int) word_len, text + ofs);
        return EINVAL;
    }
    test = lh_alloc(sizeof *test + len + 1);
    atomic_init(&test->n_refs, 1);
    memset(&test->program, 0, sizeof test->program);
    memcpy(test->text, text, len);
    test->text[len] = '\0';
    retval = compile(test->text, &test->program, error);
    if (!retval && is_negated) {
        char *negated = lh_asprintf("not (%s)", test->text);

        pcap_freecode(&test->program);
        memset(&test->program, 0, sizeof test->program);
        retval = compile(negated, &test->program, error);
        free(negated);
    }
    if (retval) {
        bpf_test_unref(test);
        return retval;
    }
    test->has_length = loads_length(&test->program);
    *testp = test;
    return 0;
}

struct bpf_test *
bpf_test_ref(struct bpf_test *test)
{
    atomic_fetch_add_explicit(&test->n_refs, 1, memory_order_relaxed);
    return test;
}

void
bpf_test_unref(struct bpf_test *test)
{
    if (test && atomic_fetch_sub_explicit(&test->n_refs, 1,
                                          memory_order_acq_rel) == 1) {
        pcap_freecode(&test->program);
        free(test);
    }
}

static unsigned int
own_length(const uint8_t *header, size_t caplen)
{
    struct hdr h;
    size_t len = caplen;

    hdr_parse(header, caplen, &h);
    if (h.l3_ofs && h.own_len) {
        len = (size_t) h.l3_ofs + h.own_len;
    }
    return (unsigned int) (len > caplen ? len : caplen);
}

bool
bpf_test_run(const struct bpf_test *test, const uint8_t *header, size_t caplen)
{
    unsigned int wirelen = (unsigned int) caplen;

    if (!caplen) {
        return false;
    }
    if (test->has_length) {
        wirelen = own_length(header, caplen);
    }
    return bpf_filter(test->program.bf_insns, header, wirelen,
                      (unsigned int) caplen) != 0;
}

const char *
bpf_test_text(const struct bpf_test *test)
{
    return test->text;
}

size_t
bpf_test_length(const struct bpf_test *test)
{
    return test->program.bf_len;
}
