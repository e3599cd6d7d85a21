/* SPDX-License-Identifier: Apache-2.0 */
/* instr_echo - what a switch tells on every connection happens once.
 *
 * A flow-removed, a port status and a frame of discovery come once per
 * connection.  The first one counts; of the others it is remembered that they
 * are still to come, so that an old one does not undo what was done since. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define N_ECHOES   4096
#define FNV_OFFSET UINT64_C(14695981039346656037)
#define FNV_PRIME  UINT64_C(1099511628211)

struct instr_echo {
    uint64_t hash;
    uint64_t awaited; /* Bits of the links that have not said it yet. */
    int result;
};

uint64_t
instr_echo_hash(uint64_t hash, const void *data_, size_t len)
{
    const uint8_t *data = data_;

    hash = hash ? hash : FNV_OFFSET;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ data[i]) * FNV_PRIME;
    }
    return hash;
}

bool
instr_echo_take(struct instr_change *c, uint64_t hash, int *result)
{
    struct instr *instr = c->instr;

    for (size_t i = 0; i < instr->n_echoes; i++) {
        struct instr_echo *echo =
            &instr->echoes[(instr->first_echo + i) % N_ECHOES];

        if (echo->hash == hash && echo->awaited & c->link->bit) {
            echo->awaited &= ~c->link->bit;
            *result = echo->result;
            while (instr->n_echoes &&
                   !instr->echoes[instr->first_echo].awaited) {
                instr->first_echo = (instr->first_echo + 1) % N_ECHOES;
                instr->n_echoes--;
            }
            instr->counters.echoes++;
            return true;
        }
    }
    return false;
}

void
instr_echo_put(struct instr_change *c, uint64_t hash, int result)
{
    struct instr *instr = c->instr;
    uint64_t awaited = 0;

    for (const struct instr_link *l = instr->links; l; l = l->next) {
        if (l != c->link && l->is_known && instr_link_is_told(l)) {
            awaited |= l->bit;
        }
    }
    if (!awaited) {
        return;
    }
    if (!instr->echoes) {
        instr->echoes = lh_alloc_zero(N_ECHOES * sizeof *instr->echoes);
    }
    if (instr->n_echoes == N_ECHOES) {
        instr->first_echo = (instr->first_echo + 1) % N_ECHOES;
        instr->n_echoes--;
    }
    instr->echoes[(instr->first_echo + instr->n_echoes++) % N_ECHOES] =
        (struct instr_echo){
            .hash = hash, .awaited = awaited, .result = result};
}

void
instr_echo_join(struct instr_link *link)
{
    uint64_t used = 0;

    for (const struct instr_link *l = link->instr->links; l; l = l->next) {
        used |= l->bit;
    }
    /* None left: it is listened to as if it were alone. */
    link->bit = ~used & (used + 1);
}

void
instr_echo_leave(struct instr_link *link)
{
    struct instr *instr = link->instr;

    for (size_t i = 0; i < instr->n_echoes; i++) {
        instr->echoes[(instr->first_echo + i) % N_ECHOES].awaited &=
            ~link->bit;
    }
}
