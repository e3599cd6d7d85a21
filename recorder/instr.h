/* SPDX-License-Identifier: Apache-2.0 */
/* instr - one switch's OpenFlow, rewritten so that it emits postcards and so
 * that its controller does not notice.
 *
 * A pure state machine: no sockets, no clock, no disk.  The session gives it
 * every message of either direction and does with the `struct instr_out` that
 * comes back what it says.  It holds the shadow of the switch: the
 * controller's own rules and groups, the ports, and what was injected.
 *
 * A switch may have several connections (several controllers, auxiliary
 * ones), each an instr_link with a controller of its own, of OpenFlow versions
 * that may differ.  One instr lives as long as the switch has any:
 *
 *     hello and features done by the session (it learns version and dpid)
 *     instr_create(), instr_link_create(), instr_start() of that link; then
 *     what the switch says on it to instr_from_switch() until
 *     instr_is_ready()
 *     then instr_from_controller() and instr_from_switch() of every link for
 *     everything; a link that comes later is of use at once
 *     instr_link_destroy(), and instr_destroy() with the last one
 *
 * Every message of an instr_out names the link that it belongs to.
 *
 * What instr does not know it passes on unchanged and counts.  Messages of an
 * OpenFlow version other than 1.0 to 1.5 all pass.  HELLO, and the FEATURES
 * exchange that the session does itself, need not be shown to instr; all else
 * must be, also ECHO (which passes).
 *
 * TRANSACTION IDS.  instr leaves them alone; the session owns them:
 * - A message in out.to_switch gets a fresh ID with of_wire_set_xid() (which
 *   knows that a bundle-add holds a second copy), and the session remembers
 *   for it the `tag`, `is_own` and `original` of the struct instr_msg.
 * - A message from the switch whose ID is remembered gets, before
 *   instr_from_switch() sees it, the ID of the original (0 when is_own) with
 *   of_wire_set_xid(), and its tag is passed along; any other has tag 0.
 * - Messages in out.to_controller are sent exactly as they are.
 * - The switch answers in order.  So what is remembered of a message that has
 *   no answer (a flow-mod) can be forgotten once a complete answer (see
 *   of_wire_is_last_reply()) to a later message has come; to make that sure
 *   the session may send a barrier of its own now and then.
 *
 * ERRORS.  When the switch answers with OFPT_ERROR to a remembered message,
 * the session calls instr_error() instead of instr_from_switch(); when that
 * returns true it sends the controller the same type and code with the ID and
 * the bytes of `original`, otherwise nothing.  For a message that is_own the
 * session calls it too, and the result does not count.  What the error undoes
 * comes out as `removed` with reason "error", and what stands again as `made`
 * with the version it had and command "restored".
 *
 * ORDER.  Of one instr_out: publish and log `removed` of versions lower than
 * all that were made, `made`, the rest of `removed`, then write to_switch and
 * to_controller.  instr_out is filled in addition to what it already holds;
 * instr_out_uninit() frees what it owns.
 *
 * Ownership: instr owns its state; everything in an instr_out belongs to the
 * caller, who may take pointers out of it and set them to NULL.
 *
 * Threads: one thread at a time per instr; the first instr_create() of the
 * process must return before another thread calls it. */
#ifndef RECORDER_INSTR_H
#define RECORDER_INSTR_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/rule.h"

/* INSTR_AGENT: the switch itself makes the postcards, for lasthop-agent, and
 * needs no port for them. */
enum instr_encapsulation { INSTR_GENEVE, INSTR_MAC, INSTR_AGENT };
#define INSTR_N_ENCAPSULATIONS 3

struct selection_list;

/* Which rules are to emit postcards. */
struct instr_selection {
    const struct selection_list *list; /* NULL: all. */
    const char *bridge;                /* Its name; NULL while not known. */
    bool is_paused;                    /* None, and nothing else of ours. */
    uint32_t shed_below;               /* None of a lower priority. */
    /* Of postcards of which the list does not say otherwise.  Where the port
     * of one is not there the other takes its place; without any port instr
     * gives versions but injects nothing.  A switch that makes postcards
     * itself makes all, whatever is said here. */
    enum instr_encapsulation encapsulation;
};

/* The Geneve port, or the collector port, that postcards leave by; of
 * INSTR_AGENT, which has none, only `is_wanted` counts. */
struct instr_postcard_port {
    bool is_wanted; /* There is to be one. */
    uint32_t no;    /* 0: none yet. */
    uint16_t vlan;  /* mac: of the postcards, 1..4094. */

