/* SPDX-License-Identifier: Apache-2.0 */
/* api_code - the ways in which a request can fail, as the `code` of an error
 * answer (docs/api.md).
 *
 * Threads: pure functions. */
#ifndef LIB_API_CODE_H
#define LIB_API_CODE_H 1

enum api_code {
    API_BAD_REQUEST, /* Not JSON, no op, a member missing or of wrong type. */
    API_UNKNOWN_OP,
    API_BAD_FILTER,
    API_NOT_FOUND,
    API_UNAVAILABLE, /* The part that knows cannot be reached. */
    API_LIMIT,       /* More than this server takes. */
    API_DENIED,      /* Not for this client. */
    API_INTERNAL
};

/* The name on the wire ("bad-request"). */
const char *api_code_name(enum api_code);
/* The code of 'name'; API_INTERNAL for NULL or a name that is not known. */
enum api_code api_code_from_name(const char *name);
/* What a client's function returns for it: a positive errno, another one for
 * each code. */
int api_code_errno(enum api_code);

#endif /* lib/api_code.h */
