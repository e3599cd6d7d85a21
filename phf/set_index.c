/* SPDX-License-Identifier: Apache-2.0 */
/* set_index - which filters of a set a history can match at all. */
#include <config.h>
#include "phf/set_index.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/header_split.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "phf/backref.h"
#include "phf/filter_keys.h"

#define ETH_LEN 14
/* Indices that are sorted by insertion. */
#define FEW 32

void
set_index_uninit(struct set_index *x)
{
    key_map_uninit(&x->paths);
    key_map_uninit(&x->flows);
    key_map_uninit(&x->both);
    free(x->filters);
    free(x->fields);
    free(x->last.numbers);
    free(x->always.numbers);
    free(x->always_on_path.numbers);
    free(x->found);
    free(x->bits);
    memset(x, 0, sizeof *x);
}

/* --- Building ----------------------------------------------------------- */

static void
add_fact(struct set_index_facts *facts, uint32_t column, uint64_t value)
{
    uint64_t hash =
        (value ^ (uint64_t) column << 56) * UINT64_C(0xd6e8feb86659fd93);

    hash ^= hash >> 32;
    facts->bits[hash >> 6 & 1] |= UINT64_C(1) << (hash & 63);
}

/* The column of a field, which is made when it is not there. */
static uint32_t
column_of(struct set_index *x, const struct filter_key *key)
{
    struct set_index_field *f;

    if (key->fact != FACT_HEADER) {
        x->columns |= 1u << key->fact;
        return key->fact;
    }
    for (size_t i = 0; i < x->n_fields; i++) {
        if (bpf_field_equal(&x->fields[i].field, &key->field)) {
            return x->fields[i].column;
        }
    }
    x->fields = lh_alloc_grow(x->fields, x->n_fields, &x->allocated_fields,
                              sizeof *x->fields);
    f = &x->fields[x->n_fields];
    *f = (struct set_index_field){
        .field = key->field,
        .column = FACT_HEADER + (uint32_t) x->n_fields,
    };
    x->n_fields++;
    return f->column;
}

static void
add_keys(struct set_index *x, struct key_map *to,
         const struct filter_keys *keys, uint32_t index)
{
    for (size_t i = 0; i < keys->n; i++) {
        const struct filter_key *key = &keys->keys[i];

        key_map_add(to, column_of(x, key), key->low, key->high, index);
    }
}

struct needing {
    struct set_index *index;
    struct set_index_facts *needs;
};

static void
need(void *needing_, const struct filter_key *key)
{
    struct needing *needing = needing_;

    add_fact(needing->needs, column_of(needing->index, key), key->low);
}

static void
add_number(struct set_index_list *list, uint32_t index)
{
    list->numbers = lh_alloc_grow(list->numbers, list->n, &list->allocated,
                                  sizeof *list->numbers);
    list->numbers[list->n++] = index;
}

static void
add_filter(struct set_index *x, const struct phf *phf, uint32_t index)
{
    struct set_index_filter *filter = &x->filters[index];
    struct needing needing = {x, &filter->needs};
    struct filter_keys path, header, both;
    bool on_path = filter_keys_find(phf, true, false, &path);
    bool on_header = filter_keys_find(phf, false, true, &header);

    filter_keys_needs(phf, need, &needing);
    if (on_path) {
        add_keys(x, &x->paths, &path, index);
    }
    if (on_header) {
        add_keys(x, &x->flows, &header, index);
    }
    filter->has_header_keys = on_header;
    filter->is_on_headers = on_header && !on_path;
    if (!on_header && !on_path) {
        add_number(&x->always_on_path, index);
    }
    if (filter_keys_find(phf, true, true, &both)) {
        add_keys(x, &x->both, &both, index);
    } else {
        add_number(&x->always, index);
    }
}

void
set_index_build(struct set_index *x, const struct phf *const *filters,
                size_t n)
{
    size_t n_columns;

    set_index_uninit(x);
    x->n_built = x->n_filters = n;
    x->filters = lh_alloc_zero((n + 1) * sizeof *x->filters);
    x->found = lh_alloc((n + 1) * sizeof *x->found);
    x->bits = lh_alloc_zero((n / 64 + 1) * sizeof *x->bits);
    for (uint32_t i = 0; i < n; i++) {
        add_filter(x, filters[i], i);
    }
    n_columns = FACT_HEADER + x->n_fields;
    key_map_build(&x->paths, n_columns);
    key_map_build(&x->flows, n_columns);
    key_map_build(&x->both, n_columns);
}

