/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/hold.c */
/*
 * test_hold.c - who wants room gets it in the order of coming, and nobody
 * waits behind what is not in their way
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/broker.h"
#include "master/broker/conn.h"
#include "master/broker/hold.h"

#define CLIENTS  4
#define REQUESTS 300
#define MOST     100 /* tries in a turn */

/* What a request does when it is tried. */
enum outcome {
	LET_IN,
	GET_A_PART, /* and wait for room for the rest */
	WAIT_AGAIN, /* for its room; refused when it can't */
	LOOK_UP,    /* the outcome comes later */
};

struct request {
	struct hold hold; /* first */
	struct call call;
	char name;
	enum outcome outcome;
	const void *room;
	bool fits;
	unsigned n_looked, n_tried;
	bool is_over;
};

static struct {
	struct broker b;
	struct broker_settings settings;
	struct conn clients[CLIENTS];
	bool paused[CLIENTS]; /* as they were last regulated */
	struct request requests[REQUESTS];
	size_t n;
	char log[8 * REQUESTS]; /* "+a" let in, "-a" dropped, "?a" tried */
} w;

static const char red, blue; /* what may be full */

void
conn_regulate(struct conn *c)
{
	assert_in_range(c - w.clients, 0, CLIENTS - 1);
	w.paused[c - w.clients] = !TAILQ_EMPTY(&c->holds);
}

static void
note(char what, const struct request *r)
{
	size_t n = strlen(w.log);

	assert_true(n + 3 < sizeof(w.log));
	w.log[n] = what;
	w.log[n + 1] = r->name;
}

static void
assert_log(const char *expected)
{
	assert_string_equal(w.log, expected);
	memset(w.log, 0, sizeof(w.log));
}

static bool
fits(struct hold *h)
{
	struct request *r = (struct request *)h;

	r->n_looked++;
	return r->fits;
}

static void
let_in(struct request *r)
{
	assert_false(r->is_over);
	note('+', r);
	r->is_over = true;
	hold_end(&w.b, &r->hold);
}

/* As an owner does that finds no room. */
static void
wait_or_refuse(struct request *r)
{
	if (hold_add(&w.b, &r->hold, r->room))
		return;
	note('!', r);
	r->is_over = true;
	hold_end(&w.b, &r->hold);
}

static void
again(struct hold *h)
{
	struct request *r = (struct request *)h;

	assert_null(h->room);
	r->n_tried++;
	if (r->outcome == LET_IN) {
		let_in(r);
		return;
	}
	note('?', r);
	if (r->outcome == GET_A_PART)
		r->fits = false;
	if (r->outcome != LOOK_UP)
		wait_or_refuse(r);
}

static void
drop(struct hold *h)
{
	struct request *r = (struct request *)h;

	assert_null(h->conn);
	assert_null(h->room);
	assert_null(r->call.hold);
	assert_false(r->is_over);
	note('-', r);
	r->is_over = true;
}

/* A request of a client: the first is "a". */
static struct request *
request(unsigned client, const void *room)
{
	struct request *r = &w.requests[w.n];

	assert_true(w.n < REQUESTS);
	r->name = (char)('a' + w.n++ % 26);
	r->call.broker = &w.b;
	r->call.conn = &w.clients[client];
	r->room = room;
	r->hold = (struct hold){
	    .call = &r->call, .fits = fits, .again = again, .drop = drop};
	return r;
}

/* The same, which came, found no room, and is held. */
static struct request *
held(unsigned client, const void *room)
{
	struct request *r = request(client, room);

	if (!hold_queue(&r->hold))
		assert_true(hold_add(&w.b, &r->hold, room));
	return r;
}

static int
set_up(void **state)
{
	unsigned i;

	(void)state;
	memset(&w, 0, sizeof(w));
	w.b.loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(w.b.loop);
	w.b.settings = &w.settings;
	w.settings.hold_when_full = true;
	for (i = 0; i < CLIENTS; i++)
		TAILQ_INIT(&w.clients[i].holds);
	hold_init(&w.b);
	return 0;
}

static int
tear_down(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < CLIENTS; i++) {
		assert_true(TAILQ_EMPTY(&w.clients[i].holds));
		assert_false(w.paused[i]);
	}
	assert_true(hold_is_empty(&w.b));
	assert_false(ev_is_active(&w.b.holds.timer));
	hold_done(&w.b);
	ev_loop_destroy(w.b.loop);
	return 0;
}