    /* True when the session keeps the port out of FLOOD and NORMAL by its own
     * means (a port-mod NO_FLOOD over an OpenFlow 1.0 connection).  If not,
     * then on a 1.0 connection instr sends that port-mod itself, and on a 1.3
     * connection it rewrites FLOOD to the list of ports; NORMAL it cannot help
     * there. */
    bool is_no_flood;
};

struct instr_config {
    uint64_t dpid;
    struct instr_postcard_port ports[INSTR_N_ENCAPSULATIONS];
    uint16_t snap_len;     /* Bytes of the packet in a postcard; 0 means
                            * PACKET_ID_SNAP. */
    uint16_t switch_index; /* mac: 1..4095. */
    /* mac: postcards travel through the bridges, by instr_set_tree(); only
     * the collector's bridge has a postcard port. */
    bool is_inband;
    /* geneve: what postcards look like that pass through this bridge, as
     * matches.  Used by instr_create() only. */
    const char *const *underlays;
    size_t n_underlays;

    /* Others manage the switch: it is instrumented in one bundle. */
    bool is_attached;
    /* Without a flow monitor of our own, unless attached: what others change
     * and what the switch learns is not seen. */
    bool is_unwatched;
    /* A controller that is not ours may want table misses: leave them. */
    bool leaves_misses;

    /* Frames to 'lldp_dst' with this EtherType are the recorder's own
     * discovery: punted before any rule of the controller, handed out in
     * instr_out.lldp, never shown to the controller.  lldp_type 0: none. */
    uint8_t lldp_dst[6];
    uint16_t lldp_type;

    /* A version for this switch that was never given before and is higher
     * than all that were; never 0. */
    uint32_t (*next_version)(void *aux);

    /* 'version' was found in the switch: from now on only higher ones are
     * given.  May be NULL. */
    void (*skip_version)(void *aux, uint32_t version);

    /* The rule that the log has for 'version', with its `raw` bytes, removed
     * or not; a reference for the callee to unref.  NULL when unknown.  May
     * be NULL itself.  Called only while starting. */
    struct rule *(*known_rule)(void *aux, uint32_t version);

    /* Gives 'each' every rule that the log has standing.  May be NULL.  Called
     * only while starting. */
    void (*each_standing)(void *aux, void (*each)(void *, const struct rule *),
                          void *each_aux);

    /* False: the switch is to be left as it is.  'name' is that of its own
     * port, or NULL; asked when the ports have been read and nothing was
     * changed yet.  May be NULL. */
    bool (*is_chosen)(void *aux, const char *name);

    struct instr_selection selection;

    /* A clock that does not jump, for timeouts; NULL: the 'now_ns' of each
     * call. */
    uint64_t (*steady_ns)(void *aux);

    void *aux;
};

/* One message to be written. */
struct instr_msg {
    struct instr_link *link; /* Whose switch or controller is to have it. */
    uint8_t *data;           /* A whole OpenFlow message.  Owned. */
    size_t len;
    uint64_t tag;      /* To the switch: comes back with its answers.  Messages
                        * that serve one controller message share it. */
    bool is_own;       /* To the switch: not for the controller. */
    uint8_t *original; /* To the switch, !is_own: the controller's */
    size_t original_len; /* message, which an error quotes.  Owned. */
};

struct instr_removed {
    uint32_t version;
    const char *reason; /* "idle_timeout", "hard_timeout", "delete", "modify",
                         * "replaced", "eviction", "group_delete",
                         * "meter_delete", "error" (the switch refused it),
                         * "withdrawn" (of ours).  Static. */
};

struct instr_lldp {
    uint32_t in_port;
    uint8_t *frame; /* Owned. */
    size_t len;
};

/* What the controller did that is neither rule, group nor meter: "table-mod",
 * "port-mod", "set-config", "set-async", a "meter-mod" that cannot be read;
 * that the "role" of a connection changed; or that a rule was "given-up". */
struct instr_event {
    const char *kind; /* Static. */
    char *text;       /* The message as ovs-ofctl prints it, or the role.
                       * Owned. */
    struct instr_link *link; /* Whose role it is; else NULL. */
};

/* A group or meter of the controller. */
struct instr_object {
    bool is_meter;
    uint32_t id;
    const char *how; /* "add", "modify", "insert", "remove", "found",
                      * "restored"; of one that is gone the reason: "delete",
                      * "error" (the switch refused it), "gone".  Static. */
    char *text;      /* As ovs-ofctl takes it; NULL: it is gone.  Owned. */
    uint8_t *raw;    /* The message that adds it, or NULL.  Owned. */
    size_t raw_len;
};

