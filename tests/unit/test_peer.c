/* SPDX-License-Identifier: ISC */
/* LINK: ipc/peer.c ipc/line.c ipc/buf.c ipc/sock.c */
/*
 * test_peer.c - a peer on a real loop, its other end in the test's hands
 *
 * The loop and the other end run in turns on one thread: turn() runs the loop
 * once without sleeping, so nothing here waits for luck.
 */
#include "ipc/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/sock.h"

#define MAX_LINE 100
#define MAX_OUT  (1 << 20)
#define TURNS    64 /* more than any step here needs */

struct subject {
	struct peer peer; /* first: the callbacks cast back */
	struct peer_group group;
	struct ev_loop *loop;
	int fd;            /* the other end; -1 once closed */
	struct buf told;   /* what the callbacks were told */
	struct buf answer; /* what the other end has received */
	const char *reason;
	unsigned gone; /* calls of on_gone */
	unsigned sent; /* calls of on_sent */
	bool pause_on_line;
	bool close_on_line;
	bool echo;
};

static struct subject s;

static void
on_line(struct peer *p, char *line, size_t len)
{
	assert_ptr_equal(p, &s.peer);
	assert_int_equal(line[len], '\0');
	buf_printf(&s.told, "<%s>", line);
	if (s.echo) {
		buf_add(&p->out, line, len);
		buf_addc(&p->out, '\n');
		peer_send(p);
	}
	memset(line, '#', len);
	if (s.pause_on_line)
		peer_pause(p);
	if (s.close_on_line)
		peer_close(p, "had enough");
}

static void
on_too_long(struct peer *p)
{
	assert_ptr_equal(p, &s.peer);
	buf_addc(&s.told, '!');
}

static void
on_eof(struct peer *p)
{
	assert_ptr_equal(p, &s.peer);
	buf_addc(&s.told, '.');
}

static void
on_sent(struct peer *p)
{
	assert_ptr_equal(p, &s.peer);
	s.sent++;
}

static void
on_gone(struct peer *p, const char *reason)
{
	assert_ptr_equal(p, &s.peer);
	assert_false(peer_is_open(p));
	s.gone++;
	s.reason = reason;
}

static const struct peer_ops ops_half = {.on_line = on_line,
    .on_too_long = on_too_long,
    .on_eof = on_eof,
    .on_sent = on_sent,
    .on_gone = on_gone};
static const struct peer_ops ops_closing = {
    .on_line = on_line, .on_too_long = on_too_long, .on_gone = on_gone};
static const struct peer_ops ops_tail = {.take_tail = true,
    .on_line = on_line,
    .on_too_long = on_too_long,
    .on_eof = on_eof,
    .on_gone = on_gone};

static void
start(const struct peer_ops *ops)
{
	int fds[2];

	memset(&s, 0, sizeof(s));
	buf_init(&s.told, SIZE_MAX);
	buf_init(&s.answer, SIZE_MAX);
	s.loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(s.loop);
	assert_int_equal(peer_group_init(&s.group, s.loop, NULL, NULL), 0);
	assert_int_equal(sock_pair(SOCK_STREAM, fds), 0);
	assert_int_equal(
	    peer_init(&s.peer, &s.group, fds[0], MAX_LINE, MAX_OUT, ops), 0);
	s.fd = fds[1];
}

static int
tear_down(void **state)
{
	(void)state;
	if (s.fd >= 0)
		close(s.fd);
	peer_close(&s.peer, NULL);
	peer_group_done(&s.group);
	assert_int_equal(s.gone, 1);
	ev_loop_destroy(s.loop);
	buf_done(&s.told);
	buf_done(&s.answer);
	return 0;
}

static void
turn(void)
{
	ev_run(s.loop, EVRUN_NOWAIT);
}

static void
turns(void)
{
	int i;

	for (i = 0; i < TURNS; i++)
		turn();
}

static void
put(const char *text, size_t n)
{
	assert_int_equal(write(s.fd, text, n), (ssize_t)n);
}

static void
puts_text(const char *text)
{
	put(text, strlen(text));
}

static void
assert_told(const char *expected)
{
	char *told;

	told = buf_steal(&s.told, NULL);
	assert_string_equal(told, expected);
	free(told);
}

/* Take what has arrived at the other end; true at its end of file. */
static bool
receive(void)
{
	char data[65536];
	ssize_t n;

	while ((n = read(s.fd, data, sizeof(data))) > 0)
		buf_add(&s.answer, data, (size_t)n);
	return n == 0;
}

static void
send_number(int i)
{
	buf_printf(&s.peer.out, "line %d\n", i);
	peer_send(&s.peer);
}