static void
what_can_get_no_room_is_not_held(void **state)
{
	struct request *r = request(0, &red);

	(void)state;
	assert_false(hold_add(&w.b, &r->hold, NULL));
	w.settings.hold_when_full = false;
	assert_false(hold_add(&w.b, &r->hold, &red));
	w.settings.hold_when_full = true;
	w.b.phase = BROKER_DRAINING;
	assert_false(hold_add(&w.b, &r->hold, &red));
	w.b.phase = BROKER_SERVING;
	w.b.holding = true;
	assert_false(hold_add(&w.b, &r->hold, &red));
	w.b.holding = false;
	r->call.conn = NULL;
	assert_false(hold_add(&w.b, &r->hold, &red));
	assert_false(hold_queue(&r->hold));
	r->call.conn = &w.clients[0];
	w.clients[0].peer.fd = -1;
	assert_false(hold_add(&w.b, &r->hold, &red));
	assert_false(hold_queue(&r->hold));
	/* Nothing was left behind. */
	assert_true(hold_is_empty(&w.b));
	assert_false(hold_run(&w.b));
	hold_end(&w.b, &r->hold);
}

static void
they_get_room_in_the_order_of_coming(void **state)
{
	struct request *a = held(0, &red), *b = held(1, &red);
	struct request *c = held(2, &red);

	(void)state;
	assert_true(ev_is_active(&w.b.holds.timer));
	b->fits = c->fits = true;
	/* The first one's want is the others', too. */
	assert_false(hold_run(&w.b));
	assert_log("");
	assert_int_equal(a->n_looked, 1);
	assert_int_equal(b->n_looked + c->n_looked, 0);
	a->fits = true;
	b->fits = false;
	assert_true(hold_run(&w.b));
	assert_log("+a");
	assert_false(hold_run(&w.b));
	b->fits = true;
	assert_true(hold_run(&w.b));
	assert_log("+b+c");
	assert_true(hold_is_empty(&w.b));
	assert_false(ev_is_active(&w.b.holds.timer));
}

static void
who_wants_something_else_is_not_kept_waiting(void **state)
{
	struct request *a = held(0, &red), *b = held(1, &blue);
	struct request *c = held(2, &red), *d = held(3, &blue);

	(void)state;
	b->fits = d->fits = true;
	assert_true(hold_run(&w.b));
	assert_log("+b+d");
	a->fits = c->fits = true;
	assert_true(hold_run(&w.b));
	assert_log("+a+c");
}

static void
one_that_gets_only_a_part_keeps_its_place(void **state)
{
	struct request *a = held(0, &red), *b = held(1, &red);

	(void)state;
	a->fits = true;
	a->outcome = GET_A_PART;
	/* It would do with what is left. */
	b->fits = true;
	assert_true(hold_run(&w.b));
	assert_log("?a");
	assert_false(hold_run(&w.b));
	a->fits = true;
	a->outcome = LET_IN;
	assert_true(hold_run(&w.b));
	assert_log("+a+b");
}

static void
one_that_is_tried_over_and_over_does_not_stop_the_broker(void **state)
{
	struct request *a = held(0, &red);

	(void)state;
	a->fits = true;
	a->outcome = WAIT_AGAIN;
	assert_false(hold_run(&w.b));
	assert_int_equal(a->n_tried, MOST);
	a->outcome = LET_IN;
	assert_true(hold_run(&w.b));
}

static void
those_that_are_looked_up_come_back_to_their_places(void **state)
{
	struct request *a = held(0, &red), *b = held(1, &red);
	struct request *c = held(2, &red), *d = held(3, &red);

	(void)state;
	a->fits = b->fits = c->fits = true;
	a->outcome = b->outcome = c->outcome = LOOK_UP;
	assert_true(hold_run(&w.b));
	assert_log("?a?b?c");
	assert_null(a->hold.room);
	assert_ptr_equal(a->hold.conn, &w.clients[0]);
	/* What comes of them does so in another order. */
	wait_or_refuse(b);
	wait_or_refuse(c);
	wait_or_refuse(a);
	a->outcome = b->outcome = c->outcome = LET_IN;
	d->fits = true;
	assert_true(hold_run(&w.b));
	assert_log("+a+b+c+d");
}

