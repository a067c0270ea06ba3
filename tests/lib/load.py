# SPDX-License-Identifier: ISC
"""Calls in the background that must not fail, whatever happens meanwhile."""

import random
import threading
import time

from ganger import LIMIT, Client, RpcError, wait_until


class Load:
    """Threads, each with a connection, that call a task over and over.

    Every call that fails is kept, with when and why.  A connection that ends is
    a failure and the end of its thread, unless `reconnect` is set: then it is
    counted in `reconnects`, and the thread goes on with a new one.
    """

    def __init__(
        self,
        daemon,
        connections=2,
        depth=1,
        name="echo",
        args=None,
        sleep_ms=None,
        reconnect=False,
        **params,
    ):
        self.socket = daemon.socket
        self.name = name
        self.args = args
        self.sleep_ms = sleep_ms  # (least, most): sleep instead of `name`
        self.depth = depth  # calls that a connection has open
        self.params = params
        self.reconnect = reconnect
        self.failures = []
        self.reconnects = 0
        self.calls = 0  # that went well
        self.slowest = 0.0
        self.begun = time.monotonic()
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.threads = [
            threading.Thread(target=self.run, args=(i,), daemon=True)
            for i in range(connections)
        ]

    # The threads

    def task(self, number):
        """The parameters of the next call, and what its result must be."""
        if self.sleep_ms is not None:
            ms = random.randint(*self.sleep_ms)
            task = {"name": "sleep", "args": {"ms": ms}}
            return {**task, **self.params}, {"slept_ms": ms}
        args = number if self.args is None else self.args
        expected = args if self.name == "echo" else None
        return {"name": self.name, "args": args, **self.params}, expected

    def fail(self, what):
        at = time.monotonic() - self.begun
        with self.lock:
            self.failures.append(f"after {at:.3f} s: {what}")

    def ask(self, client, waiting, number):
        task, expected = self.task(number)
        ident = client.request("task.call", task)
        waiting[ident] = (expected, time.monotonic())

    def take(self, client, waiting):
        message = client.recv()
        expected, asked = waiting.pop(message["id"])
        took = time.monotonic() - asked
        if "error" in message:
            self.fail(str(RpcError(message["error"])))
            return
        result = message["result"]["result"]
        if expected is not None and result != expected:
            self.fail(f"{result!r} instead of {expected!r}")
            return
        with self.lock:
            self.calls += 1
            self.slowest = max(self.slowest, took)

    def serve(self, client):
        """Call until the end; every open call is answered before it."""
        waiting = {}
        number = 0
        while not self.ending.is_set():
            while len(waiting) < self.depth:
                self.ask(client, waiting, number)
                number += 1
            self.take(client, waiting)
        while waiting:
            self.take(client, waiting)

    def run(self, index):
        while not self.ending.is_set():
            try:
                with Client(self.socket) as client:
                    self.serve(client)
            except (OSError, EOFError) as error:
                if not self.reconnect:
                    self.fail(f"connection {index}: {error!r}")
                    return
                with self.lock:
                    self.reconnects += 1

    # Who uses it

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        self.stop()
        if kind is None:
            self.assert_no_failure()

    def start(self):
        for thread in self.threads:
            thread.start()
        self.wait_calls(len(self.threads))
        return self

    def stop(self):
        """End it, once every open call has been answered."""
        self.ending.set()
        for thread in self.threads:
            thread.join(LIMIT * 2)
            if thread.is_alive():
                self.fail("a call is not answered at all")

    def wait_calls(self, count):
        """Wait until so many more calls have gone well, or one has failed."""
        goal = self.calls + count
        wait_until(
            lambda: self.calls >= goal or self.failures,
            f"{count} more calls are answered",
        )

    def assert_no_failure(self):
        assert not self.failures, (
            f"{len(self.failures)} of {self.calls + len(self.failures)} "
            "calls failed:\n" + "\n".join(self.failures[:20])
        )
        assert self.calls > 0, "nothing was called"
