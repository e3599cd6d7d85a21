/* SPDX-License-Identifier: Apache-2.0 */
/* gen_trace - packets from a capture file, again and again. */
#include <config.h>
#include "gen/gen_trace.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "gen/gen_random.h"
#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"

#define ETH_LEN  14
#define GAP_NS   1000      /* Between the file's end and its beginning. */
#define NO_TIME  946684800 /* Captures before 2000 have no time. */
#define START_NS 1700000000000000000ULL

/* A compressed file while it is read. */
struct unpack {
    FILE *file;           /* Owned. */
    ZSTD_DStream *stream; /* Owned. */
    ZSTD_inBuffer in;
    uint8_t buf[1 << 17];
};

struct gen_trace {
    char *path; /* Owned. */
    uint32_t max_len;
    pcap_t *pcap;      /* Owned. */
    uint64_t n_read;   /* Of this time. */
    uint16_t n_times;  /* It was read wholly before. */
    uint64_t shift_ns; /* Added to the file's times. */
    uint64_t last_ns;  /* The latest time given. */
    uint8_t *buf;      /* Owned. */
};

static ssize_t
unpack_read(void *unpack_, char *out, size_t size)
{
    struct unpack *u = unpack_;
    ZSTD_outBuffer output = {out, size, 0};

    while (!output.pos) {
        if (u->in.pos == u->in.size) {
            u->in.size = fread(u->buf, 1, sizeof u->buf, u->file);
            u->in.pos = 0;
            if (!u->in.size) {
                break;
            }
        }
        if (ZSTD_isError(ZSTD_decompressStream(u->stream, &output, &u->in))) {
            errno = EBADMSG;
            return -1;
        }
    }
    return (ssize_t) output.pos;
}

static int
unpack_close(void *unpack_)
{
    struct unpack *u = unpack_;

    fclose(u->file);
    ZSTD_freeDStream(u->stream);
    free(u);
    return 0;
}

/* Opens the file, unpacking it if its name says that it is packed. */
static FILE *
open_file(const char *path)
{
    size_t len = strlen(path);
    FILE *file = fopen(path, "re");
    struct unpack *u;

    if (!file || len < 4 || strcmp(path + len - 4, ".zst") != 0) {
        return file;
    }
    u = lh_alloc_zero(sizeof *u);
    u->file = file;
    u->stream = ZSTD_createDStream();
    u->in.src = u->buf;
    return fopencookie(
        u, "r",
        (cookie_io_functions_t){.read = unpack_read, .close = unpack_close});
}

static int
begin(struct gen_trace *trace, struct lh_error *error)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    FILE *file = open_file(trace->path);
    int retval;

    if (!file) {
        retval = errno;
        lh_error_set(error, "%s: %s", trace->path, strerror(retval));
        return retval;
    }
    trace->n_read = 0;
    trace->pcap = pcap_fopen_offline_with_tstamp_precision(
        file, PCAP_TSTAMP_PRECISION_NANO, why);
    if (!trace->pcap) {
        lh_error_set(error, "%s: not a capture file: %s", trace->path, why);
        fclose(file);
        return EINVAL;
    }
    if (pcap_datalink(trace->pcap) != DLT_EN10MB) {
        lh_error_set(error, "%s: its frames are not Ethernet", trace->path);
        return EINVAL;
    }
    return 0;
}

int
gen_trace_open(const char *path, uint32_t max_len, struct gen_trace **tracep,
               struct lh_error *error)
{
    struct gen_trace *trace = lh_alloc_zero(sizeof *trace);
    int retval;

    *tracep = NULL;
    trace->path = lh_strdup(path);
    trace->max_len = max_len;
    trace->buf = lh_alloc(max_len);
    retval = begin(trace, error);
    if (retval) {
        gen_trace_close(trace);
    } else {
        *tracep = trace;
    }
    return retval;
}

void
gen_trace_close(struct gen_trace *trace)
{
    if (trace) {
        if (trace->pcap) {
            pcap_close(trace->pcap);
        }
        free(trace->path);
        free(trace->buf);
        free(trace);
    }
}

/* Makes up what the file does not have of a packet that it cut, up to 'want':
 * the packet's own bytes are random, what pads it is zero. */
static uint32_t
fill(const struct gen_trace *trace, uint32_t len, uint32_t want)
{
    struct gen_random random = {trace->n_read << 16 | trace->n_times};
    struct hdr h;
    uint32_t end;

    hdr_parse(trace->buf, len, &h);
    end = hdr_has_l3(&h) ? h.l3_ofs + h.own_len : want;
    for (; len < want; len++) {
        trace->buf[len] = len < end ? (uint8_t) gen_random_next(&random) : 0;
    }
    return len;
}

/* Adds to the ID of IPv4 packets how often the file was read. */
static void
renumber(const struct gen_trace *trace, uint32_t len)
{
    struct hdr h;
    uint8_t before[2], *p;

    hdr_parse(trace->buf, len, &h);
    if (h.is_ip4) {
        p = trace->buf + h.l3_ofs + 4;
        memcpy(before, p, 2);
        bytes_put_be16(p, (uint16_t) (bytes_be16(p) + trace->n_times));
        inet_sum_adjust(trace->buf + h.l3_ofs + 10, before, p, 2);
    }
}

static uint64_t
time_of(struct gen_trace *trace, const struct pcap_pkthdr *header)
{
    uint64_t ns = (uint64_t) header->ts.tv_sec * 1000000000u +
                  (uint64_t) header->ts.tv_usec;

    if (!trace->n_read) {
        if (trace->n_times) {
            trace->shift_ns = trace->last_ns + GAP_NS - ns;
        } else if (header->ts.tv_sec < NO_TIME) {
            trace->shift_ns = START_NS - ns;
        }
    }
    ns += trace->shift_ns;
    if (trace->last_ns && (int64_t) (ns - trace->last_ns) < 0) {
        ns = trace->last_ns;
    }
    trace->last_ns = ns;
    return ns;
}

/* The file has ended. */
static int
begin_again(struct gen_trace *trace, bool is_once, struct lh_error *error)
{
    if (is_once) {
        return ENODATA;
    } else if (!trace->n_read) {
        lh_error_set(error, "%s: has no frames", trace->path);
        return EINVAL;
    }
    trace->n_times++;
    pcap_close(trace->pcap);
    trace->pcap = NULL;
    return begin(trace, error);
}

int
gen_trace_next(struct gen_trace *trace, bool is_once, struct gen_packet *p,
               struct lh_error *error)
{
    struct pcap_pkthdr *header;
    const u_char *bytes;

    for (;;) {
        int n = pcap_next_ex(trace->pcap, &header, &bytes);
        int retval;

        if (n == 1 && header->caplen >= ETH_LEN) {
            break;
        } else if (n == 1) {
            continue;
        } else if (n != PCAP_ERROR_BREAK) {
            lh_error_set(error, "%s: after %llu frames: %s", trace->path,
                         (unsigned long long) trace->n_read,
                         pcap_geterr(trace->pcap));
            return EINVAL;
        }
        retval = begin_again(trace, is_once, error);
        if (retval) {
            return retval;
        }
    }
    p->time_ns = time_of(trace, header);
    p->len = header->caplen < trace->max_len ? header->caplen : trace->max_len;
    memcpy(trace->buf, bytes, p->len);
    if (p->len < header->len && p->len < trace->max_len) {
        p->len =
            fill(trace, p->len,
                 header->len < trace->max_len ? header->len : trace->max_len);
    }
    if (trace->n_times) {
        renumber(trace, p->len);
    }
    p->data = trace->buf;
    trace->n_read++;
    return 0;
}