bool
set_index_extend(struct set_index *x, size_t n)
{
    if (n == x->n_filters) {
        return false;
    }
    x->filters = lh_alloc_array(x->filters, n + 1, sizeof *x->filters);
    x->found = lh_alloc_array(x->found, n + 1, sizeof *x->found);
    memset(x->filters + x->n_filters, 0,
           (n - x->n_filters) * sizeof *x->filters);
    x->n_filters = n;
    return true;
}

/* --- Facts of a path ---------------------------------------------------- */

/* What is looked for, and where. */
struct search {
    struct key_map_found found; /* First: it is what is handed around. */
    struct set_index *index;
    const struct key_map *map;
    struct set_index_facts facts; /* Of the path. */
    bool by_needs;                /* Facts are known. */
    const uint64_t *keyed;        /* NULL, or as for set_index_flow. */
};

/* Whether the path of the search rules filter 'number' out. */
static bool
is_ruled_out(const struct search *s, const struct set_index_filter *filter,
             uint32_t number)
{
    if (s->keyed) {
        return !filter->is_on_headers &&
               !(s->keyed[number / 64] >> number % 64 & 1);
    }
    return s->by_needs && (filter->needs.bits[0] & ~s->facts.bits[0] ||
                           filter->needs.bits[1] & ~s->facts.bits[1]);
}

static void
note(struct key_map_found *search_, uint32_t number)
{
    struct search *s = (struct search *) search_;
    struct set_index *x = s->index;
    struct set_index_filter *filter = &x->filters[number];

    if (filter->mark != x->round) {
        filter->mark = x->round;
        if (!is_ruled_out(s, filter, number)) {
            x->found[x->n_found++] = number;
        }
    }
}

/* A fact of a path.  Those that filters need are gathered before any filter is
 * looked for. */
typedef void fact_function(struct search *, enum filter_fact, uint64_t value);

static void
gather(struct search *s, enum filter_fact fact, uint64_t value)
{
    add_fact(&s->facts, fact, value);
}

static void
look_up(struct search *s, enum filter_fact fact, uint64_t value)
{
    key_map_find(s->map, fact, value, &s->found);
}

static void
each_value(struct search *s, fact_function *tell, enum filter_fact fact,
           const uint32_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tell(s, fact, values[i]);
    }
}

static void
each_fact_of_hop(struct search *s, fact_function *tell,
                 const struct history_hop *hop,
                 const struct topology *topology)
{
    unsigned int columns = s->index->columns;

    if (columns & 1u << FACT_DPID) {
        tell(s, FACT_DPID, hop->dpid);
    }
    if (columns & 1u << FACT_SWITCH && topology) {
        const struct topology_switch *sw = topology_find(topology, hop->dpid);

        if (sw && sw->name) {
            tell(s, FACT_SWITCH, filter_keys_name(sw->name));
        }
    }
    if (columns & 1u << FACT_IN_PORT) {
        tell(s, FACT_IN_PORT, hop->in_port);
    }
    if (columns & 1u << FACT_OUT_PORT) {
        each_value(s, tell, FACT_OUT_PORT, hop->out_ports, hop->n_out);
        each_value(s, tell, FACT_OUT_PORT, hop->branches, hop->n_branches);
        if (!hop->n_out) {
            tell(s, FACT_OUT_PORT, OF_PORT_NONE);
        }
    }
    if (columns & 1u << FACT_VERSION) {
        each_value(s, tell, FACT_VERSION, hop->versions, hop->n_versions);
    }
    if (columns & 1u << FACT_VERDICT && hop->verdict.name != VERDICT_NONE) {
        tell(s, FACT_VERDICT, hop->verdict.name);
    }
}

static void
each_fact(struct search *s, fact_function *tell, const struct history *history,
          const struct topology *topology)
{
    for (size_t i = 0; i < history->n_hops; i++) {
        each_fact_of_hop(s, tell, &history->hops[i], topology);
    }
    if (s->index->columns & 1u << FACT_VERDICT) {
        tell(s, FACT_VERDICT, history->verdict.name);
    }
    if (s->index->columns & 1u << FACT_TWICE && backref_is_needed(history)) {
        tell(s, FACT_TWICE, 1);
    }
}

static void
find_by_path(struct search *s, const struct history *history,
             const struct topology *topology)
{
    s->by_needs = true;
    each_fact(s, gather, history, topology);
    each_fact(s, look_up, history, topology);
}

/* --- Facts of headers --------------------------------------------------- */

/* How a header is to be read: one packet's, or a flow's, of which only some
 * bytes are the same for all packets. */
