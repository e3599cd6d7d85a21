/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_packet - the packet at a hop: `x`, its bytes, and `info packet`, its
 * fields. */
#include <config.h>
#include "apps/ndb_packet.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ndb_print.h"
#include "apps/packet_fields.h"
#include "lib/jmember.h"
#include "lib/nearest.h"
#include "lib/text_line.h"
#include "lib/text_number.h"

#define MAX_COUNT 65535
#define LINE_SIZE 8 /* Bytes on a line of x, as gdb has it. */

/* Bytes of a packet. */
struct view {
    const uint8_t *data;
    size_t len;
};

/* What the packet was when it left the hop before, or came there; empty when
 * that is not known. */
static struct view
view_before(const struct history *h, size_t i)
{
    const struct history_hop *hop = &h->hops[i];
    const struct history_hop *parent =
        hop->parent < 0 ? NULL : &h->hops[hop->parent];

    if (!parent || hop->has_gap_before) {
        return (struct view){NULL, 0};
    }
    return parent->has_header_out
               ? (struct view){parent->header_out, parent->header_out_len}
               : (struct view){parent->header, parent->caplen};
}

/* The packet as the rule saw it, or as it sent it on. */
static struct view
view_of(const struct history_hop *hop, bool is_out)
{
    return is_out ? (struct view){hop->header_out, hop->header_out_len}
                  : (struct view){hop->header, hop->caplen};
}

/* The current hop, with bytes; NULL when there are none, which is said. */
static const struct history_hop *
hop_with_bytes(struct ndb *ndb)
{
    const struct history_hop *hop = ndb_hop(ndb);

    if (!hop) {
        fprintf(stderr,
                "%s: no history: find some, or continue to a breakpoint\n",
                ndb->where);
    } else if (!hop->caplen) {
        fprintf(stderr, "%s: no bytes are known of the packet at hop %zu\n",
                ndb->where, ndb->frame);
    }
    return hop && hop->caplen ? hop : NULL;
}

/* --- x ------------------------------------------------------------------- */

/* What x shows. */
struct examining {
    uint64_t count; /* Of units; 0: as many as there are. */
    char letter;    /* x, d, u, o, t or c. */
    size_t size;    /* Bytes of a unit: 1, 2, 4 or 8. */
    bool is_out;
    size_t ofs;
    const char *name; /* Of what stands there; "" for none. */
    size_t name_ofs;
    char name_buf[16];
};

/* "16xb": a count, a letter and a size, each of which may be left out. */
static int
parse_format(const char *s, size_t len, struct examining *x,
             struct lh_error *error)
{
    static const char sizes[] = "bhwg";
    size_t n_digits = strspn(s, "0123456789");
    char digits[12];

    n_digits = n_digits < len ? n_digits : len;
    snprintf(digits, sizeof digits, "%.*s", (int) n_digits, s);
    if (n_digits && !text_number(digits, 10, 1, MAX_COUNT, &x->count)) {
        lh_error_set(error, "x shows from 1 to %d units, not %.*s", MAX_COUNT,
                     (int) n_digits, s);
        return EINVAL;
    }
    for (size_t i = n_digits; i < len; i++) {
        const char *size = strchr(sizes, s[i]);

        if (s[i] && size) {
            x->size = (size_t) 1 << (size - sizes);
        } else if (s[i] && strchr("xduotc", s[i])) {
            x->letter = s[i];
        } else {
            lh_error_set(error,
                         "no format \"%c\": there are x, d, u, o, t (binary) "
                         "and c, and the sizes b, h, w and g",
                         s[i]);
            return EINVAL;
        }
    }
    return 0;
}

static int
no_field(const char *name, const struct packet_field *fields, size_t n,
         struct lh_error *error)
{
    struct nearest nearest = nearest_init(name);

    for (size_t i = 0; i < n; i++) {
        nearest_try(&nearest, fields[i].name);
    }
    if (nearest_name(&nearest)) {
        lh_error_set(error, "this packet has no \"%s\"; is \"%s\" meant?",
                     name, nearest_name(&nearest));
    } else {
        lh_error_set(error,
                     "this packet has no \"%s\"; \"info packet\" lists what "
                     "it has",
                     name);
    }
    return EINVAL;
}

/* The field called 'name', or the first one of the layer of that name. */
static const struct packet_field *
find_field(const struct packet_field *fields, size_t n, const char *name)
{
    const struct packet_field *field = packet_fields_named(fields, n, name);
    size_t len = strlen(name);

    for (size_t i = 0; i < n && !field; i++) {
        if (!strncmp(fields[i].name, name, len) &&
            fields[i].name[len] == '.') {
            field = &fields[i];
        }
    }
    return field;
}

/* An offset, a field or a layer, and perhaps "+N". */
static int
parse_where(const char *s, const struct view *v, struct examining *x,
            struct lh_error *error)
{
    struct packet_field fields[PACKET_FIELDS_MAX];
    size_t n = packet_fields_find(v->data, v->len, fields);
    const char *plus = strchr(s, '+');
    int len = (int) (plus ? plus - s : (long) strlen(s));
    const struct packet_field *field;
    uint64_t ofs = 0, more = 0;
    char name[40];

