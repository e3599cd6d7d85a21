/* SPDX-License-Identifier: Apache-2.0 */
/* of_card - the one action that emits one postcard.
 *
 * For the files behind the door to libopenvswitch.  Its bytes are those of
 * docs/formats/postcard-geneve.md and postcard-mac.md.
 *
 * Threads: immutable once created. */
#ifndef RECORDER_OF_CARD_H
#define RECORDER_OF_CARD_H 1

#include "recorder/of_inject.h"
#include "recorder/of_ovs.h"

struct of_card;

/* What an of_inject emits postcards by; borrowed. */
const struct of_card *of_inject_card(const struct of_inject *);

/* NULL when the configuration makes no valid action. */
struct of_card *of_card_create(const struct of_inject_config *);
void of_card_destroy(struct of_card *);

/* Keeps the packet's in_port for postcards of later tables, on bridges whose
 * rules overwrite it.  The tunnel field for it, "tun_gbp_id", is part of the
 * pipeline's state also where the packet is sent through the datapath again,
 * and only VXLAN tunnels with that extension send it. */
void of_card_put_keep(struct ofpbuf *out);
/* True when 'a' does that. */
bool of_card_is_keep(const struct ofpact *a);

/* True when the switch makes the postcards itself: then of the functions that
 * put one only of_card_put_action() may be called. */
bool of_card_is_action(const struct of_card *);

/* Adds the 'len' bytes of 'acts' and what tells the switch that they are those
 * of 'version': "postcard(version=N)", before all but a meter. */
void of_card_put_action(struct ofpbuf *out, const struct ofpact *acts,
                        size_t len, uint32_t version);

/* True when 'a' is "postcard(version=N)". */
bool of_card_get_action(const struct ofpact *a, uint32_t *versionp);

/* Makes the postcard whose actions begin at byte 'start' of 'out' (of a clone
 * or alone) take the in_port that was kept. */
void of_card_take_kept(const struct of_card *, struct ofpbuf *out,
                       size_t start);

/* Adds a postcard to 'out'; its port is read from 'reg' when that is not
 * NULL.  Returns false, and adds nothing, when the encapsulation cannot name
 * the port. */
bool of_card_put(const struct of_card *, struct ofpbuf *out, uint32_t version,
                 uint32_t port, uint8_t flags, const struct mf_subfield *reg);

/* The same postcard not as a clone but as the whole of a rule of table T,
 * which then clears the action set, so that a "clone(resubmit(INDEX,T))" emits
 * it and nothing else. */
bool of_card_put_alone(const struct of_card *, struct ofpbuf *out,
                       uint32_t version, uint32_t port, uint8_t flags,
                       const struct mf_subfield *reg);

/* Adds "clone(resubmit(INDEX,T))". */
void of_card_put_indirect(struct ofpbuf *out, uint16_t index,
                          uint8_t index_table);

/* Ends the nested action that was begun when 'out' had 'start' bytes. */
void of_card_end_nest(struct ofpbuf *out, size_t start);

/* True when 'a', which stands behind 'before' (NULL: first), is the output of
 * a postcard. */
bool of_card_is_end(const struct of_card *, const struct ofpact *a,
                    const struct ofpact *before);

/* True when a postcard does not carry the whole version. */
bool of_card_is_partial(const struct of_card *);

/* Adds a note with the version, for rules without a postcard of their own and
 * for encapsulations that do not carry the whole version. */
void of_card_put_note(struct ofpbuf *out, uint32_t version);

/* True when 'a' is such a note; '*versionp' is its version. */
bool of_card_get_note(const struct ofpact *a, uint32_t *versionp);

#endif /* recorder/of_card.h */
