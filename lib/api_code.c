/* SPDX-License-Identifier: Apache-2.0 */
/* api_code - the ways in which a request can fail. */
#include <config.h>
#include "lib/api_code.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    int error;
} codes[] = {
    [API_BAD_REQUEST] = {"bad-request", EBADMSG},
    [API_UNKNOWN_OP] = {"unknown-op", EOPNOTSUPP},
    [API_BAD_FILTER] = {"bad-filter", EINVAL},
    [API_NOT_FOUND] = {"not-found", ENOENT},
    [API_UNAVAILABLE] = {"unavailable", EHOSTUNREACH},
    [API_LIMIT] = {"limit", EDQUOT},
    [API_DENIED] = {"denied", EACCES},
    [API_INTERNAL] = {"internal", EREMOTEIO},
};

const char *
api_code_name(enum api_code code)
{
    assert(code <= API_INTERNAL);
    return codes[code].name;
}

enum api_code
api_code_from_name(const char *name)
{
    for (size_t i = 0; name && i < sizeof codes / sizeof codes[0]; i++) {
        if (!strcmp(codes[i].name, name)) {
            return (enum api_code) i;
        }
    }
    return API_INTERNAL;
}

int
api_code_errno(enum api_code code)
{
    assert(code <= API_INTERNAL);
    return codes[code].error;
}
