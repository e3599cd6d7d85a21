/* SPDX-License-Identifier: Apache-2.0 */
/* retain - tells the recorder how far back the archive reaches. */
#include <config.h>
#include "server/retain.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/archive_span.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "server/recorder_link.h"

#define EVERY_NS UINT64_C(60000000000)
#define MAX_NAME 255 /* As the recorder takes it. */
/* Packets of the oldest block may have met rules of so long before. */
#define MARGIN_NS UINT64_C(60000000000)

static void
on_answer(void *aux, int error_number, const json_t *answer,
          const struct lh_error *error)
{
    /* A recorder that does not know the request keeps what its own options
     * say. */
}

/* "HOST:DIRECTORY", by which the recorder tells servers apart. */
static json_t *
name_of(const char *archive)
{
    char host[HOST_NAME_MAX + 1] = "";
    char *path = realpath(archive, NULL);
    char *name;
    json_t *json;

    gethostname(host, sizeof host - 1);
    name = lh_asprintf("%s:%s", host, path ? path : archive);
    if (strlen(name) > MAX_NAME) {
        /* What tells archives apart stands at the end. */
        memmove(name, name + strlen(name) - MAX_NAME, MAX_NAME + 1);
    }
    json = jmember_text_new(name);
    free(name);
    free(path);
    return json;
}

void
retain_tell(struct retain *r, struct recorder_link *link, const char *archive,
            uint64_t now_ns)
{
    uint64_t oldest_ns;

    if (!archive || !link || !recorder_link_is_synced(link) ||
        now_ns < r->told_ns + EVERY_NS) {
        return;
    }
    r->told_ns = now_ns;
    /* Blocks of a clock that was ahead need no tables; those after them do. */
    if (archive_span_oldest(archive, now_ns, &oldest_ns, NULL)) {
        oldest_ns = now_ns; /* Nothing is archived yet. */
    }
    oldest_ns -= oldest_ns > MARGIN_NS ? MARGIN_NS : 0;
    recorder_link_call(link, "retain",
                       json_pack("{s:o, s:I}", "name", name_of(archive),
                                 "since", (json_int_t) oldest_ns),
                       on_answer, r);
}
