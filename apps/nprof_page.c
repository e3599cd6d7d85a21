/* SPDX-License-Identifier: Apache-2.0 */
/* nprof_page - a profile as one HTML page that needs nothing else: no script,
 * no other file. */
#include <config.h>
#include "apps/nprof.h"

#include <inttypes.h>

static const char style[] =
    "body{font:14px/1.4 sans-serif;margin:2em auto;max-width:1100px;"
    "color:#222;background:#fff}\n"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}\n"
    "svg{max-width:100%;height:auto}svg text{font:11px sans-serif}\n"
    "table{border-collapse:collapse}td,th{padding:2px 10px;text-align:right}\n"
    "td,th{white-space:nowrap}\n"
    "td:first-child,th:first-child{text-align:left;white-space:normal}\n"
    "tr:nth-child(even){background:#f4f4f4}\n"
    ".bar{fill:#4878a8}.dim{color:#666}\n";

static void
put_rows(FILE *out, const json_t *nodes, uint64_t span_ns, int depth)
{
    const json_t *node;
    size_t i;

    json_array_foreach(nodes, i, node)
    {
        double bytes = (double) nprof_number(node, "bytes");
        double share = json_number_value(json_object_get(node, "share"));
        char amount[32], rate[32];

        fprintf(out, "<tr><td style=\"padding-left:%dpx\">", 10 + 18 * depth);
        if (json_object_get(node, "n")) {
            fprintf(out, "<span class=\"dim\">%" PRIu64 " others</span>",
                    nprof_number(node, "n"));
        } else {
            nprof_drawing_put_text(out, nprof_text(node, "name"));
        }
        fprintf(out,
                "</td><td>%.1f%%</td><td><svg width=\"104\" height=\"10\">"
                "<rect class=\"bar\" width=\"%.1f\" height=\"10\"/></svg>"
                "</td><td>%s</td><td>%s</td><td>%" PRIu64 "</td></tr>\n",
                100 * share, 100 * share, nprof_format_bytes(bytes, amount),
                nprof_format_rate(bytes, span_ns, rate),
                nprof_number(node, "packets"));
        put_rows(out, json_object_get(node, "nodes"), span_ns, depth + 1);
    }
}

static void
put_head(const struct nprof_view *view, const json_t *profile,
         uint64_t span_ns)
{
    char since[TIME_SPEC_BUFSIZE], until[TIME_SPEC_BUFSIZE];
    char amount[32], rate[32], title[512];
    double bytes = (double) nprof_number(profile, "bytes");
    FILE *out = view->out;

    nprof_title(profile, title, sizeof title);
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head>"
          "<meta charset=\"utf-8\">\n<title>Who fills ",
          out);
    nprof_drawing_put_text(out, title);
    fprintf(out, "</title>\n<style>\n%s</style></head><body>\n<h1>Who fills ",
            style);
    nprof_drawing_put_text(out, title);
    fprintf(
        out,
        "</h1>\n<p>%s in %" PRIu64 " packets, %s on average, from %s to "
        "%s</p>\n",
        nprof_format_bytes(bytes, amount), nprof_number(profile, "packets"),
        nprof_format_rate(bytes, span_ns, rate),
        app_format_time(view->app, nprof_number(profile, "since_ns"), since),
        app_format_time(view->app, nprof_number(profile, "until_ns"), until));
}

void
nprof_page_put(const struct nprof_view *view, const json_t *profile,
               const json_t *map, const struct topology *topology)
{
    uint64_t span_ns =
        nprof_number(profile, "until_ns") - nprof_number(profile, "since_ns");
    FILE *out = view->out;

    put_head(view, profile, span_ns);
    if (topology && topology_n_switches(topology)) {
        fputs("<h2>The network</h2>\n<p class=\"dim\">The wider and darker a "
              "link, the more went over it in this range.</p>\n",
              out);
        nprof_drawing_put_network(out, map, topology);
    }
    fputs("<h2>Who sends</h2>\n", out);
    nprof_drawing_put_flames(out, profile);
    if (json_array_size(json_object_get(profile, "series"))) {
        fputs("<h2>When</h2>\n", out);
        nprof_drawing_put_series(out, view->app, profile);
    }
    fputs("<h2>In numbers</h2>\n<table>\n<tr><th>who</th><th>share</th>"
          "<th></th><th>bytes</th><th>rate</th><th>packets</th></tr>\n",
          out);
    put_rows(out, json_object_get(profile, "tree"), span_ns, 0);
    fputs("</table>\n</body></html>\n", out);
}
