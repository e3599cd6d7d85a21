/* SPDX-License-Identifier: Apache-2.0 */
/* nprof_drawing - drawings of a profile, as SVG inside HTML. */
#include <config.h>
#include "apps/nprof.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/dpid.h"

#define WIDTH 1000.0

void
nprof_drawing_put_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            /* What XML has no place for. */
            fputc((unsigned char) *text < 0x20 ? ' ' : *text, out);
            break;
        }
    }
}

/* --- The network -------------------------------------------------------- */

struct point {
    double x, y;
};

/* Switches stand on a circle, in order of their dpids. */
static struct point
place_of(size_t i, size_t n, double radius)
{
    double angle = 2 * M_PI * (double) i / (double) n - M_PI / 2;

    return (struct point){WIDTH / 2 + (n > 1 ? radius * cos(angle) : 0),
                          320 + (n > 1 ? radius * sin(angle) : 0)};
}

static size_t
index_of(const struct topology *topology, uint64_t dpid)
{
    size_t i = 0;

    while (i < topology_n_switches(topology) &&
           topology_switch_at(topology, i)->dpid != dpid) {
        i++;
    }
    return i;
}

/* What went out of a switch at a port, of the map of all links. */
static double
bytes_out(const json_t *map, uint64_t dpid, uint32_t port, double *most)
{
    char text[DPID_BUFSIZE];
    double bytes = 0;
    const json_t *node;
    size_t i;

    dpid_to_string(dpid, text);
    *most = 1;
    json_array_foreach(json_object_get(map, "tree"), i, node)
    {
        double own = (double) nprof_number(node, "bytes");

        if (!strcmp(nprof_text(node, "by"), "link")) {
            *most = own > *most ? own : *most;
            if (!strcmp(nprof_text(node, "dpid"), text) &&
                nprof_number(node, "port") == port &&
                !strcmp(nprof_text(node, "direction"), "out")) {
                bytes = own;
            }
        }
    }
    return bytes;
}

/* One direction of a link, as a line beside the other's. */
static void
put_link(FILE *out, const json_t *map, const struct topology *topology,
         const struct topology_switch *sw, const struct topology_port *port)
{
    size_t n = topology_n_switches(topology);
    struct point a = place_of(index_of(topology, sw->dpid), n, 240);
    struct point b = place_of(index_of(topology, port->peer_dpid), n, 240);
    double dx = b.x - a.x, dy = b.y - a.y, length = hypot(dx, dy), most;
    double bytes = bytes_out(map, sw->dpid, port->no, &most);
    const struct topology_switch *peer =
        topology_find(topology, port->peer_dpid);
    double side = length > 0 ? 5 / length : 0;
    char from[DPID_BUFSIZE], to[DPID_BUFSIZE], amount[32];

    fprintf(out,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
            "stroke=\"hsl(%.0f,70%%,%.0f%%)\" stroke-width=\"%.1f\"><title>",
            a.x - dy * side, a.y + dx * side, b.x - dy * side, b.y + dx * side,
            bytes > 0 ? 210 - 210 * bytes / most : 0, bytes > 0 ? 55.0 : 85.0,
            1 + 7 * bytes / most);
    nprof_drawing_put_text(out, sw->name ? sw->name
                                         : dpid_to_string(sw->dpid, from));
    fputs(" to ", out);
    nprof_drawing_put_text(out, peer && peer->name
                                    ? peer->name
                                    : dpid_to_string(port->peer_dpid, to));
    fprintf(out, ": %s</title></line>\n", nprof_format_bytes(bytes, amount));
}

/* A switch, with what it sends out of the network. */
static void
put_switch(FILE *out, const json_t *map, const struct topology *topology,
           size_t i)
{
    const struct topology_switch *sw = topology_switch_at(topology, i);
    struct point at = place_of(i, topology_n_switches(topology), 240);
    char text[DPID_BUFSIZE], amount[32];
    double bytes = 0, most;

    for (size_t k = 0; k < sw->n_ports; k++) {
        if (sw->ports[k].edge) {
            bytes += bytes_out(map, sw->dpid, sw->ports[k].no, &most);
        }
    }
    fprintf(out,
            "<g><circle cx=\"%.1f\" cy=\"%.1f\" r=\"22\" fill=\"#fff\" "
            "stroke=\"#222\"/><text x=\"%.1f\" y=\"%.1f\" "
            "text-anchor=\"middle\">",
            at.x, at.y, at.x, at.y + 4);
    nprof_drawing_put_text(
        out, sw->name ? sw->name : dpid_to_string(sw->dpid, text) + 12);
    fprintf(out, "</text><title>delivers %s</title></g>\n",
            nprof_format_bytes(bytes, amount));
}

