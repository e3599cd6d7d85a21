/* SPDX-License-Identifier: Apache-2.0 */
/* archive_fixture - what tests of archives share: a directory that goes away,
 * and reading all of an archive.
 *
 * Threads: plain data. */
#ifndef TESTS_LIB_ARCHIVE_FIXTURE_H
#define TESTS_LIB_ARCHIVE_FIXTURE_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/archive_reader.h"
#include "lib/archive_writer.h"
#include "lib/history.h"

#define FIXTURE_NOW_NS 1700000000000000000ull

/* A new empty directory under $TMPDIR, its path for free(). */
char *fixture_dir(void);
/* Removes it with all that is in it, and the path. */
void fixture_remove(char *dir);

/* Opens a writer with small blocks and the defaults, or fails the test. */
struct archive_writer *fixture_writer(const char *dir,
                                      struct archive_recovery *recovery);
/* Opens a reader, or fails the test. */
struct archive_reader *fixture_reader(const char *dir);

/* All histories of all readable blocks, in order; '*n' is how many.  The
 * array and what is in it are the caller's. */
struct history **fixture_read_all(struct archive_reader *, size_t *n);
void fixture_free_all(struct history **, size_t n);
/* How many there are. */
size_t fixture_count(struct archive_reader *);

/* Adds 'n' histories with packet IDs from 'first_id' on, whose time is
 * FIXTURE_NOW_NS plus the ID in seconds. */
void fixture_add(struct archive_writer *, uint64_t first_id, size_t n);

/* What merges takes only what time others leave it; a test does not wait for
 * that: all threads of this process run like any other. */
void fixture_hurry(void);

#endif /* tests/lib/archive_fixture.h */
