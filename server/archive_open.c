/* SPDX-License-Identifier: Apache-2.0 */
/* archive_open - opens the server's archive, as its options say. */
#include <config.h>

#include "server/archive_open.h"

#include "lib/say.h"
#include "lib/time_spec.h"

int
archive_open(const struct options *o, struct archive_writer **archive,
             struct lh_error *error)
{
    struct archive_writer_config config = {
        .dir = o->archive,
        .packet_id = o->id_config,
        .flow_log = o->flow_log,
        .retain_bytes = o->retain_bytes,
        .retain_ns = o->retain_ns,
        .now_ns = time_spec_now(),
        .unit = o->is_archive_us ? COLUMN_UNIT_US : COLUMN_UNIT_AUTO,
        .merges = true,
    };
    struct archive_recovery recovery;

    *archive = NULL;
    if (!o->archive) {
        return 0;
    }

    int retval = archive_writer_open(&config, archive, &recovery, error);

    if (retval) {
        lh_error_prefix(error, "archive");
        return retval;
    }
    if (recovery.was_torn) {
        say_warn("archive: %s: cut %llu bytes at byte %llu, which a server "
                 "that died left half written",
                 recovery.file, (unsigned long long) recovery.n_cut,
                 (unsigned long long) recovery.offset);
    }
    if (recovery.is_damaged) {
        say_warn("archive: damaged: %s", recovery.damage);
    }
    return 0;
}
