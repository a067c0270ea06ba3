# SPDX-License-Identifier: ISC
"""Task modules that misbehave while a file is there."""

from ganger import build_module

SOURCE = """#include <ganger/handler.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
init(void)
{
	while (access("%s", F_OK) == 0)
		%s;
	return 0;
}

static const struct ganger_handler handlers[] = {{NULL, NULL}};
const struct ganger_module ganger_module = {.abi = GANGER_MODULE_ABI,
    .name = "at_start", .handlers = handlers, .init = init};
"""

STUCK = "usleep(2000)"


class AtStart:
    """A module whose workers do `what` at their start while the cause is there.

    `what` is a statement of C: "abort()" or "_exit(3)" to die, STUCK to hang
    until the cause is gone.
    """

    def __init__(self, folder, what, name="at_start"):
        self.cause = folder / f"{name}-cause"
        self.module = build_module(folder, name, SOURCE % (self.cause, what))

    def begin(self):
        self.cause.touch()

    def end(self):
        self.cause.unlink()
