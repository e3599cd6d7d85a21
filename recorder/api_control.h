/* SPDX-License-Identifier: Apache-2.0 */
/* api_control - the operations of recorder.sock by which an operator steers
 * it: status, pause, resume, select.* (docs/api.md).
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_API_CONTROL_H
#define RECORDER_API_CONTROL_H 1

#include <jansson.h>

struct api_server;
struct control;
struct flow_log;

struct api_control_env {
    struct control *control;
    struct flow_log *log;

    /* Brings every switch in line with 'control'; a new array with an object
     * for each that is connected: what it is now. */
    json_t *(*apply)(void *aux);
    /* Everything at a glance, a new object. */
    json_t *(*status)(void *aux);
    void *aux;
};

/* Adds the operations; 'env' must outlive the server. */
void api_control_add(struct api_server *, struct api_control_env *env);

#endif /* recorder/api_control.h */
