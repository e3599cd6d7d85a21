/* SPDX-License-Identifier: Apache-2.0 */
/* source_pcap - postcards from an interface or from a capture file. */
#include <config.h>

#include "server/source_pcap.h"

#include <errno.h>
#include <event2/event.h>
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "lib/say.h"
#include "server/pcap_file.h"

#define SNAP_LEN   2048
#define RING_SIZE  (64 << 20)
#define TIMEOUT_MS 10
#define BATCH      1024
/* A ring that is not full is handed over by the kernel's own timer, which
 * does not always wake poll(): look now and then. */
#define POLL_MS 20

struct source_pcap {
    pcap_t *pcap; /* Owned; NULL when 'plain' reads. */
    enum ingest_encap encap;
    struct ingest *ingest;
    bool is_nano;
    char *name; /* For messages.  Owned. */
    struct source_pcap_counters counters;

    /* Live only. */
    void (*after)(void *aux);
    void *aux;
    struct event *event; /* Readable.  Owned. */
    struct event *timer; /* Owned. */
    bool is_down;        /* The last read failed, which was said. */

    /* Files only. */
    struct pcap_file *plain;      /* A plain file; NULL: another.  Owned. */
    struct pcap_file_frame ahead; /* Read ahead; data NULL: none. */
};

static uint64_t
time_of(const struct source_pcap *source, const struct pcap_pkthdr *header)
{
    uint64_t fraction = (uint64_t) header->ts.tv_usec;

    return (uint64_t) header->ts.tv_sec * 1000000000u +
           (source->is_nano ? fraction : fraction * 1000);
}

static void
hand_over(u_char *source_, const struct pcap_pkthdr *header,
          const u_char *data)
{
    struct source_pcap *source = (struct source_pcap *) source_;

    source->counters.frames++;
    ingest_frame(source->ingest, source->encap, data, header->caplen,
                 time_of(source, header));
}

static void
on_readable(evutil_socket_t fd, short what, void *source_)
{
    struct source_pcap *source = source_;
    int n = pcap_dispatch(source->pcap, BATCH, hand_over, (u_char *) source);

    if (n < 0) {
        source->counters.errors++;
        if (!source->is_down) {
            say_error("capture on %s: %s", source->name,
                      pcap_geterr(source->pcap));
        }
        source->is_down = true;
    } else if (n > 0) {
        source->is_down = false;
    }
    source->after(source->aux);
}

static struct source_pcap *
create(const char *name, enum ingest_encap encap, struct ingest *ingest)
{
    struct source_pcap *source = lh_alloc_zero(sizeof *source);

    source->name = lh_strdup(name);
    source->encap = encap;
    source->ingest = ingest;
    return source;
}

void
source_pcap_close(struct source_pcap *source)
{
    if (source) {
        if (source->event) {
            event_free(source->event);
        }
        if (source->timer) {
            event_free(source->timer);
        }
        if (source->pcap) {
            pcap_close(source->pcap);
        }
        pcap_file_close(source->plain);
        free(source->name);
        free(source);
    }
}

/* Lets the kernel drop what cannot be a postcard. */
static int
set_filter(struct source_pcap *source, uint16_t vlan, struct lh_error *error)
{
    struct bpf_program program;
    char text[100] = "";
    size_t n = 0;

    /* "vlan" shifts the offsets of all that follows it, so it comes last. */
    if (source->encap != INGEST_MAC) {
        n = (size_t) snprintf(text, sizeof text, "udp dst port %d",
                              POSTCARD_GENEVE_PORT);
    }
    if (source->encap != INGEST_GENEVE) {
        snprintf(text + n, sizeof text - n, "%svlan %u", n ? " or " : "",
                 vlan);
    }
    if (pcap_compile(source->pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN)) {
        lh_error_set(error, "capture on %s: filter \"%s\": %s", source->name,
                     text, pcap_geterr(source->pcap));
        return EINVAL;
    }

    int retval = pcap_setfilter(source->pcap, &program) ? EIO : 0;

    if (retval) {
        lh_error_set(error, "capture on %s: filter \"%s\": %s", source->name,
                     text, pcap_geterr(source->pcap));
    }
    pcap_freecode(&program);
    return retval;
}

static int
check_link_type(struct source_pcap *source, struct lh_error *error)
{
    int type = pcap_datalink(source->pcap);
    const char *name = pcap_datalink_val_to_name(type);

    if (type == DLT_EN10MB) {
        return 0;
    }
    lh_error_set(error, "%s: frames of type %s, not Ethernet", source->name,
                 name ? name : "unknown");
    return EINVAL;
}

static int
activate(struct source_pcap *source, struct lh_error *error)
{
    pcap_set_snaplen(source->pcap, SNAP_LEN);
    pcap_set_promisc(source->pcap, 1);
    pcap_set_timeout(source->pcap, TIMEOUT_MS);
    pcap_set_buffer_size(source->pcap, RING_SIZE);
    source->is_nano =
        !pcap_set_tstamp_precision(source->pcap, PCAP_TSTAMP_PRECISION_NANO);

    int status = pcap_activate(source->pcap);

    if (status < 0) {
        const char *why = pcap_geterr(source->pcap);

        lh_error_set(error, "cannot capture on %s: %s%s%s", source->name,
                     pcap_statustostr(status), why[0] ? ": " : "", why);
        switch (status) {
        case PCAP_ERROR_NO_SUCH_DEVICE:
            return ENODEV;
        case PCAP_ERROR_PERM_DENIED:
            return EPERM;
        case PCAP_ERROR_IFACE_NOT_UP:
            return ENETDOWN;
        default:
            return EIO;
        }
    }
    return check_link_type(source, error);
}