static void
assert_numbers_arrived(int n)
{
	struct buf want;
	int i;

	buf_init(&want, SIZE_MAX);
	for (i = 0; i < n; i++)
		buf_printf(&want, "line %d\n", i);
	assert_int_equal(buf_len(&s.answer), buf_len(&want));
	assert_memory_equal(
	    buf_head(&s.answer), buf_head(&want), buf_len(&want));
	buf_done(&want);
}

static void
lines_arrive_in_order(void **state)
{
	(void)state;
	start(&ops_half);
	puts_text("one\ntwo\nthr");
	turns();
	assert_told("<one><two>");
	puts_text("ee\n\nfour\n");
	turns();
	assert_told("<three><><four>");
	assert_int_equal(s.gone, 0);
}

static void
too_long_line_is_told_and_passed_over(void **state)
{
	char big[MAX_LINE * 3];

	(void)state;
	start(&ops_half);
	memset(big, 'x', sizeof(big));
	puts_text("one\n");
	put(big, sizeof(big));
	turns();
	puts_text("more\ntwo\n");
	turns();
	assert_told("<one>!<two>");
}

static void
output_of_a_turn_keeps_its_order(void **state)
{
	int i;

	(void)state;
	start(&ops_half);
	for (i = 0; i < 5000; i++) {
		send_number(i);
		if (i % 10 == 0)
			turn();
		if (i % 70 == 0)
			receive();
	}
	for (i = 0; i < TURNS; i++) {
		turn();
		receive();
	}
	assert_numbers_arrived(5000);
	assert_true(s.sent > 0);
}

static void
output_of_a_turn_is_sent_in_one_piece(void **state)
{
	char data[1000];

	(void)state;
	start(&ops_half);
	send_number(0);
	send_number(1);
	assert_int_equal(read(s.fd, data, sizeof(data)), -1);
	assert_int_equal(errno, EAGAIN);
	turn();
	assert_int_equal(read(s.fd, data, sizeof(data)), 14);
	assert_int_equal(s.sent, 1);
}

static void
output_waits_for_room_in_the_socket(void **state)
{
	size_t sent;
	int i;

	(void)state;
	start(&ops_half);
	while (buf_len(&s.peer.out) < MAX_OUT - 100)
		buf_adds(&s.peer.out, "0123456789abcdef0123456789abcdef\n");
	sent = buf_len(&s.peer.out);
	peer_send(&s.peer);
	turns();
	assert_true(buf_len(&s.peer.out) > 0);
	assert_int_equal(s.sent, 0);
	for (i = 0; i < 10000 && s.sent == 0; i++) {
		receive();
		turn();
	}
	receive();
	assert_int_equal(s.sent, 1);
	assert_int_equal(buf_len(&s.answer), sent);
	assert_int_equal(s.gone, 0);
}

/* Its socket is never writable again: it must be closed all the same. */
static void
flood_that_nobody_reads_closes(void **state)
{
	char text[1000];
	int i;

	(void)state;
	start(&ops_half);
	memset(text, 'x', sizeof(text));
	for (i = 0; i < 3 * MAX_OUT / 1000 && s.gone == 0; i++) {
		buf_add(&s.peer.out, text, sizeof(text));
		peer_send(&s.peer);
		turn();
		assert_true(buf_len(&s.peer.out) <= MAX_OUT);
	}
	assert_int_equal(s.gone, 1);
	assert_string_equal(s.reason, "does not read its answers");
}

static void
flood_within_one_turn_closes(void **state)
{
	int i;

	(void)state;
	start(&ops_half);
	for (i = 0; i < MAX_OUT; i++)
		send_number(i);
	turns();
	assert_int_equal(s.gone, 1);
	assert_string_equal(s.reason, "does not read its answers");
}

static void
paused_peer_takes_no_lines_until_resumed(void **state)
{
	(void)state;
	start(&ops_half);
	s.pause_on_line = true;
	puts_text("one\ntwo\nthree\nfo");
	turns();
	assert_told("<one>");
	puts_text("ur\n");
	turns();
	assert_told("");
	peer_resume(&s.peer);
	turns();
	assert_told("<two>");
	s.pause_on_line = false;
	peer_resume(&s.peer);
	turns();
	assert_told("<three><four>");
}

static void
paused_peer_is_not_read_from(void **state)
{
	char data[4096];
	ssize_t n;

	(void)state;
	start(&ops_half);
	peer_pause(&s.peer);
	memset(data, '\n', sizeof(data));
	do {
		n = write(s.fd, data, sizeof(data));
		turn();
	} while (n > 0);
	assert_int_equal(errno, EAGAIN);
	assert_told("");
}

