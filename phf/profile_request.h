/* SPDX-License-Identifier: Apache-2.0 */
/* profile_request - what a request `profile` asks for (docs/api.md).
 *
 * Ownership: plain data; profile_request_uninit() frees what it holds.
 *
 * Threads: plain data. */
#ifndef PHF_PROFILE_REQUEST_H
#define PHF_PROFILE_REQUEST_H 1

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/lh_error.h"
#include "lib/topology.h"
#include "phf/profile_block.h"

/* All zero at first, but ask.topology, which is a reference or NULL. */
struct profile_request {
    struct profile_ask ask; /* Its until_ns is UINT64_MAX without has_until. */
    bool has_since, has_until;
    uint64_t top;
};

struct profile_request_names {
    const struct topology *topology; /* NULL: only numbers are known. */
    uint64_t now_ns;                 /* For times such as "-10m". */
};

/* 0, or EINVAL with the reason; '*is_filter': what is wrong is the filter. */
int profile_request_read(struct profile_request *, const json_t *request,
                         const struct profile_request_names *, bool *is_filter,
                         struct lh_error *);
void profile_request_uninit(struct profile_request *);
/* Whether its answer has addresses of packets. */
bool profile_request_tells_addresses(const struct profile_request *);
/* The same as 'request', which it was read from, in numbers, without times and
 * top: a new object. */
json_t *profile_request_numeric(const struct profile_request *,
                                const json_t *request);

#endif /* phf/profile_request.h */
