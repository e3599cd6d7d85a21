/* SPDX-License-Identifier: Apache-2.0 */
/* of_hello - which OpenFlow version two HELLOs agree on.
 *
 * Threads: pure functions. */
#ifndef RECORDER_OF_HELLO_H
#define RECORDER_OF_HELLO_H 1

#include <stddef.h>
#include <stdint.h>

/* The versions that a HELLO offers: bit V for wire version V (1 is OpenFlow
 * 1.0, 4 is 1.3).  From its bitmap element if it has one, otherwise all up to
 * the version in its header.  'msg' is a whole message. */
uint32_t of_hello_versions(const uint8_t *msg, size_t len);

/* The version both sides will speak after these offers; 0 if none. */
uint8_t of_hello_agree(uint32_t a, uint32_t b);

#endif /* recorder/of_hello.h */
