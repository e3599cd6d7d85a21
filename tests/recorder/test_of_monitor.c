/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/of_monitor: requests and updates of every version, from
 * bytes and back to the same bytes. */
#include <config.h>
#include "recorder/of_monitor.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"

#define MAX_MESSAGE 1024

struct vector {
    const char *bytes;
    const char *text;
};

/* One part asks for all there is; the others differ in each member. */
static const struct vector requests[] = {
    {"01100040 00000005 ffff0000 00002320 00000002 00000000"
     "00000007 003f 0003 0000 04 0000000000"
     "00000008 0008 ffff 0006 ff 0000000000 00000002 0002 0000",
     "id=7 command=0 flags=5f table=4 port=3 group=any;"
     "id=8 command=0 flags=8 table=255 port=any group=any in_port=2;"},
    {"04120048 00000005 ffff0000 00000000 4f4e4600 0000074e"
     "00000007 003f 0004 00000003 04 000000 00010004 00000000"
     "00000008 0002 0004 ffffffff ff 000000 00010004 00000000",
     "id=7 command=0 flags=5f table=4 port=3 group=any;"
     "id=8 command=0 flags=2 table=255 port=any group=any;"},
    {"05120040 00000005 00100000 00000000"
     "00000007 00000003 00000009 005f 04 00 00010004 00000000"
     "00000008 ffffffff ffffffff 0004 ff 01 00010004 00000000",
     "id=7 command=0 flags=5f table=4 port=3 group=9;"
     "id=8 command=1 flags=4 table=255 port=any group=any;"},
    {"06120028 00000005 00100000 00000000"
     "00000008 ffffffff ffffffff 0004 ff 02 00010004 00000000",
     "id=8 command=2 flags=0 table=0 port=any group=any;"},
};

/* Added with actions, removed, and what the asker did itself. */
static const struct vector updates[] = {
    {"01110070 00000005 ffff0000 00002320 00000002 00000000"
     "0028 0000 0000 8000 0005 0010 0006 01 00 123456789abcdef0"
     "00000002 0001 0000 0000 0008 0002 0000"
     "0028 0001 0005 0007 0000 0000 0006 02 00 0000000000000000"
     "00000002 0002 0000 0000 0008 0003 0000"
     "0008 0003 000186a0",
     "1 table=1 priority=32768 5/16 cookie=123456789abcdef0 in_port=1 "
     "output:2;"
     "2 reason=5 table=2 priority=7 0/0 cookie=0 in_port=2 output:3;"
     "4 xid=186a0;"},
    {"04130060 00000005 ffff0000 00000000 4f4e4600 0000074e"
     "0040 0002 0000 8000 0005 0010 000c 01 00 123456789abcdef0"
     "0001000c 80000004 00000001 00000000"
     "0004 0018 00000000 0000 0010 00000002 0000 0000 00000000"
     "0008 0003 000186a0",
     "3 table=1 priority=32768 5/16 cookie=123456789abcdef0 in_port=1 "
     "output:2;"
     "4 xid=186a0;"},
    {"05130048 00000005 00100000 00000000"
     "0030 0002 01 05 0005 0010 8000 0000 0000 123456789abcdef0"
     "00010017 80000004 00000001 80000a02 0800 80001401 06 00"
     "0008 0004 000186a0",
     "2 reason=5 table=1 priority=32768 5/16 cookie=123456789abcdef0 "
     "tcp,in_port=1 drop;"
     "4 xid=186a0;"},
    {"06130058 00000005 00100000 00000000"
     "0040 0000 01 00 0005 0010 8000 0000 0000 123456789abcdef0"
     "0001000c 80000004 00000001 00000000"
     "0004 0018 00000000 0000 0010 00000002 0000 0000 00000000"
     "0008 0004 000186a0",
     "0 table=1 priority=32768 5/16 cookie=123456789abcdef0 in_port=1 "
     "output:2;"
     "4 xid=186a0;"},
};

