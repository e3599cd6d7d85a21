/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes pcap_file: what it reads, libpcap reads the same; both end at the
 * same frame. */
#include <config.h>

#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/pcap_file.h"
#include "tests/fuzz/fuzz.h"

static void
must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

/* libpcap takes the 32 bits of the seconds, and of their fraction, as signed;
 * the format has them unsigned. */
static bool
is_same_time(uint64_t time_ns, const struct timeval *tv)
{
    uint64_t theirs =
        (uint64_t) tv->tv_sec * 1000000000u + (uint64_t) tv->tv_usec;

    return tv->tv_sec < 0 || tv->tv_usec < 0 || theirs == time_ns;
}

static void
compare(pcap_t *pcap, struct pcap_file *file)
{
    struct pcap_pkthdr *header;
    struct lh_error error = {.text = ""};
    const u_char *data;
    int theirs, ours;

    do {
        struct pcap_file_frame frame;

        theirs = pcap_next_ex(pcap, &header, &data);
        ours = pcap_file_next(file, &frame, &error);
        if (theirs == 1) {
            must(!ours && frame.len == header->caplen &&
                 !memcmp(frame.data, data, frame.len) &&
                 is_same_time(frame.time_ns, &header->ts));
        }
    } while (theirs == 1);
    must(theirs == PCAP_ERROR_BREAK ? ours == ENODATA
                                    : ours == EINVAL && error.text[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[PCAP_ERRBUF_SIZE], path[32];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct pcap_file *file;
    struct lh_error error;

    must(fd >= 0 && write(fd, data, size) == (ssize_t) size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);

    int retval = pcap_file_open(path, &file, &error);

    must(retval == 0 || retval == ENOTSUP);
    if (!retval) {
        pcap_t *pcap = pcap_open_offline_with_tstamp_precision(
            path, PCAP_TSTAMP_PRECISION_NANO, why);

        must(pcap != NULL);
        compare(pcap, file);
        pcap_close(pcap);
        pcap_file_close(file);
    }
    close(fd);
    return 0;
}
