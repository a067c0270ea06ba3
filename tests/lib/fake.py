# SPDX-License-Identifier: ISC
"""A daemon that gives the answers it is told, for what clients make of them."""

import json
import socket
import threading


class FakeDaemon:
    """Listens at a path; `answers` maps a method to its result or error.

    An answer that is an object with `code` is an error; a callable is given the
    params and returns the answer.
    """

    def __init__(self, path, answers):
        self.path = path
        self.answers = answers
        self.requests = []  # (method, params), as they came
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.listener.close()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self.serve, args=(sock,), daemon=True
            ).start()

    def serve(self, sock):
        with sock, sock.makefile("rb") as lines:
            for line in lines:
                answer = self.answer(json.loads(line))
                sock.sendall(json.dumps(answer).encode() + b"\n")

    def answer(self, request):
        method, params = request["method"], request.get("params")
        self.requests.append((method, params))
        answer = self.answers[method]
        if callable(answer):
            answer = answer(params)
        kind = (
            "error"
            if isinstance(answer, dict) and "code" in answer
            else "result"
        )
        return {"jsonrpc": "2.0", "id": request["id"], kind: answer}