static size_t
from_hex(const char *hex, uint8_t *bytes)
{
    size_t n = 0;

    while (*hex) {
        unsigned int byte;

        if (*hex == ' ') {
            hex++;
            continue;
        }
        ck_assert_int_eq(sscanf(hex, "%2x", &byte), 1);
        bytes[n++] = (uint8_t) byte;
        hex += 2;
    }
    return n;
}

static void add(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
add(char *text, size_t size, const char *format, ...)
{
    size_t len = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + len, size - len, format, args);
    va_end(args);
}

static void
add_filter(char *text, size_t size, const char *name, uint32_t value)
{
    if (value == OF_ACTS_ANY) {
        add(text, size, " %s=any", name);
    } else {
        add(text, size, " %s=%u", name, value);
    }
}

static void
describe_requests(const struct of_monitor *monitors, size_t n, char *text,
                  size_t size)
{
    *text = '\0';
    for (size_t i = 0; i < n; i++) {
        const struct of_monitor *m = &monitors[i];
        char *match = of_match_to_text(m->match);

        add(text, size, "id=%u command=%u flags=%x table=%u", m->id,
            m->command, m->flags, m->table_id);
        add_filter(text, size, "port", m->out_port);
        add_filter(text, size, "group", m->out_group);
        add(text, size, "%s%s;", *match ? " " : "", match);
        free(match);
    }
}

static void
describe_update(const struct of_update *u, char *text, size_t size)
{
    add(text, size, "%u", u->event);
    if (u->event == OF_UPDATE_ABBREV) {
        add(text, size, " xid=%x;", u->xid);
    } else {
        char *match = of_match_to_text(u->match);
        char *acts = of_acts_to_text(&u->acts);

        if (u->event == OF_UPDATE_REMOVED) {
            add(text, size, " reason=%u", u->reason);
        }
        add(text, size, " table=%u priority=%u %u/%u cookie=%llx %s %s;",
            u->table_id, u->priority, u->idle_timeout, u->hard_timeout,
            (unsigned long long) u->cookie, match, acts);
        free(match);
        free(acts);
    }
}

START_TEST(requests_are_read_and_written)
{
    const struct vector *v = &requests[_i];
    uint8_t bytes[MAX_MESSAGE];
    size_t len = from_hex(v->bytes, bytes);
    struct of_monitor *monitors;
    char text[MAX_MESSAGE];
    size_t n, back_len;
    uint8_t *back;

    ck_assert_uint_eq(len, of_wire_get16(bytes + 2));
    ck_assert_int_eq(of_msg_kind(bytes, len), OF_MONITOR_REQUEST);
    ck_assert(of_monitor_decode(bytes, len, &monitors, &n));
    describe_requests(monitors, n, text, sizeof text);
    if (monitors[0].command != OF_MONITOR_DELETE) {
        ck_assert_str_eq(text, v->text);
    }
    ck_assert_int_eq(
        of_monitor_encode(monitors, n, bytes[0], &back, &back_len), 0);
    of_wire_set_xid(back, back_len, 5);
    if (monitors[0].command != OF_MONITOR_DELETE) {
        ck_assert_uint_eq(back_len, len);
        ck_assert_mem_eq(back, bytes, len);
    }
    free(back);
    for (size_t i = 0; i < n; i++) {
        of_monitor_uninit(&monitors[i]);
    }
    free(monitors);
}
END_TEST

START_TEST(a_request_cut_short_is_malformed)
{
    uint8_t bytes[MAX_MESSAGE];
    size_t len = from_hex(requests[_i].bytes, bytes);
    size_t head = bytes[0] >= 5 ? 16 : 24;
    struct of_monitor *monitors;
    size_t n;

    for (size_t cut = head + 1; cut < len; cut++) {
        bool ok;

        of_wire_put16(bytes + 2, (uint16_t) cut);
        ok = of_monitor_decode(bytes, cut, &monitors, &n);
        /* Between two parts it is a shorter request. */
        ck_assert_msg(!ok || n == 1, "%zu of %zu: %zu parts", cut, len, n);
        ck_assert(ok || (!n && !monitors));
        for (size_t i = 0; i < n; i++) {
            of_monitor_uninit(&monitors[i]);
        }
        free(monitors);
    }
}
END_TEST