int
source_pcap_open_live(struct event_base *base, const char *interface,
                      enum ingest_encap encap, uint16_t vlan,
                      struct ingest *ingest, void (*after)(void *aux),
                      void *aux, struct source_pcap **sourcep,
                      struct lh_error *error)
{
    struct source_pcap *source = create(interface, encap, ingest);
    struct timeval pause = {0, POLL_MS * 1000};
    char why[PCAP_ERRBUF_SIZE] = "";
    int retval;

    *sourcep = NULL;
    source->after = after;
    source->aux = aux;
    source->pcap = pcap_create(interface, why);
    if (!source->pcap) {
        lh_error_set(error, "cannot capture on %s: %s", interface, why);
        retval = EIO;
        goto error;
    }
    retval = activate(source, error);
    if (retval) {
        goto error;
    }
    retval = set_filter(source, vlan, error);
    if (retval) {
        goto error;
    }
    if (pcap_setnonblock(source->pcap, 1, why)) {
        lh_error_set(error, "capture on %s: %s", interface, why);
        retval = EIO;
        goto error;
    }
    source->event = event_new(base, pcap_get_selectable_fd(source->pcap),
                              EV_READ | EV_PERSIST, on_readable, source);
    event_add(source->event, NULL);
    source->timer = event_new(base, -1, EV_PERSIST, on_readable, source);
    event_add(source->timer, &pause);
    *sourcep = source;
    return 0;

error:
    source_pcap_close(source);
    return retval;
}

/* Opens what pcap_file does not read. */
static int
open_offline(struct source_pcap *source, struct lh_error *error)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    FILE *stream = stdin;

    if (strcmp(source->name, "-") != 0) {
        stream = fopen(source->name, "re");
        if (!stream) {
            int retval = errno;

            lh_error_set(error, "%s: %s", source->name, strerror(retval));
            return retval;
        }
    }
    source->pcap = pcap_fopen_offline_with_tstamp_precision(
        stream, PCAP_TSTAMP_PRECISION_NANO, why);
    if (!source->pcap) {
        lh_error_set(error, "%s: not a capture file: %s", source->name, why);
        if (stream != stdin) {
            fclose(stream);
        }
        return EINVAL;
    }
    source->is_nano = true;
    return check_link_type(source, error);
}

int
source_pcap_open_file(const char *path, enum ingest_encap encap,
                      struct ingest *ingest, struct source_pcap **sourcep,
                      struct lh_error *error)
{
    struct source_pcap *source = create(path, encap, ingest);
    int retval = ENOTSUP;

    *sourcep = NULL;
    if (strcmp(path, "-") != 0) {
        retval = pcap_file_open(path, &source->plain, error);
    }
    if (retval == ENOTSUP) {
        retval = open_offline(source, error);
    }
    if (retval) {
        source_pcap_close(source);
        return retval;
    }
    *sourcep = source;
    return 0;
}

/* The next frame of a file that libpcap reads; returned as by
 * pcap_file_next(). */
static int
next_offline(struct source_pcap *source, struct lh_error *error)
{
    struct pcap_pkthdr *header;
    const uint8_t *data;
    int n = pcap_next_ex(source->pcap, &header, &data);

    if (n == 1) {
        source->ahead = (struct pcap_file_frame){
            .time_ns = time_of(source, header),
            .data = data,
            .len = header->caplen,
        };
        return 0;
    } else if (n == PCAP_ERROR_BREAK) {
        return ENODATA;
    }
    lh_error_set(error, "%s", pcap_geterr(source->pcap));
    return EINVAL;
}

void
source_pcap_explain(const struct source_pcap *source, uint64_t n_frames,
                    const struct lh_error *why, struct lh_error *error)
{
    lh_error_set(error, "%s: after %llu frames: %s", source->name,
                 (unsigned long long) n_frames, why->text);
}

int
source_pcap_peek(struct source_pcap *source, uint64_t *time_ns,
                 struct lh_error *error)
{
    if (!source->ahead.data) {
        struct lh_error why;
        int retval = source->plain
                         ? pcap_file_next(source->plain, &source->ahead, &why)
                         : next_offline(source, &why);

        if (retval) {
            if (retval != ENODATA) {
                source_pcap_explain(source, source->counters.frames, &why,
                                    error);
            }
            return retval;
        }
    }
    *time_ns = source->ahead.time_ns;
    return 0;
}

const struct pcap_file *
source_pcap_plain(const struct source_pcap *source)
{
    return source->plain;
}

void
source_pcap_take(struct source_pcap *source)
{
    const struct pcap_file_frame *frame = &source->ahead;

    if (frame->data) {
        source->counters.frames++;
        ingest_frame(source->ingest, source->encap, frame->data, frame->len,
                     frame->time_ns);
        source->ahead.data = NULL;
    }
}

const struct source_pcap_counters *
source_pcap_counters(struct source_pcap *source)
{
    struct pcap_stat stat;

    if (source->event && !pcap_stats(source->pcap, &stat)) {
        source->counters.kernel_drops =
            (uint64_t) stat.ps_drop + stat.ps_ifdrop;
    }
    return &source->counters;
}
