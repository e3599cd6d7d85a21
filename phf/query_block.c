/* SPDX-License-Identifier: Apache-2.0 */
/* query_block - the histories of one block that match a filter. */
#include <config.h>

#include "phf/query_block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/archive_fetch.h"
#include "lib/history_codec.h"
#include "lib/lh_alloc.h"
#include "phf/flow_sieve.h"

/* Work of one step. */
#define FLOWS_PER_STEP   256
#define ROWS_PER_STEP    1024
#define ASKED_PER_STEP   128
#define RECORDS_PER_STEP 128

/* In a place: a row of columns; else the offset of a record. */
#define AT_ROW 0x80000000u

enum phase { PHASE_BEGIN, PHASE_FLOWS, PHASE_ROWS, PHASE_RECORDS };

/* What the dictionary says of a flow. */
enum verdict_of_flow {
    FLOW_MISS,
    FLOW_MATCH,
    FLOW_MODEL, /* Its model is still to be asked. */
    FLOW_ASK    /* So is each of its packets. */
};

/* --- Open and closed ---------------------------------------------------- */

static int
open_stored(struct query_block *b, struct lh_error *error)
{
    int retval;

    if (b->entry.block.kind == ARCHIVE_COLUMNS) {
        return archive_fetch_columns(b->dir, &b->entry, &b->columns, error);
    }
    retval = archive_fetch_load(b->dir, &b->entry, &b->payload, error);
    if (!retval) {
        retval = history_decoder_create(b->payload, b->entry.block.raw_len,
                                        &b->decoder, error);
    }
    return retval;
}

int
query_block_open(struct query_block *b, struct lh_error *error)
{
    int retval;

    if (b->columns || b->payload) {
        return 0;
    }
    retval =
        b->dir ? open_stored(b, error)
               : column_decoder_open(b->pending, b->pending_len,
                                     b->pending_table_len, &b->columns, error);
    if (retval) {
        query_block_close(b);
    }
    return retval;
}

void
query_block_close(struct query_block *b)
{
    if (b->payload) {
        history_decoder_destroy(b->decoder);
    }
    b->decoder = NULL;
    column_decoder_destroy(b->columns);
    b->columns = NULL;
    free(b->payload);
    b->payload = NULL;
    history_view_destroy(b->view);
    b->view = NULL;
    free(b->verdicts);
    b->verdicts = NULL;
}

size_t
query_block_size(const struct query_block *b)
{
    return (b->columns ? column_decoder_size(b->columns) : 0) +
           (b->payload ? b->entry.block.raw_len : 0);
}

/* --- Scanning ----------------------------------------------------------- */

void
query_block_rewind(struct query_block *b)
{
    b->phase = PHASE_BEGIN;
    b->flow = 0;
    b->row = 0;
    b->asks_rows = false;
    b->n_wanted = SIZE_MAX;
    free(b->verdicts);
    b->verdicts = NULL;
}

static enum verdict_of_flow
verdict_of(enum phf_result result, bool varies, uint32_t n_rows,
           struct query_block_counters *counters)
{
    if (varies) {
        return FLOW_ASK;
    }
    counters->scanned += n_rows;
    counters->n_limits += result == PHF_LIMIT ? n_rows : 0;
    return result == PHF_MATCH ? FLOW_MATCH : FLOW_MISS;
}

/* The addresses and ports of a flow. */
static struct flow_key
key_of(const struct column_decoder *d, size_t flow)
{
    struct column_key from = column_decoder_key(d, flow);
    struct flow_key key;

    memset(&key, 0, sizeof key);
    memcpy(key.bytes, from.src, from.n_addr);
    memcpy(key.bytes + from.n_addr, from.dst, from.n_addr);
    if (from.n_ports) {
        memcpy(key.bytes + 2 * from.n_addr, from.ports, from.n_ports);
    }
    return key;
}

/* What addresses, ports and shapes say of all flows, where 'answers' are those
 * for shapes; then of which models have to be asked. */