void
nprof_drawing_put_network(FILE *out, const json_t *map,
                          const struct topology *topology)
{
    fprintf(out,
            "<svg width=\"%.0f\" height=\"640\" viewBox=\"0 0 %.0f 640\">\n",
            WIDTH, WIDTH);
    for (size_t i = 0; i < topology_n_switches(topology); i++) {
        const struct topology_switch *sw = topology_switch_at(topology, i);

        for (size_t k = 0; k < sw->n_ports; k++) {
            if (sw->ports[k].has_peer) {
                put_link(out, map, topology, sw, &sw->ports[k]);
            }
        }
    }
    for (size_t i = 0; i < topology_n_switches(topology); i++) {
        put_switch(out, map, topology, i);
    }
    fputs("</svg>\n", out);
}

/* --- Flames ------------------------------------------------------------- */

#define ROW 20.0

static void
put_flame(FILE *out, const char *name, double share, double bytes, double x,
          int depth)
{
    double width = WIDTH * share;
    size_t room = (size_t) (width / 6.5);
    char amount[32];

    fprintf(out,
            "<g><rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%.0f\" "
            "fill=\"hsl(%d,65%%,%d%%)\" stroke=\"#fff\"/>",
            x, ROW * depth, width, ROW, 20 + 24 * depth % 340,
            64 + depth % 2 * 8);
    if (room >= 4) {
        fprintf(out, "<text x=\"%.2f\" y=\"%.0f\">", x + 4, ROW * depth + 14);
        for (size_t i = 0; name[i] && i < room - 1; i++) {
            char letter[2] = {name[i], '\0'};

            nprof_drawing_put_text(out, letter);
        }
        fputs(strlen(name) > room - 1 ? "&#8230;</text>" : "</text>", out);
    }
    fputs("<title>", out);
    nprof_drawing_put_text(out, name);
    fprintf(out, ": %s, %.1f%%</title></g>\n",
            nprof_format_bytes(bytes, amount), 100 * share);
}

static void
put_flames(FILE *out, const json_t *nodes, double x, int depth)
{
    const json_t *node;
    size_t i;

    json_array_foreach(nodes, i, node)
    {
        double share = json_number_value(json_object_get(node, "share"));

        /* What is narrower cannot be seen. */
        if (share * WIDTH >= 0.2) {
            put_flame(out, nprof_text(node, "name"), share,
                      (double) nprof_number(node, "bytes"), x, depth);
            put_flames(out, json_object_get(node, "nodes"), x, depth + 1);
        }
        x += share * WIDTH;
    }
}

void
nprof_drawing_put_flames(FILE *out, const json_t *profile)
{
    size_t n = json_array_size(json_object_get(profile, "by")) + 1;

    fprintf(out,
            "<svg width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n",
            WIDTH, ROW * (double) n, WIDTH, ROW * (double) n);
    put_flame(out, "all", 1, (double) nprof_number(profile, "bytes"), 0, 0);
    put_flames(out, json_object_get(profile, "tree"), 0, 1);
    fputs("</svg>\n", out);
}

/* --- Series ------------------------------------------------------------- */

void
nprof_drawing_put_series(FILE *out, const struct app *app,
                         const json_t *profile)
{
    const json_t *series = json_object_get(profile, "series"), *pair;
    uint64_t step_ns = nprof_number(profile, "interval_ns");
    uint64_t since_ns = nprof_number(profile, "since_ns");
    double n = (double) json_array_size(series), most = 1;
    char rate[32], from[TIME_SPEC_BUFSIZE], to[TIME_SPEC_BUFSIZE];
    size_t i;

    json_array_foreach(series, i, pair)
    {
        double bytes = json_number_value(json_array_get(pair, 1));

        most = bytes > most ? bytes : most;
    }
    fprintf(out,
            "<svg width=\"%.0f\" height=\"200\" viewBox=\"0 0 %.0f 200\">\n"
            "<text x=\"0\" y=\"12\">up to %s</text>\n"
            "<text x=\"0\" y=\"195\">%s</text>\n"
            "<text x=\"%.0f\" y=\"195\" text-anchor=\"end\">%s</text>\n",
            WIDTH, WIDTH, nprof_format_rate(most, step_ns, rate),
            app_format_time(app, since_ns, from), WIDTH,
            app_format_time(app, nprof_number(profile, "until_ns"), to));
    json_array_foreach(series, i, pair)
    {
        double bytes = json_number_value(json_array_get(pair, 1));
        double height = 160 * bytes / most;

        fprintf(out,
                "<rect class=\"bar\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
                "height=\"%.2f\"><title>%s: %s</title></rect>\n",
                WIDTH * (double) i / n, 180 - height, WIDTH / n * 0.9, height,
                app_format_time(app, since_ns + i * step_ns, from),
                nprof_format_rate(bytes, step_ns, rate));
    }
    fputs("</svg>\n", out);
}