static void
one_that_wants_another_room_now_is_not_last_there(void **state)
{
	struct request *a = held(0, &red), *b = held(1, &blue);
	struct request *c = held(2, &red);

	(void)state;
	a->fits = true;
	a->outcome = GET_A_PART;
	a->room = &blue;
	assert_true(hold_run(&w.b));
	assert_log("?a");
	assert_ptr_equal(a->hold.room, b->hold.room);
	a->outcome = LET_IN;
	a->fits = b->fits = c->fits = true;
	assert_true(hold_run(&w.b));
	/* It came before the one that is there. */
	assert_log("+c+a+b");
}

static void
requests_of_a_client_are_tried_one_after_the_other(void **state)
{
	struct request *a = held(0, &red);
	struct request *b, *c;

	(void)state;
	assert_true(w.paused[0]);
	assert_ptr_equal(a->call.hold, &a->hold);
	b = held(0, &red);
	c = held(0, &blue);
	assert_null(b->hold.room);
	assert_ptr_equal(b->hold.conn, &w.clients[0]);
	b->fits = c->fits = true;
	assert_false(hold_run(&w.b));
	assert_log("");
	a->fits = true;
	b->outcome = LOOK_UP;
	assert_true(hold_run(&w.b));
	assert_log("+a?b");
	assert_null(a->call.hold);
	/* The third waits for the end of the second. */
	assert_false(hold_run(&w.b));
	let_in(b);
	c->fits = false; /* it may want no room at all */
	assert_true(hold_run(&w.b));
	assert_log("+b+c");
	assert_true(TAILQ_EMPTY(&w.clients[0].holds));
	assert_false(hold_queue(&request(0, &red)->hold));
}

static void
a_later_request_of_a_client_comes_behind_others(void **state)
{
	struct request *a = held(0, &red), *b = held(0, &red), *c;

	(void)state;
	a->fits = true;
	a->outcome = LOOK_UP;
	b->outcome = WAIT_AGAIN;
	assert_true(hold_run(&w.b));
	let_in(a);
	assert_log("?a+a");
	c = held(1, &red);
	assert_true(hold_run(&w.b));
	assert_log("?b");
	/* It had no place in this room so far. */
	b->outcome = LET_IN;
	b->fits = true;
	assert_false(hold_run(&w.b));
	c->fits = true;
	assert_true(hold_run(&w.b));
	assert_log("+c+b");
}

static void
few_enough_are_tried_in_a_turn(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 250; i++)
		held(0, &red)->fits = true;
	assert_false(hold_run(&w.b));
	assert_int_equal(strlen(w.log), 2 * MOST);
	/* The rest in the next turn, and not after a second. */
	assert_true(ev_timer_remaining(w.b.loop, &w.b.holds.timer) <= 0.001);
	assert_false(hold_run(&w.b));
	assert_true(hold_run(&w.b));
	for (i = 0; i < 250; i++)
		assert_int_equal(w.requests[i].n_tried, 1);
}

static void
the_rest_of_a_room_has_its_turn_next(void **state)
{
	struct request *r[2 * MOST];
	unsigned i;

	(void)state;
	for (i = 0; i < 2 * MOST; i++) {
		r[i] = request(i % CLIENTS, i < 60 ? &red : &blue);
		r[i]->fits = true;
		assert_true(hold_add(&w.b, &r[i]->hold, r[i]->room));
	}
	assert_false(hold_run(&w.b));
	for (i = 0; i < 2 * MOST; i++)
		assert_int_equal(r[i]->n_tried, i < MOST);
	assert_true(hold_run(&w.b));
	for (i = 0; i < 2 * MOST; i++)
		assert_int_equal(r[i]->n_tried, 1);
}

static void
a_client_that_goes_takes_its_requests_along(void **state)
{
	struct request *a = held(0, &red), *b = held(0, &red);
	struct request *c = held(1, &red), *d = held(0, &red);

	(void)state;
	/* In the order of its calls, the newest first. */
	hold_drop(&d->hold);
	hold_drop(&b->hold);
	hold_drop(&a->hold);
	assert_log("-d-b-a");
	assert_true(TAILQ_EMPTY(&w.clients[0].holds));
	assert_int_equal(c->n_looked, 0);
	c->fits = true;
	assert_true(hold_run(&w.b));
	assert_log("+c");
}

