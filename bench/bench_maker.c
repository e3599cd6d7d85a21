/* SPDX-License-Identifier: Apache-2.0 */
/* bench_maker - an archive of made-up packets. */
#include <config.h>

#include "bench/bench_maker.h"

#include <stdio.h>
#include <stdlib.h>

#include "gen/gen.h"
#include "lib/archive_writer.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "server/path_table.h"

#define ROUND_NS 1000000000u /* Of the archive. */

struct bench_maker {
    const char *program;
    struct gen *gen;
    struct archive_writer *writer;
    struct path_table *paths;
    struct packet_id_config id_config;
    uint64_t round_ns; /* When the next is due. */
};

static void
die(const struct bench_maker *maker, const char *what)
{
    fprintf(stderr, "%s: %s\n", maker->program, what);
    exit(EXIT_FAILURE);
}

static void
emit(void *maker_, struct history *h)
{
    struct bench_maker *maker = maker_;

    archive_writer_add(maker->writer, h);
    history_destroy(h);
}

static void
emit_packet(void *maker_, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    struct bench_maker *maker = maker_;

    archive_writer_add_packet(maker->writer, t, packet);
}

static const struct rule *
find_rule(void *maker_, uint64_t dpid, uint32_t version)
{
    struct bench_maker *maker = maker_;

    return gen_net_find_rule(gen_get_net(maker->gen), dpid, version);
}

static void
add_frame(struct bench_maker *maker, const struct gen_frame *frame)
{
    struct postcard p;
    struct hdr outer, h;

    if (postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p) !=
        POSTCARD_OK) {
        die(maker, "a made-up postcard is none");
    }
    p.time_ns = frame->time_ns;
    hdr_parse(p.header, p.caplen, &h);
    p.has_id = packet_id(&maker->id_config, p.header, p.caplen, &h,
                         &p.packet_id) != PACKET_ID_SHORT;
    path_table_add(maker->paths, &p);
    path_table_run(maker->paths, p.time_ns);
    if (p.time_ns >= maker->round_ns) {
        archive_writer_round(maker->writer, p.time_ns);
        maker->round_ns = p.time_ns + ROUND_NS;
    }
}

void
bench_maker_add(struct bench_maker *maker, const struct gen_config *config)
{
    struct gen_frame frames[GEN_BATCH];
    struct lh_error error = {.text = "-"};
    size_t n_frames;

    if (gen_create(config, &maker->gen, &error)) {
        die(maker, error.text);
    }
    path_table_set_topology(maker->paths,
                            gen_net_topology(gen_get_net(maker->gen)));
    while (!gen_next(maker->gen, frames, GEN_BATCH, &n_frames, &error) &&
           n_frames) {
        for (size_t i = 0; i < n_frames; i++) {
            add_frame(maker, &frames[i]);
        }
    }
    path_table_flush(maker->paths);
    gen_destroy(maker->gen);
    maker->gen = NULL;
}

struct bench_maker *
bench_maker_create(const char *dir, const char *program)
{
    struct bench_maker *maker = lh_alloc_zero(sizeof *maker);
    struct path_table_config paths = {.emit = emit,
                                      .emit_packet = emit_packet,
                                      .find_rule = find_rule,
                                      .aux = maker};
    struct archive_writer_config archive = {.dir = dir, .now_ns = 1};
    struct lh_error error = {.text = "-"};
    struct gen_config config;

    gen_config_init(&config);
    maker->program = program;
    maker->id_config = archive.packet_id = paths.id_config = config.id_config;
    if (archive_writer_open(&archive, &maker->writer, NULL, &error)) {
        die(maker, error.text);
    }
    maker->paths = path_table_create(&paths);
    return maker;
}

void
bench_maker_end(struct bench_maker *maker)
{
    archive_writer_close(maker->writer);
    path_table_destroy(maker->paths);
    free(maker);
}
