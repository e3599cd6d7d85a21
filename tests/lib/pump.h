/* SPDX-License-Identifier: Apache-2.0 */
/* pump - runs an event loop and the raw end of a socket in one thread, for
 * tests of who talks JSON lines. */
#ifndef TESTS_LIB_PUMP_H
#define TESTS_LIB_PUMP_H 1

#include <stdbool.h>
#include <jansson.h>

struct event_base;

/* A stream socket whose far end is under test. */
struct pump {
    struct event_base *base;
    int fd;
    char *text; /* Read and not taken yet.  Owned. */
    size_t len;
};

/* Makes a pair: 'pump' gets one end, the other one is returned. */
int pump_init(struct pump *, struct event_base *);
void pump_uninit(struct pump *);

/* Writes all of 'text', letting the loop run when the socket is full. */
void pump_write(struct pump *, const char *text);
/* Runs the loop until a line comes, and returns it parsed.  Fails the test
 * after 10 seconds. */
json_t *pump_read(struct pump *);
/* Runs the loop until the far end has closed; what came before is lost. */
void pump_until_closed(struct pump *);
/* Runs the loop until '*flag'. */
void pump_until(struct event_base *, const bool *flag);
/* Lets the loop do what is to be done at once. */
void pump_once(struct event_base *);

/* Fails the test unless the line that comes next is 'text'. */
void pump_expect(struct pump *, const char *text);

#endif /* tests/lib/pump.h */
