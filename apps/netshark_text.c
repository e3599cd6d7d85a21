/* SPDX-License-Identifier: Apache-2.0 */
/* netshark_text - histories as text for people. */
#include <config.h>
#include "apps/netshark.h"

#include <stdlib.h>

#include "apps/app_view.h"
#include "lib/lh_alloc.h"
#include "lib/text_line.h"

static char *
rule_text(void *shark_, uint64_t dpid, uint32_t version)
{
    struct netshark *shark = shark_;

    return lh_strdup(app_rules_text(shark->rules, dpid, version));
}

static char *
packet_text(void *shark_, const char *text)
{
    struct netshark *shark = shark_;

    return app_names_in_text(shark->names, text);
}

static char *
time_text(void *shark_, uint64_t ns)
{
    struct netshark *shark = shark_;
    char buf[TIME_SPEC_BUFSIZE];

    return lh_strdup(app_format_time(shark->app, ns, buf));
}

static void
put_all(struct netshark *shark, const struct history *h)
{
    struct history_text_options options = {
        .topology = app_names_topology(shark->names),
        .color = shark->app->color,
        .utc = shark->app->is_utc,
        .width = shark->app->width,
        .current = -1,
        .rule_text = rule_text,
        .packet_text = packet_text,
        .time_text = time_text,
        .aux = shark,
    };

    history_to_text(h, &options, shark->out);
}

/* "TIME  dropped    s1 > s2  10.0.0.1:4 > 10.0.0.2:80 tcp SYN" */
void
netshark_text_put(struct netshark *shark, const struct history *h)
{
    struct text_line line = {.stream = shark->out,
                             .color = shark->app->color,
                             .width = shark->app->width};
    uint64_t first_ns = history_first_ns(h);
    char buf[TIME_SPEC_BUFSIZE], *text;

    if (shark->is_verbose) {
        put_all(shark, h);
        return;
    }
    text_line_put(&line, TEXT_DIM, "%s  ",
                  first_ns ? app_format_time(shark->app, first_ns, buf)
                           : "no time");
    text_line_put(&line, history_verdict_style(h->verdict.name), "%-10s ",
                  h->verdict.name == VERDICT_NONE
                      ? "no verdict"
                      : verdict_name_string(h->verdict.name));
    if (h->n_hops) {
        size_t n_before, n = app_view_path_length(h, 0, &n_before);

        text = app_view_path(shark->names, h, 0);
        text_line_put(&line, TEXT_BOLD, "%s", text);
        free(text);
        if (n < h->n_hops) {
            text_line_put(&line, TEXT_PLAIN, " (and %zu more hop%s)",
                          h->n_hops - n, h->n_hops - n == 1 ? "" : "s");
        }
        text = app_view_packet(shark->names, &h->hops[0]);
        text_line_put(&line, TEXT_BLUE, "%s%s", *text ? "  " : "", text);
        free(text);
    }
    text_line_end(&line);
    text_line_uninit(&line);
}
