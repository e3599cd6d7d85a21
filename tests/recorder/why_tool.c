/* SPDX-License-Identifier: Apache-2.0 */
/* why_tool - which rules packets meet, for tests that compare it with a
 * switch.
 *
 * Reads lines: "flow RULE" (as ovs-ofctl writes it; its cookie is its
 * version), "group GROUP", "packet IN_PORT HEX".  For each packet it writes
 * the first path as "TABLE:VERSION .. > PORT ..", with "-" for no rule, and
 * its number of paths. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/of_flow.h"
#include "recorder/of_text.h"
#include "recorder/of_why.h"
#include "recorder/of_wire.h"

static void
check(char *error, const char *line)
{
    if (error) {
        fprintf(stderr, "%s: %s\n", line, error);
        exit(1);
    }
}

static void
add_flow(struct of_why_table *t, const char *text)
{
    struct of_why_rule rule = {.match = ""};
    struct of_flow flow;
    uint8_t *raw;
    size_t len;

    check(of_flow_from_text(&flow, OF_FLOW_ADD, text), text);
    rule.table_id = flow.table_id == OF_FLOW_ALL_TABLES ? 0 : flow.table_id;
    rule.priority = flow.priority;
    rule.version = (uint32_t) flow.new_cookie;
    if (of_flow_encode(&flow, OF_WIRE_13, 0, &raw, &len) ||
        !of_why_table_add_rule(t, &rule, raw, len)) {
        check(strdup("cannot be added"), text);
    }
    free(raw);
    of_flow_uninit(&flow);
}

static void
add_group(struct of_why_table *t, const char *text)
{
    uint8_t *raw;
    size_t len;

    check(of_text_to_group(text, OF_WIRE_13, &raw, &len), text);
    if (!of_why_table_add_group(t, NULL, 0, raw, len)) {
        check(strdup("cannot be added"), text);
    }
    free(raw);
}

static void
send_packet(const struct of_why_table *t, const char *text)
{
    uint8_t data[2048];
    struct of_why_answer answer;
    struct of_why_packet *packet;
    char *end;
    uint16_t in_port = (uint16_t) strtoul(text, &end, 10);
    size_t len = 0;

    for (end++; end[0] && end[1] && len < sizeof data; end += 2) {
        char byte[3] = {end[0], end[1], '\0'};

        data[len++] = (uint8_t) strtoul(byte, NULL, 16);
    }
    packet = of_why_packet_create(data, len, len, in_port);
    of_why_run(t, packet, 0, &answer);
    for (size_t i = 0; i < answer.paths[0].n_steps; i++) {
        const struct of_why_step *s = &answer.paths[0].steps[i];

        if (s->kind == OF_WHY_TABLE && s->is_miss) {
            printf("%u:- ", s->table_id);
        } else if (s->kind == OF_WHY_TABLE) {
            printf("%u:%u ", s->table_id, (unsigned) s->version);
        }
    }
    printf(">");
    for (size_t i = 0; i < answer.paths[0].n_outputs; i++) {
        printf(" %u", answer.paths[0].outputs[i].port);
    }
    printf(" / %zu\n", answer.n_paths);
    of_why_answer_uninit(&answer);
    of_why_packet_destroy(packet);
}

int
main(void)
{
    struct of_why_table *t = of_why_table_create();
    char *line = NULL;
    size_t size = 0;

    while (getline(&line, &size, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (!strncmp(line, "flow ", 5)) {
            add_flow(t, line + 5);
        } else if (!strncmp(line, "group ", 6)) {
            add_group(t, line + 6);
        } else if (!strncmp(line, "packet ", 7)) {
            send_packet(t, line + 7);
        }
    }
    free(line);
    of_why_table_destroy(t);
    return 0;
}
