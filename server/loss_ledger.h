/* SPDX-License-Identifier: Apache-2.0 */
/* loss_ledger - what switches say they sent against what came.
 *
 * The recorder tells the transmit counter of each postcard port every second.
 * Neither it nor the postcards carry a sequence number, and Open vSwitch
 * brings the counters of tunnels up to date only LOSS_LAG_NS late at most, so
 * that each reading gives bounds: what the switch sent up to some moment
 * between LOSS_LAG_NS before the question and the answer, less what came up to
 * then.  What is lost only grows; so bounds of several readings narrow each
 * other, and where the switch was quiet for LOSS_LAG_NS they are exact.
 *
 * Threads: any may tell of postcards that came, for all other functions one at
 * a time.  Time comes only from arguments. */
#ifndef SERVER_LOSS_LEDGER_H
#define SERVER_LOSS_LEDGER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOSS_LAG_NS   UINT64_C(2000000000) /* Of the switch's counters. */
#define LOSS_SLOT_NS  UINT64_C(10000000)   /* Times are no finer here. */
#define LOSS_SLACK_NS UINT64_C(20000000)   /* Of clocks, and of the way. */
/* A switch whose counters did not come for so long is not waited for. */
#define LOSS_SILENT_NS UINT64_C(3000000000)

struct loss_ledger;

struct loss_ledger *loss_ledger_create(void);
void loss_ledger_destroy(struct loss_ledger *);

/* Whether there were readings: before that, it is of no use to tell what came.
 */
bool loss_ledger_is_counting(const struct loss_ledger *);

/* A postcard that came. */
struct loss_came {
    uint64_t dpid, time_ns;
};
void loss_ledger_came(struct loss_ledger *, const struct loss_came *,
                      size_t n);
/* The same of 'n' postcards that others saw, by then or a slot later.  What
 * comes later than loss_ledger_set_told() said, and an 'n' of 0, which says
 * that others had come and were lost, make it begin anew for the switch. */
void loss_ledger_add(struct loss_ledger *, uint64_t dpid, uint64_t time_ns,
                     uint32_t n);
/* The ledger has been told of all that came before 'time_ns'; at first of
 * everything. */
void loss_ledger_set_told(struct loss_ledger *, uint64_t time_ns);

/* Readings of the first LOSS_LAG_NS are let pass: they may lack what came
 * before. 'dpid' was asked at 'asked_ns' and had sent 'n_sent' when its answer
 * came at 'time_ns'.  A counter that fell is that of a new port: begins anew.
 */
void loss_ledger_count(struct loss_ledger *, uint64_t dpid, uint64_t asked_ns,
                       uint64_t time_ns, uint64_t n_sent);

enum loss_answer {
    LOSS_UNKNOWN, /* The bounds do not tell, or nothing is counted. */
    LOSS_NOT_YET, /* A later reading may tell. */
    LOSS_NONE     /* All postcards came. */
};
/* Whether postcards that 'dpid' sent between the times are missing, as far as
 * is known at 'now_ns'. */
enum loss_answer loss_ledger_ask(struct loss_ledger *, uint64_t dpid,
                                 uint64_t from_ns, uint64_t to_ns,
                                 uint64_t now_ns);

/* At least and at most how many postcards of all switches are missing since
 * the readings began. */
void loss_ledger_sum(struct loss_ledger *, uint64_t now_ns, uint64_t *min,
                     uint64_t *max);

#endif /* server/loss_ledger.h */
