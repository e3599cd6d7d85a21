/* SPDX-License-Identifier: Apache-2.0 */
/* agent_book - what the server knows of each lasthop-agent, by agent ID:
 * which batch it took last, what postcards the agent says were lost.
 *
 * The numbers of the last batches outlive the server in a file, so that what
 * an agent sends again after a restart is known.  Losses are remembered for
 * AGENT_BOOK_LOSS_NS, so that a history may say that postcards are missing.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_AGENT_BOOK_H
#define SERVER_AGENT_BOOK_H 1

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/agent_frame.h"
#include "lib/lh_error.h"
#include "lib/topology.h"
#include "server/clock_offset.h"

#define AGENT_BOOK_MAX      4096 /* Agents; the one not seen longest goes. */
#define AGENT_BOOK_SWITCHES 4096 /* Switches that agents tell of. */
#define AGENT_BOOK_LOSSES   4096 /* Losses remembered. */
#define AGENT_BOOK_LOSS_NS  UINT64_C(300000000000)
/* Clocks of hosts may differ by so much. */
#define AGENT_BOOK_SLACK_NS UINT64_C(100000000)

struct agent_entry {
    uint8_t id[AGENT_ID_LEN];
    char name[AGENT_MAX_NAME + 1]; /* Of the host; "" not known yet. */
    uint64_t last_seq;             /* Taken, and safe; 0: none. */
    uint64_t taken_seq;            /* Taken; when above that, not safe yet. */
    uint64_t seen_ns;              /* When it was heard of last. */
    uint64_t arrived_ns; /* All postcards up to that stamp have come, */
    bool is_connected;   /* as far as it told. */
    uint32_t threshold;  /* In force in its last batch. */
    uint32_t want;       /* What its CPU budget allows. */
    uint64_t batches, postcards, bytes, duplicates;
    uint64_t lost[N_AGENT_PLACES]; /* Postcards, by place. */
};

struct agent_book;

struct agent_book *agent_book_create(void);
void agent_book_destroy(struct agent_book *);

/* Reads, or writes (whole, or not at all), the file.  No file is an empty one.
 * Returns an errno value with the reason otherwise. */
int agent_book_load(struct agent_book *, const char *path, struct lh_error *);
int agent_book_save(const struct agent_book *, const char *path,
                    struct lh_error *);

/* The entry of the ID, made if there is none; good until the next call. */
struct agent_entry *agent_book_get(struct agent_book *,
                                   const uint8_t id[AGENT_ID_LEN],
                                   uint64_t now_ns);
size_t agent_book_count(const struct agent_book *);
const struct agent_entry *agent_book_at(const struct agent_book *, size_t i);

/* The agent tells of the switch. */
void agent_book_note_switch(struct agent_book *, uint64_t dpid,
                            const uint8_t id[AGENT_ID_LEN]);
/* The agent that tells of the switch, or NULL. */
const struct agent_entry *agent_book_of_switch(const struct agent_book *,
                                               uint64_t dpid);

/* How many switches agents tell of, and number 'i' of them; '*entryp' is its
 * agent, or NULL. */
size_t agent_book_n_switches(const struct agent_book *);
uint64_t agent_book_switch_at(const struct agent_book *, size_t i,
                              const struct agent_entry **entryp);

/* Notes a loss, which counts for 'entry'. */
void agent_book_lose(struct agent_book *, struct agent_entry *entry,
                     const struct agent_loss *, uint64_t now_ns);

enum agent_loss_answer {
    AGENT_LOSS_UNKNOWN, /* No agent tells of that switch. */
    AGENT_LOSS_NOT_YET, /* Its agent may still tell. */
    AGENT_LOSS_NONE,    /* All its postcards of that time have come. */
    AGENT_LOSS_SOME     /* Some are lost; see '*placep'. */
};
/* Whether postcards that switch 'dpid' sent between the times were lost. */
enum agent_loss_answer agent_book_ask(const struct agent_book *, uint64_t dpid,
                                      uint64_t from_ns, uint64_t to_ns,
                                      enum agent_place *placep);

/* A new array with an object for each agent (docs/api.md); 'delays' tell how
 * far the clocks of the first AGENT_BOOK_CLOCKS hosts are apart. */
#define AGENT_BOOK_CLOCKS 256
json_t *agent_book_to_json(const struct agent_book *,
                           const struct clock_delays *delays, uint64_t now_ns);

/* A topology of the names in 'topology' (may be NULL), and of whose clock each
 * switch has that an agent tells of, and how that goes. */
struct topology *agent_book_tell_clocks(const struct agent_book *,
                                        const struct clock_delays *,
                                        uint64_t now_ns,
                                        const struct topology *topology);
#endif /* server/agent_book.h */