static bool
sift_flows(struct query_block *b, const struct flow_sieve *sieve,
           const uint8_t *answers, struct query_block_counters *counters)
{
    size_t n_flows = column_decoder_n_flows(b->columns);
    bool asks = false;

    for (size_t i = 0; i < n_flows; i++) {
        const struct column_flow *flow = column_decoder_flow(b->columns, i);
        enum flow_sieve_answer answer =
            (enum flow_sieve_answer) answers[flow->shape];

        if (answer == FLOW_SIEVE_SIFT) {
            struct flow_key key = key_of(b->columns, i);

            answer = flow_sieve_sift(
                sieve, column_decoder_shape_number(b->columns, flow->shape),
                &key);
        }
        if (answer == FLOW_SIEVE_ASK) {
            b->verdicts[i] = FLOW_MODEL;
            asks = true;
        } else {
            b->verdicts[i] =
                answer == FLOW_SIEVE_MATCH ? FLOW_MATCH : FLOW_MISS;
            counters->scanned += flow->n_rows;
            counters->n_limits +=
                answer == FLOW_SIEVE_LIMIT ? flow->n_rows : 0;
        }
    }
    return asks;
}

/* Asks the dictionary, whose shapes were read, all that needs no model. */
static int
ask_dictionary(struct query_block *b, const struct flow_sieve *sieve,
               struct query_block_counters *counters, struct lh_error *error)
{
    size_t n_shapes = column_decoder_n_shapes(b->columns);
    size_t n_flows = column_decoder_n_flows(b->columns);
    uint8_t *answers = lh_alloc(n_shapes + 1);
    bool asks = false;
    int retval = 0;

    for (size_t i = 0; i < n_shapes; i++) {
        answers[i] = (uint8_t) flow_sieve_shape(
            sieve, column_decoder_shape_number(b->columns, i));
        asks = asks || answers[i] == FLOW_SIEVE_SIFT;
    }
    if (asks) {
        retval = column_decoder_need_keys(b->columns, error);
    }
    if (!retval) {
        b->verdicts = lh_alloc(n_flows + 1);
        if (!sift_flows(b, sieve, answers, counters)) {
            b->flow = n_flows;
        } else {
            retval = column_decoder_need_models(b->columns, error);
        }
    }
    free(answers);
    return retval;
}

static int
begin_flows(struct query_block *b, const struct query_filter *filter,
            struct query_block_counters *counters, struct lh_error *error)
{
    struct flow_sieve *sieve =
        filter->sieves ? flow_sieves_take(filter->sieves)
                       : flow_sieve_create(filter->phf, filter->topology);
    int retval = flow_sieve_read(sieve, b->columns, NULL, NULL, error);

    if (!retval) {
        retval = ask_dictionary(b, sieve, counters, error);
    }
    if (filter->sieves) {
        flow_sieves_put(filter->sieves, sieve);
    } else {
        flow_sieve_destroy(sieve);
    }
    return retval;
}

/* Asks the models of some flows. */
static void
ask_flows(struct query_block *b, const struct query_filter *filter,
          struct query_block_counters *counters)
{
    size_t n_flows = column_decoder_n_flows(b->columns);
    int n_asked = 0;

    for (; n_asked < FLOWS_PER_STEP && b->flow < n_flows; b->flow++) {
        bool varies;
        enum phf_result result;

        if (b->verdicts[b->flow] != FLOW_MODEL) {
            continue;
        }
        result = phf_match_model(filter->phf,
                                 column_decoder_model(b->columns, b->flow),
                                 filter->topology, &varies);
        b->verdicts[b->flow] = (uint8_t) verdict_of(
            result, varies, column_decoder_flow(b->columns, b->flow)->n_rows,
            counters);
        b->asks_rows = b->asks_rows || varies;
        n_asked++;
    }
}

int
query_block_decide(struct query_block *b, const struct query_filter *filter,
                   struct flow_sieve *sieve,
                   struct query_block_counters *counters,
                   column_visit_function *visit, void *aux,
                   struct lh_error *why)
{
    int retval = flow_sieve_read(sieve, b->columns, visit, aux, why);

    if (!retval) {
        retval = ask_dictionary(b, sieve, counters, why);
    }
    while (!retval && b->flow < column_decoder_n_flows(b->columns)) {
        ask_flows(b, filter, counters);
    }
    return retval;
}

enum query_block_verdict
query_block_verdict(const struct query_block *b, size_t flow)
{
    return b->verdicts[flow] == FLOW_ASK     ? QUERY_FLOW_ASK
           : b->verdicts[flow] == FLOW_MATCH ? QUERY_FLOW_MATCH
                                             : QUERY_FLOW_MISS;
}