/* What the switch counts at a postcard port. */
struct instr_port_counters {
    bool is_there;
    uint64_t tx_packets, tx_dropped, tx_errors;
};

struct instr_out {
    struct instr_msg *to_switch; /* Owned, as all arrays here. */
    size_t n_to_switch, allocated_to_switch;
    struct instr_msg *to_controller;
    size_t n_to_controller, allocated_to_controller;
    struct rule **made; /* One reference each. */
    size_t n_made, allocated_made;
    struct instr_removed *removed;
    size_t n_removed, allocated_removed;
    struct instr_lldp *lldp;
    size_t n_lldp, allocated_lldp;
    struct instr_event *events; /* For the timeline. */
    size_t n_events, allocated_events;
    struct instr_object *objects; /* That came, changed or went, in order. */
    size_t n_objects, allocated_objects;
    /* Has come, of all that are there, if one is_there. */
    struct instr_port_counters postcard_ports[INSTR_N_ENCAPSULATIONS];
    bool packets_read;  /* instr_read_packets() is done. */
    bool ports_changed; /* instr_ports() differs from before. */
    bool became_ready;  /* instr_is_ready() has just become true. */
    bool released;      /* Who instr_link_must_wait() may try again. */
    bool is_held;       /* Something waits: try again after INSTR_FENCE_NS. */
    bool became_detached; /* instr_detach() is done. */
    bool is_left;         /* !is_chosen(): destroy the instr. */
    bool tree_settled;    /* instr_tree_is_settled() has become true. */
};

#define INSTR_OUT_INIT                                                        \
    {                                                                         \
        0                                                                     \
    }

void instr_out_init(struct instr_out *);
/* Frees what '*out' owns and leaves it as instr_out_init() does. */
void instr_out_uninit(struct instr_out *);

struct instr_port {
    uint16_t no; /* As in lib/of_port.h. */
    char name[17];
    uint8_t mac[6];
    bool is_down;     /* Administratively or physically. */
    bool is_postcard; /* Ours: hidden from the controller. */
    bool is_shut;     /* Forwards nothing (NO_FWD). */
};

struct instr_counters {
    uint64_t from_controller, from_switch; /* Messages seen. */
    uint64_t passed_unknown;   /* Passed on: a kind we do not look into. */
    uint64_t passed_malformed; /* Passed on: could not be parsed. */
    uint64_t flow_mods, group_mods, packet_outs; /* Of the controller. */
    uint64_t injected;        /* Rules and buckets instrumented. */
    uint64_t not_injected;    /* Rules that cannot be (conjunction, ..). */
    uint64_t unselected;      /* Rules and buckets that are not to be. */
    uint64_t refused;         /* Answered with an error by ourselves. */
    uint64_t hidden;          /* Messages kept from the controller. */
    uint64_t restored;        /* Flow and group records restored. */
    uint64_t own_errors;      /* Errors the switch gave to our messages. */
    uint64_t rolled_back;     /* Changes undone after an error. */
    uint64_t bundles_passed;  /* Too big, committed as they were. */
    uint64_t unknown_rules;   /* In flow-stats, not in the shadow. */
    uint64_t index_full;      /* Outputs not instrumented: table T full. */
    uint64_t pending_dropped; /* Requests forgotten, too many open. */
    uint64_t learned;         /* Rules that the switch learned. */
    uint64_t foreign;         /* What others made or changed. */
    uint64_t reinstrumented;  /* Of these, given their postcards. */
    uint64_t contested;       /* Changed again and again: given them late. */
    uint64_t given_up;        /* Left without: others undo it each time. */
    uint64_t checks;          /* Times a switch was asked what it has. */
    uint64_t repaired;        /* Rules of ours that others took away. */
    uint64_t put_back;        /* Others', which ours had replaced. */
    uint64_t watch_suspended; /* Times without a monitor of our own. */
    uint64_t own_waited;      /* Times our own messages had to wait. */
    uint64_t unordered;       /* Times a connection was not waited for. */
    uint64_t echoes;          /* Heard before, on another connection. */
    uint64_t readings;        /* Times the tables were read again. */
    uint64_t tlv_moved;       /* Times our option got another index. */
    uint64_t rules, groups, meters; /* In the shadow now. */
};

struct instr;

/* NULL only when memory is short.  '*config' is copied. */
struct instr *instr_create(const struct instr_config *config);
void instr_destroy(struct instr *);

