/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes recorder/of_why: packets, as bytes and as text, through rules and
 * groups that are as odd.
 *
 * The input is parts, each a byte that says what it is and two of its length:
 * 'f' a flow-mod as bytes, 't' rule as "MATCH|ACTIONS" with its table in the
 * first byte, 'g' a group-mod, 'p' a packet, 'w' a packet as text.  Whatever
 * comes in, there is an answer, of bounded size. */
#include <config.h>
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_why.h"

static void
check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static char *
text_of(const uint8_t *data, size_t len)
{
    char *text = lh_alloc_zero(len + 1);

    memcpy(text, data, len);
    return text;
}

static void
send_packet(const struct of_why_table *t, struct of_why_packet *packet,
            uint32_t version_not)
{
    struct of_why_answer answer;

    of_why_run(t, packet, version_not, &answer);
    check(answer.n_paths <= OF_WHY_MAX_PATHS);
    for (size_t i = 0; i < answer.n_paths; i++) {
        const struct of_why_path *path = &answer.paths[i];

        check(path->n_steps && path->n_steps <= OF_WHY_MAX_STEPS + 64);
        check((path->verdict == OF_WHY_DROPPED) == !path->n_outputs);
        for (size_t j = 0; j < path->n_outputs; j++) {
            check(path->outputs[j].step < path->n_steps);
        }
    }
    of_why_answer_uninit(&answer);
    of_why_packet_destroy(packet);
}

static void
add_text_rule(struct of_why_table *t, const uint8_t *data, size_t len,
              uint32_t version)
{
    char *match = text_of(data + 1, len - 1);
    char *actions = strchr(match, '|');
    struct of_why_rule rule = {
        .table_id = *data % 8, .priority = *data, .version = version};

    if (actions) {
        *actions++ = '\0';
    }
    rule.match = match;
    rule.actions = actions ? actions : "drop";
    of_why_table_add_rule(t, &rule, NULL, 0);
    free(match);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct of_why_table *t = of_why_table_create();
    struct of_why_rule rule = {.match = "", .actions = ""};
    static const struct of_why_bucket buckets[2] = {{0, 1001}, {1, 1002}};
    uint32_t version = 0;
    size_t n_packets = 0;

    while (size >= 3 && version < 64 && n_packets < 4) {
        uint8_t what = data[0];
        size_t len = (size_t) (data[1] << 8 | data[2]);

        data += 3;
        size -= 3;
        len = len < size ? len : size;
        if (what == 'f' && len) {
            rule.version = ++version;
            rule.priority = (uint16_t) version;
            rule.table_id = data[0] % 8;
            of_why_table_add_rule(t, &rule, data, len);
        } else if (what == 't' && len) {
            add_text_rule(t, data, len, ++version);
        } else if (what == 'g') {
            of_why_table_add_group(t, buckets, 2, data, len);
        } else if (what == 'p') {
            n_packets++;
            send_packet(t, of_why_packet_create(data, len, len, 1), 1);
        } else if (what == 'w') {
            char *text = text_of(data, len);
            struct of_why_packet *packet;
            char *error = of_why_packet_from_text(text, &packet);

            n_packets++;
            check(!error == (packet != NULL));
            free(error);
            free(text);
            if (packet) {
                send_packet(t, packet, version);
            }
        }
        data += len;
        size -= len;
    }
    of_why_table_destroy(t);
    return 0;
}