/* How many of the first flows have all whose packets have to be read. */
static size_t
find_wanted(const struct query_block *b)
{
    size_t n = column_decoder_n_flows(b->columns);

    while (n && b->verdicts[n - 1] == FLOW_MISS) {
        n--;
    }
    return n;
}

/* Looks at the row at hand of a flow that may match; returns how much work
 * that was. */
static int
look_at_row(struct query_block *b, const struct query_filter *filter,
            struct query_block_counters *counters,
            void (*found)(void *aux, const struct query_place *), void *aux)
{
    bool is_asked = b->verdicts[b->flow] == FLOW_ASK;
    struct query_place place = {
        .first_ns = column_decoder_first_ns(b->columns, b->flow, b->row),
        .at = AT_ROW |
              (uint32_t) (column_decoder_flow(b->columns, b->flow)->first_row +
                          b->row),
    };
    bool is_in_time = place.first_ns >= filter->since_ns &&
                      place.first_ns < filter->until_ns;

    if (is_in_time && is_asked) {
        enum phf_result result = PHF_MISS;
        const struct history *h;

        if (!column_decoder_history(b->columns, b->flow, b->row, &h, NULL)) {
            result = phf_match(filter->phf, h, filter->topology);
        }
        counters->n_limits += result == PHF_LIMIT;
        is_in_time = result == PHF_MATCH;
    }
    counters->scanned += is_asked;
    if (is_in_time) {
        found(aux, &place);
    }
    return is_asked ? ROWS_PER_STEP / ASKED_PER_STEP : 1;
}

/* Looks at some rows; false after the last. */
static bool
scan_rows(struct query_block *b, const struct query_filter *filter,
          struct query_block_counters *counters,
          void (*found)(void *aux, const struct query_place *), void *aux)
{
    size_t n_flows = column_decoder_n_flows(b->columns);
    int work = 0;

    while (work < ROWS_PER_STEP && b->flow < n_flows) {
        if (b->verdicts[b->flow] == FLOW_MISS ||
            b->row == column_decoder_flow(b->columns, b->flow)->n_rows) {
            b->flow++;
            b->row = 0;
        } else {
            work += look_at_row(b, filter, counters, found, aux);
            b->row++;
        }
    }
    return b->flow < n_flows;
}

/* Looks at some records; ENODATA after the last. */
static int
scan_records(struct query_block *b, const struct query_filter *filter,
             struct query_block_counters *counters,
             void (*found)(void *aux, const struct query_place *), void *aux,
             struct lh_error *error)
{
    if (!b->view) {
        b->view = history_view_create();
    }
    for (int i = 0; i < RECORDS_PER_STEP; i++) {
        struct history_record record;
        enum phf_result result;
        struct history *h;
        int retval = b->decoder
                         ? history_decoder_next(b->decoder, &record, error)
                         : ENODATA;

        if (retval) {
            return retval;
        }
        if (record.first_ns < filter->since_ns ||
            record.first_ns >= filter->until_ns ||
            history_decoder_view(b->decoder, record.offset, b->view, &h,
                                 NULL)) {
            continue;
        }
        counters->scanned++;
        result = phf_match(filter->phf, h, filter->topology);
        if (result == PHF_MATCH) {
            struct query_place place = {record.first_ns,
                                        (uint32_t) record.offset};

            found(aux, &place);
        }
        counters->n_limits += result == PHF_LIMIT;
    }
    return 0;
}

/* What the index says.  One that is not there, or broken, spares nothing. */
static enum block_sieve_answer
ask_index(struct query_block *b, const struct query_filter *filter,
          struct query_block_counters *counters)
{
    enum block_sieve_answer answer = BLOCK_SIEVE_ALL;
    struct block_index index;

    if (filter->sieve && !column_decoder_index(b->columns, &index, NULL)) {
        answer = block_sieve_ask(filter->sieve, &index);
        if (answer == BLOCK_SIEVE_NONE) {
            counters->scanned += index.n_records;
            counters->n_skipped++;
        } else if (answer == BLOCK_SIEVE_PLAIN) {
            counters->scanned += column_decoder_n_rows(b->columns);
        }
        block_index_uninit(&index);
    }
    return answer;
}