/* True when instr looks into messages of that version. */
bool instr_knows_version(uint8_t of_version);

/* A connection of the switch that speaks 'of_version' (OF_WIRE_10 to
 * OF_WIRE_15; others pass through); 'aux' is the caller's. */
struct instr_link *instr_link_create(struct instr *, uint8_t of_version,
                                     bool is_auxiliary, void *aux);
/* Makes a link usable that comes when instr is ready. */
void instr_link_start(struct instr_link *, uint64_t now_ns,
                      struct instr_out *);
void instr_link_destroy(struct instr_link *);
void *instr_link_aux(const struct instr_link *);

/* True when the switch may not have done yet what went by 'link'. */
bool instr_link_is_open(const struct instr_link *);
/* It has: a barrier after all that was answered. */
void instr_link_settle(struct instr_link *);

enum instr_role {
    INSTR_ROLE_EQUAL,
    INSTR_ROLE_MASTER,
    INSTR_ROLE_SLAVE,
    INSTR_ROLE_UNSURE /* A request is open, or two cannot be put in order. */
};
enum instr_role instr_link_role(const struct instr_link *);

/* Between connections there is no order.  True when 'msg', a whole message, of
 * the controller of 'link' must not be given to instr_from_controller() yet
 * because what went by other links may still be on its way; nor must what
 * comes after it.  To be asked again when an instr_out says `released`, and
 * after INSTR_FENCE_NS, when what does not answer is no longer waited for. */
bool instr_link_must_wait(struct instr_link *, const uint8_t *msg,
                          uint64_t now_ns, struct instr_out *);
#define INSTR_FENCE_NS UINT64_C(1000000000)

/* Bytes of messages in open bundles that are held for one connection. */
#define INSTR_MAX_BUNDLED ((size_t) 64 << 20)

/* Sends what of our own is due and had to wait; to be called after a link has
 * gone, and when instr_link_must_wait() would be asked again. */
void instr_catch_up(struct instr *, uint64_t now_ns, struct instr_out *);

/* Begins the set-up by 'link': reads TLV map, ports, groups and flows, then
 * adds our own rules and gives versions and postcards to what stands.  Until
 * instr_is_ready() give it only messages from the switch (and instr_error()).
 * With an OpenFlow version it does not know instr is ready at once. */
void instr_start(struct instr_link *, uint64_t now_ns, struct instr_out *out);
bool instr_is_ready(const struct instr *);
/* The link by which the tables are being read, NULL when they are not: at the
 * start, and again when a link has gone in the middle of changes or has come
 * from a switch that may be new.  The end is told by `became_ready`. */
struct instr_link *instr_reader(const struct instr *);

/* A message of the controller 'who' ("tcp:127.0.0.1:6653", for the log).
 * 'msg' must be one whole message: 'len' >= 8 and equal to its length field
 * (of_wire_frame() cuts a stream so). */
void instr_from_controller(struct instr_link *, const uint8_t *msg, size_t len,
                           uint64_t now_ns, const char *who,
                           struct instr_out *out);

/* A message of the switch; for 'tag' see above. */
void instr_from_switch(struct instr_link *, const uint8_t *msg, size_t len,
                       uint64_t tag, uint64_t now_ns, struct instr_out *out);

/* The switch refused the message with 'tag'.  Undoes what the shadow thinks
 * came of it.  True: the controller should be told. */
bool instr_error(struct instr_link *, uint64_t tag, uint16_t type,
                 uint16_t code, uint64_t now_ns, struct instr_out *out);

/* Makes all rules and groups again what their owners wrote, and takes ours
 * out.  The switch has done it when out.became_detached comes; then destroy
 * the instr. */
void instr_detach(struct instr *, uint64_t now_ns, struct instr_out *);

/* When instr_run() has something to do; UINT64_MAX: nothing. */
uint64_t instr_due_ns(const struct instr *);
/* Gives postcards to rules that others made, a moment after they did. */
void instr_run(struct instr *, uint64_t now_ns, struct instr_out *);
/* The clock that 'now_ns' is from was put back: so is what is due. */
void instr_clock_put_back(struct instr *, uint64_t by_ns);

/* Sends 'frame' out of 'port' without postcards (discovery). */
void instr_send_packet(struct instr *, uint16_t port, const uint8_t *frame,
                       size_t len, struct instr_out *out);

/* The port of postcards of that encapsulation has come, moved or gone (0):
 * every rule of the shadow is rewritten for it. */