    snprintf(name, sizeof name, "%.*s", len, s);
    if (isdigit((unsigned char) *name)) {
        bool is_hex = !strncmp(name, "0x", 2);

        if (!text_number(name + 2 * is_hex, is_hex ? 16 : 10, 0, UINT16_MAX,
                         &ofs)) {
            lh_error_set(error, "\"%s\" is no offset: 0 to %d", name,
                         UINT16_MAX);
            return EINVAL;
        }
    } else {
        field = find_field(fields, n, name);
        if (!field) {
            return no_field(name, fields, n, error);
        }
        ofs = field->ofs;
        if (!x->count && !plus && !strcmp(field->name, name)) {
            x->count = (field->len + x->size - 1) / x->size;
        }
        snprintf(x->name_buf, sizeof x->name_buf, "%.15s", name);
        x->name = x->name_buf;
        x->name_ofs = ofs;
    }
    if (plus && !text_number(plus + 1, 10, 0, UINT16_MAX, &more)) {
        lh_error_set(error, "\"%s\" is no number", plus + 1);
        return EINVAL;
    }
    x->ofs = ofs + more;
    if (x->ofs >= v->len) {
        lh_error_set(error, "%zu bytes were captured of this packet: 0 to %zu",
                     v->len, v->len - 1);
        return EINVAL;
    }
    return 0;
}

static int
parse(const struct history_hop *hop, const char *args, struct examining *x,
      struct lh_error *error)
{
    struct view v;
    int retval = 0;

    if (*args == '/') {
        size_t len = strcspn(args + 1, " \t");

        retval = parse_format(args + 1, len, x, error);
        args += 1 + len;
        args += strspn(args, " \t");
    }
    if (!retval && !strncmp(args, "out", 3) && (!args[3] || args[3] == ' ')) {
        x->is_out = true;
        args += 3;
        args += strspn(args, " \t");
        if (!hop->has_header_out) {
            lh_error_set(error, "what this rule sent on is not known");
            retval = EINVAL;
        }
    }
    v = view_of(hop, x->is_out);
    return retval || !*args ? retval : parse_where(args, &v, x, error);
}

/* Writes the unit of 'n' bytes at 'p'. */
static void
put_unit(struct text_line *line, const uint8_t *p, size_t n, char letter,
         bool is_changed)
{
    enum text_style style = is_changed ? TEXT_YELLOW : TEXT_PLAIN;
    char mark = is_changed ? '*' : ' ';
    uint64_t value = 0;
    char bits[65] = "";
    int shift;

    for (size_t i = 0; i < n; i++) {
        value = value << 8 | p[i];
    }
    switch (letter) {
    case 'd':
        shift = (int) (64 - 8 * n);
        text_line_put(line, style, "  %c%" PRId64, mark,
                      (int64_t) (value << shift) >> shift);
        break;
    case 'u':
        text_line_put(line, style, "  %c%" PRIu64, mark, value);
        break;
    case 'o':
        text_line_put(line, style, "  %c0%" PRIo64, mark, value);
        break;
    case 't':
        for (size_t i = 0; i < 8 * n; i++) {
            bits[i] = value >> (8 * n - 1 - i) & 1 ? '1' : '0';
        }
        text_line_put(line, style, "  %c%s", mark, bits);
        break;
    case 'c':
        text_line_put(line, style, "  %c%" PRIu64 " '%c'", mark, value,
                      value < 0x7f && isprint((int) value) ? (int) value
                                                           : '.');
        break;
    default:
        text_line_put(line, style, "  %c0x%0*" PRIx64, mark, (int) (2 * n),
                      value);
        break;
    }
}

static bool
differs(const struct view *v, const struct view *before, size_t ofs, size_t n)
{
    return before->len && (ofs + n > before->len ||
                           memcmp(v->data + ofs, before->data + ofs, n) != 0);
}

static void
print_bytes(struct ndb *ndb, const struct examining *x, const struct view *v,
            const struct view *before, size_t end)
{
    struct text_line line = {
        .stream = ndb->out, .color = ndb->color, .width = ndb->width};

    for (size_t ofs = x->ofs; ofs < end;) {
        size_t line_end = ofs + LINE_SIZE < end ? ofs + LINE_SIZE : end;

        if (ofs == x->name_ofs && *x->name) {
            text_line_put(&line, TEXT_DIM, "%04zx <%s>:", ofs, x->name);
        } else if (*x->name) {
            text_line_put(&line, TEXT_DIM, "%04zx <%s+%zu>:", ofs, x->name,
                          ofs - x->name_ofs);
        } else {
            text_line_put(&line, TEXT_DIM, "%04zx:", ofs);
        }
        for (; ofs < line_end; ofs += x->size) {
            size_t n = end - ofs < x->size ? end - ofs : x->size;

            put_unit(&line, v->data + ofs, n, x->letter,
                     differs(v, before, ofs, n));
        }
        text_line_end(&line);
    }
    text_line_uninit(&line);
}