/* Begins with the flows, if there are any, or the records. */
static int
begin(struct query_block *b, const struct query_filter *filter,
      struct query_block_counters *counters, struct lh_error *error)
{
    enum block_sieve_answer answer = BLOCK_SIEVE_NONE;
    int retval = 0;

    b->phase = PHASE_RECORDS;
    if (b->columns) {
        answer = ask_index(b, filter, counters);
    }
    if (answer == BLOCK_SIEVE_ALL) {
        b->phase = PHASE_FLOWS;
        retval = begin_flows(b, filter, counters, error);
    }
    if (answer != BLOCK_SIEVE_NONE && !retval) {
        retval = column_decoder_plain(b->columns, &b->decoder, error);
    }
    return retval;
}

/* The dictionary is done: reads what it leaves open. */
static int
end_flows(struct query_block *b, struct lh_error *error)
{
    int retval = 0;

    b->flow = 0;
    b->phase = PHASE_RECORDS;
    b->n_wanted = find_wanted(b);
    column_decoder_want_flows(b->columns, b->n_wanted);
    if (b->n_wanted) {
        b->phase = PHASE_ROWS;
        retval = column_decoder_need_times(b->columns, error);
        if (!retval && b->asks_rows) {
            retval = column_decoder_need_rows(b->columns, error);
        }
    }
    return retval;
}

enum query_block_state
query_block_step(struct query_block *b, const struct query_filter *filter,
                 struct query_block_counters *counters,
                 void (*found)(void *aux, const struct query_place *),
                 void *aux, int *error, struct lh_error *why)
{
    int retval = 0;

    switch ((enum phase) b->phase) {
    case PHASE_BEGIN:
        retval = begin(b, filter, counters, why);
        break;
    case PHASE_FLOWS:
        if (b->flow < column_decoder_n_flows(b->columns)) {
            ask_flows(b, filter, counters);
        } else {
            retval = end_flows(b, why);
        }
        break;
    case PHASE_ROWS:
        if (!scan_rows(b, filter, counters, found, aux)) {
            b->phase = PHASE_RECORDS;
        }
        break;
    case PHASE_RECORDS:
        retval = scan_records(b, filter, counters, found, aux, why);
        if (retval == ENODATA) {
            return QUERY_BLOCK_END;
        }
        break;
    }
    *error = retval;
    return retval ? QUERY_BLOCK_BROKEN : QUERY_BLOCK_MORE;
}

/* --- Reading ------------------------------------------------------------ */

static size_t
find_flow(const struct column_decoder *d, uint32_t row)
{
    size_t low = 0, high = column_decoder_n_flows(d);

    while (high - low > 1) {
        size_t middle = (low + high) / 2;

        if (column_decoder_flow(d, middle)->first_row <= row) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

int
query_block_load(struct query_block *b, struct lh_error *why)
{
    struct history_decoder *plain;
    int retval = 0;

    if (b->columns) {
        column_decoder_want_flows(b->columns, b->n_wanted);
        retval = column_decoder_need_times(b->columns, why);
        if (!retval) {
            retval = column_decoder_need_rows(b->columns, why);
        }
        if (!retval) {
            retval = column_decoder_plain(b->columns, &plain, why);
        }
    }
    return retval;
}

int
query_block_history(struct query_block *b, uint32_t at,
                    const struct history **h, struct history **owned,
                    struct lh_error *why)
{
    struct history_decoder *plain = b->decoder;
    int retval = 0;

    *owned = NULL;
    if (at & AT_ROW) {
        uint32_t row = at & ~AT_ROW;
        size_t flow = find_flow(b->columns, row);

        retval = column_decoder_need_times(b->columns, why);
        if (!retval) {
            retval = column_decoder_need_rows(b->columns, why);
        }
        if (!retval) {
            row -= column_decoder_flow(b->columns, flow)->first_row;
            retval = column_decoder_history(b->columns, flow, row, h, why);
        }
    } else {
        if (b->columns) {
            retval = column_decoder_plain(b->columns, &plain, why);
        }
        if (!retval) {
            retval =
                plain ? history_decoder_read(plain, at, owned, why) : EBADMSG;
        }
        *h = *owned;
    }
    return retval;
}
