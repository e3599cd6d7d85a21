/* SPDX-License-Identifier: Apache-2.0 */
/* agent_frame - what lasthop-agent and lasthop-server say to each other on a
 * TCP connection (docs/formats/agent.md).
 *
 *     struct byte_buf out = BYTE_BUF_INIT;
 *     agent_frame_put_ack(&out, seq);
 *     .. send ..
 *
 *     switch (agent_frame_read(data, len, &used, &frame, &error)) {
 *     case 0:      .. frame.type, frame.ack.seq .. ; data += used; break;
 *     case EAGAIN: .. more bytes are needed .. ; break;
 *     default:     .. EBADMSG: close the connection ..
 *     }
 *
 * Ownership: what a frame that was read points to is in the bytes it was read
 * from, and good as long as they are.
 *
 * Threads: pure functions. */
#ifndef LIB_AGENT_FRAME_H
#define LIB_AGENT_FRAME_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"

#define AGENT_PROTOCOL     1
#define AGENT_DEFAULT_PORT 6082
#define AGENT_ID_LEN       16
#define AGENT_MAX_NAME     255
#define AGENT_MAX_TEXT     1000
/* A frame is not longer, its length included; and not before both sides have
 * said hello. */
#define AGENT_FRAME_MAX       (4u << 20)
#define AGENT_FRAME_MAX_HELLO 2048
/* Nor one of a server's, then. */
#define AGENT_FRAME_MAX_SERVER (32u << 10)
#define AGENT_FRAME_HEAD       5    /* Length, type. */
#define AGENT_LOSS_MAX         1024 /* Switches in one LOSS. */
#define AGENT_SERVERS_MAX      64   /* Servers in one SERVERS, */
#define AGENT_SERVER_TEXT      255  /* each so long. */

/* Every packet; otherwise those of which ID >> 32 is not above. */
#define AGENT_THRESHOLD_ALL UINT32_MAX

enum agent_frame_type {
    AGENT_HELLO = 1, /* Agent: first. */
    AGENT_WELCOME,   /* Server: the answer, or ... */
    AGENT_REFUSED,   /* ... why not, and it closes. */
    AGENT_BATCH,     /* Agent: postcards. */
    AGENT_LOSS,      /* Agent: postcards that are missing. */
    AGENT_ACK,       /* Server: all up to 'seq' was taken. */
    AGENT_THRESHOLD, /* Server: from now on. */
    AGENT_WANT,      /* Agent: the threshold that its CPU budget allows. */
    AGENT_PING,      /* Either; answered by ... */
    AGENT_PONG,
    AGENT_SERVERS, /* Server: who takes agents, to those that ask for it. */
    N_AGENT_FRAME_TYPES
};

struct agent_hello {
    uint16_t protocol_min, protocol_max;
    uint8_t id[AGENT_ID_LEN]; /* Random, kept with the spool. */
    uint64_t start_ns;        /* When the agent started. */
    uint64_t id_seed;         /* Of packet IDs; as the switches have it. */
    uint16_t id_bytes;
    uint16_t snap;       /* The longest header; 0: not known yet. */
    const uint8_t *name; /* Of the host; printable ASCII. */
    uint8_t name_len;
    /* All up to this number was taken, by whichever server; 0: not told. */
    uint64_t taken_seq;
    bool has_others;    /* Other servers would take it. */
    bool wants_servers; /* It knows SERVERS. */
};

struct agent_welcome {
    uint16_t protocol;
    uint64_t last_seq; /* Taken from that agent ID; 0: none. */
    uint32_t threshold;
    uint64_t id_seed;
    uint16_t id_bytes;
    uint64_t now_ns; /* The server's clock. */
};

struct agent_text {      /* REFUSED. */
    const uint8_t *text; /* Printable ASCII. */
    uint16_t len;
};

struct agent_batch_frame {
    uint64_t seq;       /* From 1 on; BATCH and LOSS count together. */
    uint32_t threshold; /* In force for all in it. */
    uint64_t first_ns, last_ns;
    uint32_t n;          /* Postcards. */
    const uint8_t *data; /* For lib/agent_batch.h. */
    size_t len;
};

enum agent_place {
    AGENT_PLACE_RING = 1, /* The switch found its ring full. */
    AGENT_PLACE_SPOOL,    /* The spool was full, or the disk failed. */
    AGENT_PLACE_MEMORY,   /* Without a spool: the agent's memory was. */
    AGENT_PLACE_CAPTURE,  /* The kernel, capturing for --interface. */
    N_AGENT_PLACES
};

struct agent_loss_switch {
    uint64_t dpid;
    uint64_t count;
};

struct agent_loss {
    uint64_t seq; /* As of a BATCH. */
    enum agent_place place;
    uint64_t first_ns, last_ns; /* Between when. */
    uint64_t count;             /* Of all, also those of no switch below. */
    uint16_t n;
    const uint8_t *switches; /* See agent_loss_switch(). */
};

struct agent_ping {   /* And PONG. */
    uint64_t sent_ns; /* Of the PING, by its sender's clock. */
    uint64_t now_ns;  /* PONG: by the answerer's; PING: as sent_ns. */
};

struct agent_server {
    bool is_self;        /* It is the one that tells. */
    const uint8_t *text; /* HOST:PORT or [ADDR]:PORT, printable ASCII. */
    uint8_t len;
};

struct agent_servers {
    uint8_t n;
    const uint8_t *data; /* See agent_servers_get(). */
    size_t len;
};

struct agent_frame {
    enum agent_frame_type type;
    union {
        struct agent_hello hello;
        struct agent_welcome welcome;
        struct agent_text refused;
        struct agent_batch_frame batch;
        struct agent_loss loss;
        struct {
            uint64_t seq;
        } ack;
        struct {
            uint32_t threshold;
        } threshold; /* And WANT. */
        struct agent_ping ping;
        struct agent_servers servers;
    };
};

/* Reads the first frame of the 'len' bytes at 'data', not longer than 'max'
 * (AGENT_FRAME_MAX or _HELLO).  Returns 0 and sets '*used'; EAGAIN when it is
 * not all there yet; EBADMSG with the reason when it is none. */
int agent_frame_read(const uint8_t *data, size_t len, size_t max, size_t *used,
                     struct agent_frame *, struct lh_error *);

/* The switch 'i', below loss->n. */
struct agent_loss_switch agent_loss_switch(const struct agent_loss *,
                                           size_t i);
/* Its servers, servers->n of them. */
void agent_servers_get(const struct agent_servers *,
                       struct agent_server all[AGENT_SERVERS_MAX]);
/* "ring", "spool", "memory", "capture". */
const char *agent_place_name(enum agent_place);

/* Appends a frame.  Texts and lists must be within their bounds. */
void agent_frame_put_hello(struct byte_buf *, const struct agent_hello *);
void agent_frame_put_welcome(struct byte_buf *, const struct agent_welcome *);
void agent_frame_put_refused(struct byte_buf *, const char *text);
void agent_frame_put_batch(struct byte_buf *,
                           const struct agent_batch_frame *);
/* 'switches' in place of loss->switches. */
void agent_frame_put_loss(struct byte_buf *, const struct agent_loss *,
                          const struct agent_loss_switch *switches);
void agent_frame_put_ack(struct byte_buf *, uint64_t seq);
void agent_frame_put_threshold(struct byte_buf *, enum agent_frame_type,
                               uint32_t threshold);
void agent_frame_put_ping(struct byte_buf *, enum agent_frame_type,
                          const struct agent_ping *);
void agent_frame_put_servers(struct byte_buf *, const struct agent_server *,
                             size_t n);

#endif /* lib/agent_frame.h */
