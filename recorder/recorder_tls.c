/* SPDX-License-Identifier: Apache-2.0 */
/* recorder_tls - the keys and certificates that the command line names. */
#include <config.h>

#include "recorder/recorder_config.h"

int
recorder_tls_open(const struct recorder_config *config,
                  struct tls **switch_tls, struct tls **controller_tls,
                  struct lh_error *error)
{
    int retval = 0;

    for (size_t i = 0; !retval && i < config->n_routes; i++) {
        const struct recorder_route *route = &config->routes[i];

        if (route->listen.is_tls && !*switch_tls) {
            retval = tls_create(&config->switch_tls, switch_tls, error);
        }
        if (!retval && route->controller->is_tls && !*controller_tls) {
            retval =
                tls_create(&config->controller_tls, controller_tls, error);
        }
    }
    return retval;
}