START_TEST(monitors_are_cancelled_in_every_version)
{
    static const uint8_t versions[] = {1, 2, 3, 4, 5, 6};
    uint8_t version = versions[_i];
    struct of_monitor *monitors;
    uint32_t id = 0;
    uint8_t *msg;
    size_t len, n;

    of_monitor_cancel_encode(0x12345678, version, &msg, &len);
    if (version < 5) {
        ck_assert_int_eq(of_msg_kind(msg, len), OF_MONITOR_CANCEL);
        ck_assert(of_monitor_cancel_decode(msg, len, &id));
        ck_assert_uint_eq(id, 0x12345678);
    } else {
        ck_assert(!of_monitor_cancel_decode(msg, len, &id));
        ck_assert(of_monitor_decode(msg, len, &monitors, &n));
        ck_assert_uint_eq(n, 1);
        ck_assert_uint_eq(monitors[0].id, 0x12345678);
        ck_assert_uint_eq(monitors[0].command, OF_MONITOR_DELETE);
        of_monitor_uninit(&monitors[0]);
        free(monitors);
    }
    free(msg);
}
END_TEST

struct gathered {
    uint8_t *msg[8];
    size_t len[8];
    size_t n;
};

static void
gather(void *gathered_, uint8_t *msg, size_t len)
{
    struct gathered *g = gathered_;

    ck_assert_uint_lt(g->n, 8);
    g->msg[g->n] = msg;
    g->len[g->n++] = len;
}

static void
copy_updates(const uint8_t *bytes, size_t len, char *text, size_t size,
             struct gathered *g)
{
    struct of_update_writer *writer = of_update_writer_open(bytes[0]);
    struct of_update_reader *reader = of_update_reader_open(bytes, len);
    struct of_update update;
    int result;

    *text = '\0';
    g->n = 0;
    while ((result = of_update_reader_next(reader, &update)) > 0) {
        describe_update(&update, text, size);
        of_update_writer_add(writer, &update);
        of_update_uninit(&update);
    }
    ck_assert_int_eq(result, 0);
    of_update_reader_close(reader);
    of_update_writer_close(writer, 5, true, false, gather, g);
}

START_TEST(updates_are_read_and_written)
{
    const struct vector *v = &updates[_i];
    uint8_t bytes[MAX_MESSAGE];
    size_t len = from_hex(v->bytes, bytes);
    char text[MAX_MESSAGE];
    struct gathered g;

    ck_assert_uint_eq(len, of_wire_get16(bytes + 2));
    ck_assert_int_eq(of_msg_kind(bytes, len), OF_MONITOR_REPLY);
    copy_updates(bytes, len, text, sizeof text, &g);
    ck_assert_str_eq(text, v->text);
    ck_assert_uint_eq(g.n, 1);
    ck_assert_uint_eq(g.len[0], len);
    ck_assert_mem_eq(g.msg[0], bytes, len);
    free(g.msg[0]);
}
END_TEST

START_TEST(many_updates_are_cut_between_messages)
{
    static const uint8_t versions[] = {1, 4, 5, 6};
    uint8_t version = versions[_i];
    struct of_update_writer *writer = of_update_writer_open(version);
    struct of_update update = {.event = OF_UPDATE_ADDED,
                               .match = of_match_create_all()};
    struct gathered g = {.n = 0};
    size_t n = 0;

    ck_assert_ptr_null(of_acts_from_text(&update.acts, "output:7"));
    for (update.priority = 0; update.priority < 3000; update.priority++) {
        of_update_writer_add(writer, &update);
    }
    of_update_uninit(&update);
    of_update_writer_close(writer, 0, false, false, gather, &g);
    ck_assert_uint_gt(g.n, 1);
    for (size_t i = 0; i < g.n; i++) {
        struct of_update_reader *reader =
            of_update_reader_open(g.msg[i], g.len[i]);

        ck_assert_int_eq(of_wire_is_last_reply(g.msg[i], g.len[i]),
                         i + 1 == g.n);
        while (of_update_reader_next(reader, &update) > 0) {
            ck_assert_uint_eq(update.priority, n++);
            of_update_uninit(&update);
        }
        of_update_reader_close(reader);
        free(g.msg[i]);
    }
    ck_assert_uint_eq(n, 3000);
}
END_TEST