enum ndb_status
ndb_packet_x(struct ndb *ndb, const char *args)
{
    const struct history_hop *hop = hop_with_bytes(ndb);
    struct examining x = {.letter = 'x', .size = 1, .name = ""};
    struct lh_error error;
    struct view v, before;
    size_t end;

    if (!hop) {
        return NDB_NOTHING;
    }
    if (parse(hop, args, &x, &error)) {
        return ndb_fail(ndb, &error, NULL);
    }
    v = view_of(hop, x.is_out);
    before = x.is_out ? view_of(hop, false)
                      : view_before(ndb_history(ndb), ndb->frame);
    end = x.count && x.count < (v.len - x.ofs + x.size - 1) / x.size
              ? x.ofs + x.count * x.size
              : v.len;
    if (ndb->app->is_json) {
        ndb_print_json(
            ndb,
            json_pack("{s:I, s:I, s:b, s:o}", "hop", (json_int_t) ndb->frame,
                      "offset", (json_int_t) x.ofs, "out", x.is_out, "bytes",
                      jmember_hex_new(v.data + x.ofs, end - x.ofs)));
    } else {
        print_bytes(ndb, &x, &v, &before, end);
    }
    return NDB_OK;
}

/* --- info packet --------------------------------------------------------- */

/* The value of 'name' in another view of the packet, if it has it and it is
 * not 'value'. */
static const char *
other_value(const struct packet_field *fields, size_t n, const char *name,
            const char *value)
{
    const struct packet_field *field = packet_fields_named(fields, n, name);

    return field && strcmp(field->value, value) != 0 ? field->value : NULL;
}

static json_t *
field_to_json(const struct packet_field *field, const char *was,
              const char *after)
{
    json_t *json =
        json_pack("{s:s, s:I, s:I, s:s?}", "field", field->name, "offset",
                  (json_int_t) field->ofs, "size", (json_int_t) field->len,
                  "value", *field->value ? field->value : NULL);

    if (was) {
        json_object_set_new(json, "was", json_string(was));
    }
    if (after) {
        json_object_set_new(json, "after", json_string(after));
    }
    return json;
}

static void
print_field(struct ndb *ndb, const struct packet_field *field, const char *was,
            const char *after)
{
    struct text_line line = {
        .stream = ndb->out, .color = ndb->color, .width = ndb->width};
    bool is_changed = was || after;

    text_line_put(&line, is_changed ? TEXT_YELLOW : TEXT_PLAIN, "%c %-12s %s",
                  is_changed ? '*' : ' ', field->name,
                  *field->value ? field->value : "none");
    if (after) {
        text_line_put(&line, TEXT_YELLOW, " -> %s", after);
    }
    if (was) {
        text_line_put(&line, TEXT_DIM, "  (was %s)", was);
    }
    text_line_end(&line);
    text_line_uninit(&line);
}

enum ndb_status
ndb_packet_info(struct ndb *ndb, const char *args)
{
    const struct history_hop *hop = hop_with_bytes(ndb);
    struct packet_field fields[PACKET_FIELDS_MAX];
    struct packet_field was[PACKET_FIELDS_MAX], after[PACKET_FIELDS_MAX];
    size_t n, n_was = 0, n_after = 0;
    struct view before;
    json_t *json = json_array();

    if (!hop) {
        json_decref(json);
        return NDB_NOTHING;
    }
    n = packet_fields_find(hop->header, hop->caplen, fields);
    before = view_before(ndb_history(ndb), ndb->frame);
    if (before.len) {
        n_was = packet_fields_find(before.data, before.len, was);
    }
    if (hop->has_header_out) {
        n_after =
            packet_fields_find(hop->header_out, hop->header_out_len, after);
    }
    for (size_t i = 0; i < n; i++) {
        const struct packet_field *f = &fields[i];
        const char *old = other_value(was, n_was, f->name, f->value);
        const char *new = other_value(after, n_after, f->name, f->value);

        if (ndb->app->is_json) {
            json_array_append_new(json, field_to_json(f, old, new));
        } else {
            print_field(ndb, f, old, new);
        }
    }
    for (size_t i = 0; i < n_after; i++) {
        struct packet_field f = after[i];

        if (packet_fields_named(fields, n, f.name)) {
            continue;
        }
        *f.value = '\0'; /* This rule adds it. */
        if (ndb->app->is_json) {
            json_array_append_new(json,
                                  field_to_json(&f, NULL, after[i].value));
        } else {
            print_field(ndb, &f, NULL, after[i].value);
        }
    }
    if (ndb->app->is_json) {
        ndb_print_json(ndb, json);
    } else {
        json_decref(json);
    }
    return NDB_OK;
}
