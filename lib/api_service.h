/* SPDX-License-Identifier: Apache-2.0 */
/* api_service - what every API server answers about itself and its clients:
 * `hello`, `clients`, `log.level` (docs/api.md).
 *
 * Threads: that of the event loop. */
#ifndef LIB_API_SERVICE_H
#define LIB_API_SERVICE_H 1

/* The protocol that this program speaks; older ones would be down to
 * API_PROTOCOL_MIN. */
#define API_PROTOCOL     1
#define API_PROTOCOL_MIN 1

/* The name of the feature by which histories come as bytes. */
#define API_FEATURE_BINARY "binary"

struct api_server;

/* Adds the operations.  'program' and 'features' are those of struct
 * api_server_config. */
void api_service_add(struct api_server *, const char *program,
                     const char *const *features);

#endif /* lib/api_service.h */
