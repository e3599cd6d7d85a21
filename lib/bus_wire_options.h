/* SPDX-License-Identifier: Apache-2.0 */
/* bus_wire_options - what libnats is told of the connection that a bus wants.
 *
 * For lib/bus_wire.c only.
 *
 * Threads: any. */
#ifndef LIB_BUS_WIRE_OPTIONS_H
#define LIB_BUS_WIRE_OPTIONS_H 1

#include "lib/lh_error.h"

struct bus_options;

/* Sets '*options' to new natsOptions, for natsOptions_Destroy(): addresses,
 * files, time-outs.  EINVAL with a reason that names the file or address that
 * cannot be used; '*options' is then NULL. */
int bus_wire_options_create(const struct bus_options *, void **options,
                            struct lh_error *);

/* Why this thread's last attempt to connect ended with 'status', a
 * natsStatus. */
const char *bus_wire_options_why(int status);

#endif /* lib/bus_wire_options.h */