START_TEST(an_empty_part_is_sent_only_as_an_answer)
{
    static const struct {
        bool is_answer, more;
        size_t n;
    } cases[] = {{true, false, 1}, {true, true, 0}, {false, false, 0}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gathered g = {.n = 0};

        of_update_writer_close(of_update_writer_open(OF_WIRE_13), 5,
                               cases[i].is_answer, cases[i].more, gather, &g);
        ck_assert_uint_eq(g.n, cases[i].n);
        if (g.n) {
            ck_assert_uint_eq(of_wire_xid(g.msg[0]), 5);
            free(g.msg[0]);
        }
    }
}
END_TEST

START_TEST(strange_updates_are_malformed)
{
    uint8_t bytes[MAX_MESSAGE];
    size_t len = from_hex(updates[_i].bytes, bytes);
    size_t head = bytes[0] >= 5 ? 16 : 24;
    struct of_update update;

    for (size_t i = head; i < len; i++) {
        for (unsigned int bit = 0; bit < 8; bit++) {
            struct of_update_reader *reader;

            bytes[i] ^= (uint8_t) (1u << bit);
            reader = of_update_reader_open(bytes, len);
            for (int n = 0; of_update_reader_next(reader, &update) > 0; n++) {
                ck_assert_int_lt(n, (int) len);
                of_update_uninit(&update);
            }
            of_update_reader_close(reader);
            bytes[i] ^= (uint8_t) (1u << bit);
        }
    }
}
END_TEST

START_TEST(pauses_are_known_in_every_version)
{
    static const struct {
        const char *bytes;
        enum of_kind kind;
    } pauses[] = {
        {"01040010 00000000 00002320 00000016", OF_MONITOR_PAUSED},
        {"01040010 00000000 00002320 00000017", OF_MONITOR_RESUMED},
        {"04040010 00000000 4f4e4600 0000074f", OF_MONITOR_PAUSED},
        {"04040010 00000000 4f4e4600 00000750", OF_MONITOR_RESUMED},
        {"05130018 00000000 00100000 00000000 0008 0005 00000000",
         OF_MONITOR_REPLY},
        {"06130018 00000000 00100000 00000000 0008 0006 00000000",
         OF_MONITOR_REPLY},
    };
    uint8_t bytes[MAX_MESSAGE];
    size_t len = from_hex(pauses[_i].bytes, bytes);

    ck_assert_int_eq(of_msg_kind(bytes, len), pauses[_i].kind);
    if (pauses[_i].kind == OF_MONITOR_REPLY) {
        struct of_update_reader *reader = of_update_reader_open(bytes, len);
        struct of_update update;

        ck_assert_int_eq(of_update_reader_next(reader, &update), 1);
        ck_assert_int_eq(update.event,
                         bytes[0] == 5 ? OF_UPDATE_PAUSED : OF_UPDATE_RESUMED);
        of_update_uninit(&update);
        ck_assert_int_eq(of_update_reader_next(reader, &update), 0);
        of_update_reader_close(reader);
    }
}
END_TEST

int
main(void)
{
    const int n_requests = sizeof requests / sizeof requests[0];
    const int n_updates = sizeof updates / sizeof updates[0];
    Suite *suite = suite_create("of_monitor");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    of_msg_init();
    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, requests_are_read_and_written, 0, n_requests);
    tcase_add_loop_test(tc, a_request_cut_short_is_malformed, 0, n_requests);
    tcase_add_loop_test(tc, monitors_are_cancelled_in_every_version, 0, 6);
    tcase_add_loop_test(tc, updates_are_read_and_written, 0, n_updates);
    tcase_add_loop_test(tc, strange_updates_are_malformed, 0, n_updates);
    tcase_add_loop_test(tc, many_updates_are_cut_between_messages, 0, 4);
    tcase_add_test(tc, an_empty_part_is_sent_only_as_an_answer);
    tcase_add_loop_test(tc, pauses_are_known_in_every_version, 0, 6);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
