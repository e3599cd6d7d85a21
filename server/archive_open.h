/* SPDX-License-Identifier: Apache-2.0 */
/* archive_open - opens the server's archive, as its options say.
 *
 * Threads: any. */
#ifndef SERVER_ARCHIVE_OPEN_H
#define SERVER_ARCHIVE_OPEN_H 1

#include "lib/archive_writer.h"
#include "lib/lh_error.h"
#include "server/options.h"

/* Opens the archive, for archive_writer_close(), and says what a server that
 * died has left there; NULL without --archive.  Returns 0, or an errno as
 * archive_writer_open(). */
int archive_open(const struct options *, struct archive_writer **,
                 struct lh_error *);

#endif /* server/archive_open.h */