struct view {
    struct bpf_class class;
    bool is_flow, is_split;
    struct header_split split;
};

/* Whether all packets of the flow have the same value of a field at 'ofs'. */
static bool
is_constant(const struct view *v, const struct bpf_field *f, uint32_t ofs)
{
    return v->is_split && header_split_is_constant(&v->split, ofs, f->size) &&
           (f->base == UINT32_MAX ||
            header_split_is_constant(&v->split, f->base, 1));
}

/* Finds the fields of a class, which mostly is that of the header before. */
static const struct set_index_class *
turn_to_class(struct set_index *x, struct bpf_class class)
{
    struct set_index_class *last = &x->last;

    if (last->numbers && last->class.ether == class.ether &&
        last->class.proto == class.proto) {
        return last;
    }
    last->class = class;
    last->n = 0;
    last->numbers =
        lh_alloc_array(last->numbers, x->n_fields, sizeof *last->numbers);
    for (uint32_t i = 0; i < x->n_fields; i++) {
        if (bpf_field_is_in(&x->fields[i].field, class)) {
            last->numbers[last->n++] = i;
        }
    }
    return last;
}

static void
find_field(struct search *s, struct set_index_field *f, const struct view *v,
           const struct history_hop *hop)
{
    uint32_t round = s->index->round, ofs, value;
    bool is_there = bpf_field_find(&f->field, hop->header, hop->caplen, &ofs);

    if (f->round_all == round) {
        return;
    }
    if (v->is_flow && (!is_there || !is_constant(v, &f->field, ofs))) {
        /* Another packet may have it, and anything in it. */
        f->round_all = round;
        key_map_find_all(s->map, f->column, &s->found);
        return;
    }
    if (!is_there) {
        return;
    }
    value = bpf_field_load(&f->field, hop->header, ofs);
    if (f->round != round || f->value != value) {
        f->round = round;
        f->value = value;
        key_map_find(s->map, f->column, value, &s->found);
    }
}

static void
find_by_headers(struct search *s, const struct history *history, bool is_flow)
{
    struct set_index *x = s->index;

    for (size_t i = 0; x->n_fields && i < history->n_hops; i++) {
        const struct history_hop *hop = &history->hops[i];
        const struct set_index_class *class;
        struct view v = {.is_flow = is_flow};

        if (!hop->caplen) {
            continue;
        }
        v.class = bpf_class_of(hop->header, hop->caplen);
        v.is_split =
            is_flow && header_split(hop->header, hop->caplen, &v.split);
        if (is_flow && !v.is_split) { /* Who knows what others are. */
            v.class = (struct bpf_class){BPF_ETHER_ALL, BPF_PROTO_ALL};
        }
        class = turn_to_class(x, v.class);
        for (size_t j = 0; j < class->n; j++) {
            struct set_index_field *f = &x->fields[class->numbers[j]];

            if (key_map_has_column(s->map, f->column)) {
                find_field(s, f, &v, hop);
            }
        }
    }
}

/* --- Facts of headers that are all laid out alike ----------------------- */

/* How 'f' is read of all flows of the path. */
static struct set_index_reading
reading_of(const struct set_index_field *f,
           const struct set_index_level *level)
{
    const struct bpf_field *field = &f->field;
    enum header_kind kind = trajectory_path_split(level->path)->kind;
    struct set_index_reading reading = {.column = f->column,
                                        .size = field->size};
    uint32_t ofs;

    /* Of the headers that fields are behind those of IPv4, which here have no
     * options, are as long in every flow. */
    if ((field->base != UINT32_MAX &&
         (field->base != ETH_LEN || !header_kind_is_ip4(kind))) ||
        !bpf_field_find(field, level->header, level->caplen, &ofs) ||
        !header_split_has_bytes(level->constant, ofs, field->size)) {
        reading.is_varying = true;
        return reading;
    }
    reading.ofs = (uint16_t) ofs;
    reading.is_kept = header_split_has_bytes(level->kept, ofs, field->size);
    return reading;
}

void
set_index_read_level(const struct set_index *x,
                     const struct set_index_level *level,
                     void (*add)(void *aux, const struct set_index_reading *),
                     void *aux)
{
    struct bpf_class class = bpf_class_of(level->header, level->caplen);

    for (size_t i = 0; i < x->n_fields; i++) {
        const struct set_index_field *f = &x->fields[i];

        if (bpf_field_is_in(&f->field, class) &&
            key_map_has_column(&x->flows, f->column)) {
            struct set_index_reading reading = reading_of(f, level);

            add(aux, &reading);
        }
    }
}