void instr_set_postcard_port(struct instr *, enum instr_encapsulation,
                             const struct instr_postcard_port *,
                             uint64_t now_ns, struct instr_out *out);

/* In band: where postcards come from and go to. */
struct instr_tree {
    uint16_t up;    /* Towards the collector; 0: no way, or the port of its own
                     * that the collector's bridge has. */
    uint16_t *down; /* Ports by which others' postcards come. */
    size_t n_down;
};

/* The switch's place in the tree is now this one (copied).  May be called
 * before instr_start() too. */
void instr_set_tree(struct instr *, const struct instr_tree *, uint64_t now_ns,
                    struct instr_out *out);
/* What was set last. */
const struct instr_tree *instr_get_tree(const struct instr *);
/* True when the switch has done what that asked for. */
bool instr_tree_is_settled(const struct instr *);
/* The port by which postcards leave; 0: none.  Of one encapsulation, or that
 * which is used where nothing else is said. */
uint16_t instr_card_port_of(const struct instr *, enum instr_encapsulation);
uint16_t instr_card_port(const struct instr *);
/* True when the switch makes postcards itself. */
bool instr_makes_cards(const struct instr *);

/* Other rules are to emit postcards ('list' and 'bridge' must stay until the
 * next call).  Rewrites what that concerns in place, over 1.3 in one bundle;
 * what was so changed comes out as `made` with command "selected".  Returns
 * how many rules and groups were rewritten. */
size_t instr_select(struct instr *, const struct instr_selection *,
                    uint64_t now_ns, struct instr_out *out);
enum instr_select_state {
    INSTR_SELECT_DONE,    /* The switch has taken it. */
    INSTR_SELECT_WAITING, /* It has not answered yet. */
    INSTR_SELECT_REFUSED  /* It gave an error. */
};
enum instr_select_state instr_select_state(const struct instr *);
/* Rules that emit postcards now. */
size_t instr_select_count(const struct instr *);

/* Asks for the counters of the postcard ports, which come in an instr_out. */
void instr_ask_counters(struct instr *, struct instr_out *out);

/* Asks the switch how many packets every rule has taken, which is told by
 * out.packets_read.  False: it has not answered the last time yet, or cannot
 * be asked.  Two readings tell rates. */
bool instr_read_packets(struct instr *, uint64_t now_ns, struct instr_out *);

/* What the cap did to rules. */
#define INSTR_SHED_TOLD 5
struct instr_shed {
    size_t n_rules; /* Table-miss rules are among them. */
    uint64_t pps;   /* Postcards that they send, by the last reading. */
    uint32_t versions[INSTR_SHED_TOLD]; /* The first of them. */
};

/* Of 'pps' postcards a second, 'excess' are too many: takes them off the
 * busiest rules of the lowest selections, those of one priority after those
 * of the next lower one. */
struct instr_shed instr_shed(struct instr *, uint64_t pps, uint64_t excess,
                             uint64_t now_ns, struct instr_out *);
/* Gives them back to those that send 'room' a second at most, the calmest of
 * the highest selections first. */
struct instr_shed instr_unshed(struct instr *, uint64_t room, uint64_t now_ns,
                               struct instr_out *);
/* Those that are without. */
struct instr_shed instr_get_shed(const struct instr *);
/* How many postcards the rules have sent, as far as readings tell. */
uint64_t instr_n_cards(const struct instr *);

/* The controller's connection is gone or a new one begins: forgets what that
 * connection had open (bundles, requests, formats); the rules stay. */
void instr_link_reset(struct instr_link *);

/* True when instr itself keeps the postcard port out of NORMAL, by a link that
 * speaks OpenFlow 1.0. */
bool instr_sets_no_flood(const struct instr *);

/* The ports, sorted by number; good until the next call of any function. */
const struct instr_port *instr_ports(const struct instr *, size_t *n);

/* True when the rule, bucket or miss rule with 'version' stands.  Once ready,
 * what the log has standing and this does not is gone. */
bool instr_stands(const struct instr *, uint32_t version);

/* Gives 'each' every group and meter that stands, with `how` "found"; the
 * object is good until it returns. */
void instr_objects(const struct instr *,
                   void (*each)(void *aux, const struct instr_object *),
                   void *aux);

/* Gives 'each' every rule, bucket and miss rule that stands, as it would be
 * `made`; 'each' gets no reference. */
void instr_rules(struct instr *, void (*each)(void *aux, struct rule *),
                 void *aux);

const struct instr_counters *instr_counters(const struct instr *);

#endif /* recorder/instr.h */
