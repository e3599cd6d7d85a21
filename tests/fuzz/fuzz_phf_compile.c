/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes phf_compile() with any text: it compiles, and then can be explained
 * and matched, or there is a reason whose place is in the text. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "phf/phf.h"
#include "phf/phf_explain.h"
#include "tests/fuzz/fuzz.h"

static void
add_hop(struct history *h, uint64_t dpid)
{
    static const uint8_t packet[34] = {2, 0,  0, 0, 0, 2, 2,    0,
                                       0, 0,  0, 1, 8, 0, 0x45, 0,
                                       0, 60, 0, 1, 0, 0, 64,   17};
    struct history_hop *hop = history_add_hop(h);

    hop->parent = (int) h->n_hops - 2;
    hop->dpid = dpid;
    hop->in_port = 1;
    history_hop_add_out(hop, 2);
    history_hop_add_version(hop, 7);
    history_hop_set_header(hop, packet, sizeof packet);
}

/* Uses what was compiled in every way there is. */
static void
use(const struct phf *phf, const char *text)
{
    struct history *h = history_create(1);
    char *explained;
    size_t len;
    FILE *stream = open_memstream(&explained, &len);

    if (strcmp(phf_text(phf), text)) {
        abort();
    }
    phf_explain(phf, stream);
    fclose(stream);
    if (!len) {
        abort();
    }
    free(explained);
    phf_match(phf, h, NULL);
    add_hop(h, 1);
    add_hop(h, 2);
    add_hop(h, 1);
    phf_match(phf, h, NULL);
    history_destroy(h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct lh_error error = {"", -2};
    struct phf *phf;

    if (!text) {
        return 0;
    }
    if (size) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    if (!phf_compile(text, NULL, &phf, &error)) {
        use(phf, text);
        phf_destroy(phf);
    } else {
        char *underlined = phf_underline(text, &error);

        if (phf || !error.text[0] || error.pos < 0 ||
            (size_t) error.pos > strlen(text) || !underlined) {
            abort();
        }
        free(underlined);
    }
    free(text);
    return 0;
}
