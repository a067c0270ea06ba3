/* SPDX-License-Identifier: ISC */
/*
 * cmd.h - the table of commands; each is in a file of its own, cmd_NAME.c
 */
#ifndef GANGER_CLI_CMD_H
#define GANGER_CLI_CMD_H

struct cli;

struct cmd {
	const char *name;
	const char *usage;   /* what follows the name, with its blank */
	const char *summary; /* a line */
	const char *options; /* lines of help, each ended by a newline; or "" */

	/* argv[0] is the name.  Returns the exit status. */
	int (*run)(struct cli *cli, int argc, char **argv);
};

extern const struct cmd cmd_submit;
extern const struct cmd cmd_call;
extern const struct cmd cmd_map;
extern const struct cmd cmd_wait;
extern const struct cmd cmd_result;
extern const struct cmd cmd_show;
extern const struct cmd cmd_cancel;
extern const struct cmd cmd_retry;
extern const struct cmd cmd_delete;
extern const struct cmd cmd_tasks;
extern const struct cmd cmd_queues;
extern const struct cmd cmd_pause;
extern const struct cmd cmd_resume;
extern const struct cmd cmd_purge;
extern const struct cmd cmd_workers;
extern const struct cmd cmd_status;
extern const struct cmd cmd_ping;
extern const struct cmd cmd_scale;
extern const struct cmd cmd_restart;
extern const struct cmd cmd_dump;
extern const struct cmd cmd_reload;
extern const struct cmd cmd_upgrade;
extern const struct cmd cmd_stop;

#endif