/* Looks up what the hops show that do not show the reference's, 'value'. */
static void
find_at_hops(struct search *s, const struct set_index_reading *r,
             const struct set_index_flow *flow, uint32_t value)
{
    size_t n_hops = trajectory_path_n_hops(flow->path);

    for (size_t i = 0; i < n_hops; i++) {
        uint32_t here;

        if (!trajectory_path_load(flow->path, i, flow->header, r->ofs, r->size,
                                  &here)) {
            key_map_find_all(s->map, r->column, &s->found);
            return;
        }
        if (here != value) {
            value = here;
            key_map_find(s->map, r->column, value, &s->found);
        }
    }
}

static void
find_reading(struct search *s, const struct set_index_reading *r,
             const struct set_index_flow *flow)
{
    const uint8_t *at = flow->header + r->ofs;
    uint32_t value;

    if (r->is_varying) {
        key_map_find_all(s->map, r->column, &s->found);
        return;
    }
    value = r->size == 4   ? bytes_be32(at)
            : r->size == 2 ? bytes_be16(at)
                           : *at;
    key_map_find(s->map, r->column, value, &s->found);
    if (!r->is_kept) {
        find_at_hops(s, r, flow, value);
    }
}

/* --- Finding ------------------------------------------------------------ */

/* Sorts by a bit for each number that was found. */
static void
sort_many(struct set_index *x)
{
    size_t n = 0;

    for (size_t i = 0; i < x->n_found; i++) {
        x->bits[x->found[i] / 64] |= UINT64_C(1) << x->found[i] % 64;
    }
    for (size_t i = 0; n < x->n_found; i++) {
        for (; x->bits[i]; x->bits[i] &= x->bits[i] - 1) {
            x->found[n++] =
                (uint32_t) (64 * i + (size_t) __builtin_ctzll(x->bits[i]));
        }
    }
}

static void
sort_found(struct set_index *x)
{
    uint32_t *found = x->found;

    if (x->n_found > FEW) {
        sort_many(x);
        return;
    }
    for (size_t i = 1; i < x->n_found; i++) {
        uint32_t index = found[i];
        size_t j = i;

        for (; j && found[j - 1] > index; j--) {
            found[j] = found[j - 1];
        }
        found[j] = index;
    }
}

static struct search
begin(struct set_index *x, const struct key_map *map)
{
    if (++x->round == 0) { /* Old marks would look new. */
        for (size_t i = 0; i < x->n_filters; i++) {
            x->filters[i].mark = 0;
        }
        for (size_t i = 0; i < x->n_fields; i++) {
            x->fields[i].round = x->fields[i].round_all = 0;
        }
        x->round = 1;
    }
    x->n_found = 0;
    return (struct search){.found = {note}, .index = x, .map = map};
}

/* What was found.  'always' are those that are found anyway; NULL: not of a
 * path. */
static uint32_t *
end(struct set_index *x, const struct set_index_list *always, size_t *n)
{
    if (always && always->n) {
        memcpy(x->found + x->n_found, always->numbers,
               always->n * sizeof *x->found);
        x->n_found += always->n;
    }
    sort_found(x);
    for (size_t i = x->n_built; always && i < x->n_filters; i++) {
        x->found[x->n_found++] = (uint32_t) i;
    }
    *n = x->n_found;
    return x->found;
}

uint32_t *
set_index_find(struct set_index *x, const struct history *history,
               const struct topology *topology, size_t *n)
{
    struct search s = begin(x, &x->both);

    find_by_path(&s, history, topology);
    find_by_headers(&s, history, false);
    return end(x, &x->always, n);
}

const uint32_t *
set_index_find_path(struct set_index *x, const struct history *history,
                    const struct topology *topology, size_t *n)
{
    struct search s = begin(x, &x->paths);

    find_by_path(&s, history, topology);
    return end(x, &x->always_on_path, n);
}

const uint32_t *
set_index_find_headers(struct set_index *x, const struct history *history,
                       bool is_flow, const uint64_t *keyed, size_t *n)
{
    struct search s = begin(x, &x->flows);

    s.keyed = keyed;
    find_by_headers(&s, history, is_flow);
    return end(x, NULL, n);
}

const uint32_t *
set_index_find_level(struct set_index *x, const struct set_index_flow *flow,
                     size_t *n)
{
    struct search s = begin(x, &x->flows);

    s.keyed = flow->keyed;
    for (size_t i = 0; i < flow->n_readings; i++) {
        find_reading(&s, &flow->readings[i], flow);
    }
    return end(x, NULL, n);
}