static void
dropped_from_the_first_on_none_is_left(void **state)
{
	struct request *a = held(0, &red), *b = held(0, &red);
	struct request *c = held(0, &red);

	(void)state;
	hold_drop(&a->hold);
	/* The next would be tried, if it was not dropped as well. */
	assert_non_null(b->hold.room);
	hold_drop(&b->hold);
	hold_drop(&c->hold);
	assert_log("-a-b-c");
}

static void
one_that_is_being_tried_comes_to_its_own_end(void **state)
{
	struct request *a = held(0, &red), *b = held(0, &red);

	(void)state;
	a->fits = true;
	a->outcome = LOOK_UP;
	assert_true(hold_run(&w.b));
	assert_log("?a");
	hold_drop(&a->hold);
	assert_log("");
	a->call.conn = NULL;
	hold_drop(&b->hold);
	assert_log("-b");
	wait_or_refuse(a);
	assert_log("!a");
}

static void
one_that_was_tried_and_waits_again_is_dropped(void **state)
{
	struct request *a = held(0, &red);

	(void)state;
	a->fits = true;
	a->outcome = GET_A_PART;
	assert_true(hold_run(&w.b));
	hold_drop(&a->hold);
	assert_log("?a-a");
}

static void
one_that_is_being_tried_is_not_tried_twice(void **state)
{
	struct request *a = held(0, &red), *b = held(0, &red);

	(void)state;
	a->fits = true;
	a->outcome = LOOK_UP;
	assert_true(hold_run(&w.b));
	hold_drop(&b->hold);
	assert_null(a->hold.room);
	assert_false(hold_run(&w.b));
	let_in(a);
	assert_log("?a-b+a");
}

static void
all_are_refused_but_what_is_being_tried(void **state)
{
	struct request *a = held(0, &red), *b = held(0, &red);
	struct request *c = held(1, &blue), *d = held(2, &red);
	struct request *e = held(2, &red);

	(void)state;
	a->fits = true;
	a->outcome = LOOK_UP;
	assert_true(hold_run(&w.b));
	assert_log("?a");
	w.b.holding = true;
	hold_refuse_all(&w.b);
	assert_log("-d-c-e");
	assert_true(c->is_over && d->is_over && e->is_over);
	assert_true(hold_is_empty(&w.b));
	assert_null(b->hold.room);
	/* It finds no room, and is not held any more; nor is the next. */
	b->outcome = WAIT_AGAIN;
	wait_or_refuse(a);
	assert_true(hold_run(&w.b));
	assert_log("!a?b!b");
}

static void
in_the_end_all_are_tried_once_more(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 250; i++) {
		held(i % 2, i % 3 == 0 ? &red : &blue)->outcome = WAIT_AGAIN;
		(void)held(2, &red);
		if (w.n > REQUESTS - 2)
			break;
	}
	w.b.phase = BROKER_LEAVING;
	assert_true(hold_run(&w.b));
	for (i = 0; i < w.n; i++) {
		assert_int_equal(w.requests[i].n_looked, 0);
		assert_int_equal(w.requests[i].n_tried, 1);
		assert_true(w.requests[i].is_over);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_can_get_no_room_is_not_held),
	    T(they_get_room_in_the_order_of_coming),
	    T(who_wants_something_else_is_not_kept_waiting),
	    T(one_that_gets_only_a_part_keeps_its_place),
	    T(one_that_is_tried_over_and_over_does_not_stop_the_broker),
	    T(those_that_are_looked_up_come_back_to_their_places),
	    T(one_that_wants_another_room_now_is_not_last_there),
	    T(requests_of_a_client_are_tried_one_after_the_other),
	    T(a_later_request_of_a_client_comes_behind_others),
	    T(few_enough_are_tried_in_a_turn),
	    T(the_rest_of_a_room_has_its_turn_next),
	    T(a_client_that_goes_takes_its_requests_along),
	    T(dropped_from_the_first_on_none_is_left),
	    T(one_that_is_being_tried_comes_to_its_own_end),
	    T(one_that_was_tried_and_waits_again_is_dropped),
	    T(one_that_is_being_tried_is_not_tried_twice),
	    T(all_are_refused_but_what_is_being_tried),
	    T(in_the_end_all_are_tried_once_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
