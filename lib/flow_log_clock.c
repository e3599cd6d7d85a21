/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_clock - from times to rows.
 *
 * Times rise with the rows, so that a time is found by halving.  Only where
 * the clock was set back they do not; the table `clock` has those rows, and
 * each stretch between two of them is searched, from the newest. */
#include <config.h>

#include "lib/flow_log.h"

#include "lib/flow_log_db.h"

/* The time of the first row from 'seq' on, whose number is set too; past the
 * last row '*time_ns' is UINT64_MAX. */
static bool
time_at(struct flow_log *log, uint64_t *seq, uint64_t *time_ns)
{
    struct db_statement *s = flow_log_db_statement(log, STATEMENT_TIME_AT);

    *time_ns = UINT64_MAX;
    db_bind_int(s, 1, (int64_t) *seq);
    if (db_step(s)) {
        *seq = (uint64_t) db_int(s, 0);
        *time_ns = (uint64_t) db_int(s, 1);
    }
    return db_reset(s);
}

/* The last row of first..end-1 whose time is not after 'time_ns', or 0. */
static bool
seek_stretch(struct flow_log *log, uint64_t first, uint64_t end,
             uint64_t time_ns, uint64_t *found)
{
    uint64_t low = first, high = end;

    *found = 0;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2, seq = mid, row_ns;

        if (!time_at(log, &seq, &row_ns)) {
            return false;
        }
        if (seq >= high || row_ns > time_ns) {
            high = mid;
        } else {
            *found = seq;
            low = seq + 1;
        }
    }
    return true;
}

bool
flow_log_clock_seek(struct flow_log *log, uint64_t time_ns, uint64_t *found)
{
    int64_t last;
    uint64_t end, first;

    *found = 0;
    if (!db_get_int(log->db, "SELECT max(seq) FROM note", &last)) {
        return false;
    }
    for (end = (uint64_t) last + 1; end > 1 && !*found; end = first) {
        struct db_statement *s =
            flow_log_db_statement(log, STATEMENT_GET_CLOCK);

        db_bind_int(s, 1, (int64_t) end);
        first = db_step(s) ? (uint64_t) db_int(s, 0) : 1;
        if (!db_reset(s) || !seek_stretch(log, first, end, time_ns, found)) {
            return false;
        }
    }
    return true;
}

bool
flow_log_clock_first(struct flow_log *log, uint64_t time_ns, uint64_t *after)
{
    int64_t last;
    uint64_t end, first;

    if (!db_get_int(log->db, "SELECT max(seq) FROM note", &last)) {
        return false;
    }
    *after = (uint64_t) last;
    for (end = (uint64_t) last + 1; end > 1; end = first) {
        struct db_statement *s =
            flow_log_db_statement(log, STATEMENT_GET_CLOCK);
        uint64_t found, next, next_ns;

        db_bind_int(s, 1, (int64_t) end);
        first = db_step(s) ? (uint64_t) db_int(s, 0) : 1;
        if (!db_reset(s) ||
            !seek_stretch(log, first, end, time_ns - 1, &found)) {
            return false;
        }
        next = found ? found + 1 : first;
        if (!time_at(log, &next, &next_ns)) {
            return false;
        }
        if (next < end) {
            *after = next - 1;
        }
    }
    return true;
}