static void
paused_peer_still_sends(void **state)
{
	(void)state;
	start(&ops_half);
	peer_pause(&s.peer);
	send_number(0);
	turns();
	receive();
	assert_numbers_arrived(1);
}

static void
lines_before_a_pause_survive_a_closing_client(void **state)
{
	(void)state;
	start(&ops_half);
	s.pause_on_line = true;
	puts_text("one\ntwo\n");
	close(s.fd);
	s.fd = -1;
	turns();
	assert_told("<one>");
	s.pause_on_line = false;
	peer_resume(&s.peer);
	turns();
	assert_told("<two>");
	assert_int_equal(s.gone, 1);
}

/* It can't be told from a half-closed one by reading. */
static void
client_that_is_gone_is_not_kept_for_its_answers(void **state)
{
	(void)state;
	start(&ops_half);
	puts_text("question\n");
	turns();
	close(s.fd);
	s.fd = -1;
	turns();
	assert_told("<question>");
	assert_int_equal(s.gone, 1);
	assert_null(s.reason);
}

static void
half_closed_client_gets_its_answers(void **state)
{
	(void)state;
	start(&ops_half);
	s.echo = true;
	puts_text("question\nno newline");
	shutdown(s.fd, SHUT_WR);
	turns();
	assert_told("<question>.");
	assert_int_equal(s.gone, 0);
	send_number(0);
	turns();
	assert_false(receive());
	peer_close(&s.peer, NULL);
	turns();
	assert_true(receive());
	assert_int_equal(s.gone, 1);
	assert_null(s.reason);
	assert_int_equal(buf_len(&s.answer), 16);
	assert_memory_equal(buf_head(&s.answer), "question\nline 0\n", 16);
}

static void
end_of_file_closes_who_does_not_ask_for_it(void **state)
{
	(void)state;
	start(&ops_closing);
	puts_text("last\nhalf");
	shutdown(s.fd, SHUT_WR);
	turns();
	assert_told("<last>");
	assert_int_equal(s.gone, 1);
	assert_null(s.reason);
}

static void
tail_counts_as_a_line_where_wanted(void **state)
{
	(void)state;
	start(&ops_tail);
	puts_text("one\ntail");
	shutdown(s.fd, SHUT_WR);
	turns();
	assert_told("<one><tail>.");
}

static void
no_tail_is_no_line(void **state)
{
	(void)state;
	start(&ops_tail);
	puts_text("one\n");
	shutdown(s.fd, SHUT_WR);
	turns();
	assert_told("<one>.");
}

static void
drain_reads_to_the_end_though_paused(void **state)
{
	int i;

	(void)state;
	start(&ops_half);
	s.pause_on_line = true;
	puts_text("one\ntwo\n");
	turns();
	assert_told("<one>");
	for (i = 0; i < 3; i++)
		puts_text("more\n");
	shutdown(s.fd, SHUT_WR);
	peer_drain(&s.peer);
	assert_told("<two><more><more><more>");
	assert_true(peer_is_open(&s.peer));
	assert_true(s.peer.eof);
}

static void
drain_takes_what_is_there_of_an_open_stream(void **state)
{
	(void)state;
	start(&ops_half);
	puts_text("one\ntwo\nhal");
	peer_drain(&s.peer);
	assert_told("<one><two>");
	puts_text("f\n");
	turns();
	assert_told("<half>");
}

static void
close_inside_a_line_ends_the_lines(void **state)
{
	(void)state;
	start(&ops_half);
	s.close_on_line = true;
	s.echo = true;
	puts_text("one\ntwo\nthree\n");
	turns();
	assert_told("<one>");
	assert_int_equal(s.gone, 1);
	assert_string_equal(s.reason, "had enough");
	assert_true(receive());
}

static void
everything_is_harmless_on_a_closed_peer(void **state)
{
	(void)state;
	start(&ops_half);
	peer_close(&s.peer, "first");
	peer_close(&s.peer, "second");
	assert_int_equal(s.gone, 0);
	send_number(1);
	peer_pause(&s.peer);
	peer_resume(&s.peer);
	peer_drain(&s.peer);
	turns();
	assert_int_equal(s.gone, 1);
	assert_string_equal(s.reason, "first");
}

static void
writing_to_a_gone_client_closes(void **state)
{
	(void)state;
	start(&ops_half);
	close(s.fd);
	s.fd = -1;
	send_number(1);
	turns();
	assert_int_equal(s.gone, 1);
	assert_non_null(s.reason);
}

