/* SPDX-License-Identifier: Apache-2.0 */
/* nprof_tree - a profile as text for people. */
#include <config.h>
#include "apps/nprof.h"

#include <inttypes.h>

#include "lib/text_line.h"

static struct text_line
begin_line(const struct nprof_view *view)
{
    return (struct text_line){.stream = view->out,
                              .color = view->app->color,
                              .width = view->app->width};
}

static uint64_t
span_of(const json_t *profile)
{
    return nprof_number(profile, "until_ns") -
           nprof_number(profile, "since_ns");
}

/* " 53.2%  1.20 GB  16.0 Mbit/s  10240 packets  NAME" */
static void
put_node(const struct nprof_view *view, const json_t *node, uint64_t span_ns,
         int depth)
{
    struct text_line line = begin_line(view);
    double bytes = (double) nprof_number(node, "bytes");
    uint64_t n_packets = nprof_number(node, "packets");
    char amount[32], rate[32];

    text_line_put(&line, TEXT_BOLD, "%6.1f%%",
                  100 * json_number_value(json_object_get(node, "share")));
    text_line_put(&line, TEXT_PLAIN, "  %9s  %12s",
                  nprof_format_bytes(bytes, amount),
                  nprof_format_rate(bytes, span_ns, rate));
    text_line_put(&line, TEXT_DIM, "  %10" PRIu64 " %-7s  ", n_packets,
                  n_packets == 1 ? "packet" : "packets");
    text_line_put(&line, TEXT_PLAIN, "%*s", 2 * depth, "");
    if (json_object_get(node, "n")) {
        text_line_put(&line, TEXT_DIM, "%" PRIu64 " other%s",
                      nprof_number(node, "n"),
                      nprof_number(node, "n") == 1 ? "" : "s");
    } else {
        text_line_put(&line, depth ? TEXT_PLAIN : TEXT_BLUE, "%s",
                      nprof_text(node, "name"));
    }
    text_line_end(&line);
    text_line_uninit(&line);
}

static void
put_nodes(const struct nprof_view *view, const json_t *nodes, uint64_t span_ns,
          int depth)
{
    const json_t *node;
    size_t i;

    json_array_foreach(nodes, i, node)
    {
        put_node(view, node, span_ns, depth);
        put_nodes(view, json_object_get(node, "nodes"), span_ns, depth + 1);
    }
}

static void
put_series(const struct nprof_view *view, const json_t *profile)
{
    uint64_t since_ns = nprof_number(profile, "since_ns");
    uint64_t step_ns = nprof_number(profile, "interval_ns");
    const json_t *series = json_object_get(profile, "series"), *pair;
    double most = 1;
    size_t i;

    json_array_foreach(series, i, pair)
    {
        double bytes = json_number_value(json_array_get(pair, 1));

        most = bytes > most ? bytes : most;
    }
    fputs(json_array_size(series) ? "\n" : "", view->out);
    json_array_foreach(series, i, pair)
    {
        double bytes = json_number_value(json_array_get(pair, 1));
        char when[TIME_SPEC_BUFSIZE], amount[32], rate[32];
        struct text_line line = begin_line(view);

        text_line_put(
            &line, TEXT_DIM, "%s  ",
            app_format_time(view->app, since_ns + i * step_ns, when));
        text_line_put(&line, TEXT_PLAIN, "%9s  %12s  ",
                      nprof_format_bytes(bytes, amount),
                      nprof_format_rate(bytes, step_ns, rate));
        for (int k = 0; k < (int) (40 * bytes / most + 0.5); k++) {
            text_line_put(&line, TEXT_BLUE, "#");
        }
        text_line_end(&line);
        text_line_uninit(&line);
    }
}

void
nprof_tree_put(const struct nprof_view *view, const json_t *profile)
{
    char since[TIME_SPEC_BUFSIZE], until[TIME_SPEC_BUFSIZE];
    char amount[32], rate[32], title[512];
    struct text_line line = begin_line(view);
    double bytes = (double) nprof_number(profile, "bytes");
    uint64_t n_packets = nprof_number(profile, "packets");

    text_line_put(&line, TEXT_BOLD, "%s",
                  nprof_title(profile, title, sizeof title));
    text_line_put(&line, TEXT_PLAIN, "  %s in %" PRIu64 " packet%s, %s",
                  nprof_format_bytes(bytes, amount), n_packets,
                  n_packets == 1 ? "" : "s",
                  nprof_format_rate(bytes, span_of(profile), rate));
    text_line_put(
        &line, TEXT_DIM, "  %s to %s",
        app_format_time(view->app, nprof_number(profile, "since_ns"), since),
        app_format_time(view->app, nprof_number(profile, "until_ns"), until));
    text_line_end(&line);
    text_line_uninit(&line);
    put_nodes(view, json_object_get(profile, "tree"), span_of(profile), 0);
    put_series(view, profile);
}
