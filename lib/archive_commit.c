/* SPDX-License-Identifier: Apache-2.0 */
/* archive_commit - the file `commit` of an archive that is one shard of a
 * cluster. */
#include <config.h>

#include "lib/archive_commit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/archive_dir.h"
#include "lib/lh_alloc.h"

#define COMMIT_VERSION 1
/* All but the checksum of these bytes. */
#define COMMIT_TEXT                                                           \
    "lasthop-commit %u\ncluster %016" PRIx64 "\nepoch %" PRIu64               \
    "\nround %" PRIu64 "\nbefore %" PRIu64 " %" PRIu64 "\nafter %" PRIu64     \
    " %" PRIu64 "\n"
#define COMMIT_MAX 512

static char *
to_text(const struct archive_commit *c)
{
    return lh_asprintf(COMMIT_TEXT, COMMIT_VERSION, c->cluster, c->epoch,
                       c->round, c->before.number, c->before.offset,
                       c->after.number, c->after.offset);
}

/* Reads what to_text() and the checksum behind it make. */
static int
from_text(const char *text, struct archive_commit *c, struct lh_error *error)
{
    unsigned int version = 0;
    uint64_t check = 0;
    int n =
        sscanf(text,
               "lasthop-commit %u cluster %" SCNx64 " epoch %" SCNu64
               " round %" SCNu64 " before %" SCNu64 " %" SCNu64
               " after %" SCNu64 " %" SCNu64 " check %" SCNx64,
               &version, &c->cluster, &c->epoch, &c->round, &c->before.number,
               &c->before.offset, &c->after.number, &c->after.offset, &check);
    char *again, *whole;
    int retval = 0;

    if (n >= 1 && version > COMMIT_VERSION) {
        lh_error_set(error,
                     "a newer lasthop wrote it: version %u, this program "
                     "reads up to %u",
                     version, COMMIT_VERSION);
        return EPROTONOSUPPORT;
    }
    again = to_text(c);
    whole = lh_asprintf("%scheck %016" PRIx64 "\n", again, check);
    if (n != 9 || version != COMMIT_VERSION || strcmp(text, whole) != 0 ||
        XXH64(again, strlen(again), 0) != check) {
        lh_error_set(error, "it is damaged; remove it to keep all histories "
                            "of this shard, some of the last second perhaps "
                            "twice");
        retval = EBADMSG;
    }
    free(again);
    free(whole);
    return retval;
}

int
archive_commit_load(const char *dir, struct archive_commit *c,
                    struct lh_error *error)
{
    char *path = lh_asprintf("%s/commit", dir);
    FILE *stream = fopen(path, "re");
    char text[COMMIT_MAX + 1];
    int retval = 0;

    memset(c, 0, sizeof *c);
    if (!stream) {
        retval = errno;
        lh_error_set(error, "%s", strerror(retval));
    } else {
        size_t n = fread(text, 1, COMMIT_MAX, stream);

        text[n] = '\0';
        retval = ferror(stream) ? EIO : from_text(text, c, error);
        fclose(stream);
    }
    if (retval) {
        lh_error_prefix(error, "%s", path);
    }
    free(path);
    return retval;
}

int
archive_commit_store(const char *dir, const struct archive_commit *c,
                     struct lh_error *error)
{
    char *path = lh_asprintf("%s/commit", dir);
    char *temporary = lh_asprintf("%s/commit.new", dir);
    char *text = to_text(c);
    FILE *stream = fopen(temporary, "we");
    int retval = 0;

    if (!stream) {
        retval = errno;
    } else {
        if (fprintf(stream, "%scheck %016" PRIx64 "\n", text,
                    (uint64_t) XXH64(text, strlen(text), 0)) < 0 ||
            fflush(stream) || fsync(fileno(stream))) {
            retval = errno ? errno : EIO;
        }
        if (fclose(stream) && !retval) {
            retval = errno;
        }
        if (!retval && rename(temporary, path)) {
            retval = errno;
        }
        if (!retval) {
            retval = archive_dir_sync(dir);
        } else {
            unlink(temporary);
        }
    }
    if (retval) {
        lh_error_set(error, "%s: %s", path, strerror(retval));
    }
    free(text);
    free(temporary);
    free(path);
    return retval;
}
