/* SPDX-License-Identifier: Apache-2.0 */
/* of_text - messages as ovs-ofctl writes what is in them.
 *
 * Threads: pure functions. */
#ifndef RECORDER_OF_TEXT_H
#define RECORDER_OF_TEXT_H 1

#include <stddef.h>
#include <stdint.h>

/* The group that the group-mod 'msg' makes ("group_id=1,type=select,bucket=
 * .."), malloc()ed; NULL when it is no group-mod. */
char *of_text_from_group(const uint8_t *msg, size_t len);
/* The group-mod that adds the group in 'text', for OpenFlow 'version'. Returns
 * NULL, or a malloc()ed reason. */
char *of_text_to_group(const char *text, uint8_t version, uint8_t **msg,
                       size_t *len);

#endif /* recorder/of_text.h */