/* A new peer goes on with the descriptor of the one there is. */
static void
hand_over(const struct peer_ops *ops)
{
	struct peer_state st;
	struct buf in, out;
	int fd;

	assert_true(peer_group_at_rest(&s.group));
	fd = fcntl(s.peer.fd, F_DUPFD_CLOEXEC, 0);
	assert_true(fd >= 0);
	peer_save(&s.peer, &st);
	buf_init(&in, SIZE_MAX);
	buf_init(&out, SIZE_MAX);
	buf_add(&in, st.in, st.in_len);
	buf_add(&out, st.out, st.out_len);
	peer_close(&s.peer, NULL);
	turns();
	assert_int_equal(s.gone, 1);
	s.gone = 0;
	st.in = buf_head(&in);
	st.out = buf_head(&out);
	assert_int_equal(
	    peer_init(&s.peer, &s.group, fd, MAX_LINE, MAX_OUT, ops), 0);
	assert_int_equal(peer_restore(&s.peer, &st), 0);
	buf_done(&in);
	buf_done(&out);
}

static void
half_a_line_is_handed_over(void **state)
{
	(void)state;
	start(&ops_half);
	puts_text("one\ntw");
	turns();
	hand_over(&ops_half);
	turns();
	puts_text("o\nthree\n");
	turns();
	assert_told("<one><two><three>");
}

static void
line_that_is_skipped_is_handed_over(void **state)
{
	char text[MAX_LINE * 2];

	(void)state;
	start(&ops_half);
	memset(text, 'x', sizeof(text));
	put(text, sizeof(text));
	turns();
	hand_over(&ops_half);
	put(text, sizeof(text));
	turns();
	puts_text("\nnext\n");
	turns();
	assert_told("!<next>");
}

static void
lines_before_a_pause_are_handed_over(void **state)
{
	(void)state;
	start(&ops_half);
	s.pause_on_line = true;
	puts_text("one\ntwo\nthree\n");
	turns();
	hand_over(&ops_half);
	turns();
	assert_told("<one>");
	peer_resume(&s.peer);
	turns();
	assert_told("<two>");
	s.pause_on_line = false;
	hand_over(&ops_half);
	peer_resume(&s.peer);
	turns();
	assert_told("<three>");
}

static void
output_that_was_not_sent_is_handed_over(void **state)
{
	int i, n = 0;

	(void)state;
	start(&ops_half);
	while (buf_len(&s.peer.out) == 0) {
		for (i = 0; i < 1000; i++)
			send_number(n++);
		turn();
	}
	hand_over(&ops_half);
	turns();
	hand_over(&ops_half);
	for (i = 0; i < 1000; i++)
		send_number(n++);
	s.sent = 0;
	for (i = 0; i < 10000 && s.sent == 0; i++) {
		receive();
		turn();
	}
	receive();
	assert_numbers_arrived(n);
}

static void
end_of_file_is_handed_over(void **state)
{
	(void)state;
	start(&ops_half);
	puts_text("one\n");
	assert_int_equal(shutdown(s.fd, SHUT_WR), 0);
	turns();
	assert_told("<one>.");
	hand_over(&ops_half);
	turns();
	/* It is not told twice; answers still go. */
	assert_told("");
	send_number(0);
	turns();
	receive();
	assert_numbers_arrived(1);
}

#define TEST(t) cmocka_unit_test_teardown(t, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(lines_arrive_in_order),
	    TEST(too_long_line_is_told_and_passed_over),
	    TEST(output_of_a_turn_keeps_its_order),
	    TEST(output_of_a_turn_is_sent_in_one_piece),
	    TEST(output_waits_for_room_in_the_socket),
	    TEST(flood_that_nobody_reads_closes),
	    TEST(flood_within_one_turn_closes),
	    TEST(paused_peer_takes_no_lines_until_resumed),
	    TEST(paused_peer_is_not_read_from),
	    TEST(paused_peer_still_sends),
	    TEST(lines_before_a_pause_survive_a_closing_client),
	    TEST(client_that_is_gone_is_not_kept_for_its_answers),
	    TEST(half_closed_client_gets_its_answers),
	    TEST(end_of_file_closes_who_does_not_ask_for_it),
	    TEST(tail_counts_as_a_line_where_wanted),
	    TEST(no_tail_is_no_line),
	    TEST(drain_reads_to_the_end_though_paused),
	    TEST(drain_takes_what_is_there_of_an_open_stream),
	    TEST(close_inside_a_line_ends_the_lines),
	    TEST(everything_is_harmless_on_a_closed_peer),
	    TEST(writing_to_a_gone_client_closes),
	    TEST(half_a_line_is_handed_over),
	    TEST(line_that_is_skipped_is_handed_over),
	    TEST(lines_before_a_pause_are_handed_over),
	    TEST(output_that_was_not_sent_is_handed_over),
	    TEST(end_of_file_is_handed_over),
	};

	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
