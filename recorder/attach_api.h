/* SPDX-License-Identifier: Apache-2.0 */
/* attach_api - the operations `attach` and `detach` (docs/api.md).
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_ATTACH_API_H
#define RECORDER_ATTACH_API_H 1

struct api_server;
struct attach;

/* Adds them; 'attach' must outlive the server's last request. */
void attach_api_add(struct api_server *, struct attach *attach);

#endif /* recorder/attach_api.h */
