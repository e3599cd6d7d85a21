/* SPDX-License-Identifier: Apache-2.0 */
/* of_text - messages as ovs-ofctl writes what is in them. */
#include <config.h>
#include "recorder/of_text.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_ovs.h"

char *
of_text_from_group(const uint8_t *msg, size_t len)
{
    struct ofpbuf *b;
    enum ofptype type;
    const char *start;
    char *text, *result = NULL;

    if (len < 8) {
        return NULL;
    }
    b = of_ovs_message(msg, len);
    if (!ofptype_decode(&type, b->data) && type == OFPTYPE_GROUP_MOD) {
        /* "OFPT_GROUP_MOD (OF1.3) (xid=0x0): ADD group_id=1,.." */
        text = ofp_to_string(b->data, b->size, NULL, NULL, 1);
        start = strstr(text, " ADD ");
        start = start ? start : strstr(text, " MOD ");
        if (start) {
            start += strlen(" ADD ");
            start += strspn(start, " ");
            result = lh_strdup(start);
            result[strcspn(result, "\n")] = '\0';
        }
        free(text);
    }
    ofpbuf_delete(b);
    return result;
}

char *
of_text_to_group(const char *text, uint8_t version, uint8_t **msg, size_t *len)
{
    enum ofputil_protocol usable;
    struct ofputil_group_mod gm;
    char *error =
        parse_ofp_group_mod_str(&gm, OFPGC11_ADD, text, NULL, NULL, &usable);

    if (error) {
        return error;
    }
    of_ovs_take(ofputil_encode_group_mod(version, &gm, &gm.buckets, -1), 0,
                msg, len);
    ofputil_uninit_group_mod(&gm);
    return NULL;
}
