/* SPDX-License-Identifier: Apache-2.0 */
/* gen_output - the files that lasthop-gen writes. */
#include <config.h>
#include "gen/gen_output.h"

#include <errno.h>
#include <jansson.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/lh_alloc.h"

#define BUF_SIZE (1 << 20)
#define MAX_LEN  65535

struct gen_output {
    char *dir; /* Owned, as all that follows. */
    pcap_t *pcap;
    pcap_dumper_t *dumper;
    FILE *postcards; /* Of the dumper. */
    FILE *truth;     /* Or NULL. */
    char *buf;       /* Of postcards. */
    bool is_micro;
    int trouble; /* The first errno. */
};

static FILE *
create_file(const struct gen_output *output, const char *name,
            struct lh_error *error)
{
    char *path = lh_asprintf("%s/%s", output->dir, name);
    FILE *file = fopen(path, "we");
    int retval = errno;

    if (!file) {
        lh_error_set(error, "%s: %s", path, strerror(retval));
    }
    free(path);
    errno = retval;
    return file;
}

static int
open_postcards(struct gen_output *output, bool wants_stdout,
               struct lh_error *error)
{
    output->postcards =
        wants_stdout ? stdout : create_file(output, "postcards.pcap", error);
    if (!output->postcards) {
        return errno;
    }
    output->buf = lh_alloc(BUF_SIZE);
    setvbuf(output->postcards, output->buf, _IOFBF, BUF_SIZE);
    output->pcap = pcap_open_dead_with_tstamp_precision(
        DLT_EN10MB, MAX_LEN,
        output->is_micro ? PCAP_TSTAMP_PRECISION_MICRO
                         : PCAP_TSTAMP_PRECISION_NANO);
    output->dumper =
        output->pcap ? pcap_dump_fopen(output->pcap, output->postcards) : NULL;
    if (!output->dumper) {
        lh_error_set(error, "postcards: %s",
                     output->pcap ? pcap_geterr(output->pcap) : "no memory");
        return EIO;
    }
    return 0;
}

int
gen_output_create(const char *dir, bool wants_stdout, bool has_truth,
                  bool is_micro, struct gen_output **outputp,
                  struct lh_error *error)
{
    struct gen_output *output = lh_alloc_zero(sizeof *output);
    int retval = 0;

    *outputp = NULL;
    output->dir = lh_strdup(dir);
    output->is_micro = is_micro;
    if (mkdir(dir, 0777) && errno != EEXIST) {
        retval = errno;
        lh_error_set(error, "%s: %s", dir, strerror(retval));
    }
    if (!retval) {
        retval = open_postcards(output, wants_stdout, error);
    }
    if (!retval && has_truth) {
        output->truth = create_file(output, "truth.jsonl", error);
        retval = output->truth ? 0 : errno;
    }
    if (retval) {
        gen_output_close(output, NULL);
    } else {
        *outputp = output;
    }
    return retval;
}

void
gen_output_frame(struct gen_output *output, const struct gen_frame *frame)
{
    struct pcap_pkthdr header = {
        .ts = {.tv_sec = (time_t) (frame->time_ns / 1000000000),
               .tv_usec = (suseconds_t) (frame->time_ns % 1000000000 /
                                         (output->is_micro ? 1000 : 1))},
        .caplen = frame->len,
        .len = frame->len,
    };

    pcap_dump((u_char *) output->dumper, &header, frame->data);
}

static void
put_line(struct gen_output *output, FILE *file, json_t *json)
{
    if ((json_dumpf(json, file, JSON_COMPACT) || putc('\n', file) == EOF) &&
        !output->trouble) {
        output->trouble = errno ? errno : EIO;
    }
    json_decref(json);
}

void
gen_output_truth(struct gen_output *output, const struct history *h,
                 const struct topology *topology)
{
    put_line(output, output->truth, history_to_json(h, topology));
}

/* A file of rules while it is written. */
struct rules {
    struct gen_output *output;
    FILE *file;
};

static void
put_rule(void *rules_, const struct rule *rule)
{
    struct rules *rules = rules_;

    put_line(rules->output, rules->file, rule_to_json(rule));
}

static void
close_file(struct gen_output *output, FILE *file)
{
    int trouble = ferror(file) ? EIO : 0;

    if (fclose(file)) {
        trouble = errno;
    }
    output->trouble = output->trouble ? output->trouble : trouble;
}

int
gen_output_network(struct gen_output *output, struct gen_net *net,
                   struct lh_error *error)
{
    struct rules rules = {.output = output};
    FILE *file = create_file(output, "topology.json", error);

    if (!file) {
        return errno;
    }
    put_line(output, file, topology_to_json(gen_net_topology(net)));
    close_file(output, file);
    rules.file = create_file(output, "rules.jsonl", error);
    if (!rules.file) {
        return errno;
    }
    gen_net_each_version(net, put_rule, &rules);
    close_file(output, rules.file);
    return 0;
}

int
gen_output_close(struct gen_output *output, struct lh_error *error)
{
    int retval;

    if (!output) {
        return 0;
    }
    if (output->dumper) {
        if (pcap_dump_flush(output->dumper) || ferror(output->postcards)) {
            output->trouble = output->trouble ? output->trouble
                              : errno         ? errno
                                              : EIO;
        }
        pcap_dump_close(output->dumper);
    } else if (output->postcards && output->postcards != stdout) {
        fclose(output->postcards);
    }
    if (output->pcap) {
        pcap_close(output->pcap);
    }
    if (output->truth) {
        close_file(output, output->truth);
    }
    retval = output->trouble;
    if (retval) {
        lh_error_set(error, "cannot write: %s", strerror(retval));
    }
    free(output->buf);
    free(output->dir);
    free(output);
    return retval;
}
