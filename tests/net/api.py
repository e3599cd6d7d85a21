# SPDX-License-Identifier: Apache-2.0
"""A client of JSON-lines sockets: lasthop's own (docs/api.md) and the scripted
controller's.

    with Api(path) as api:
        rule = api.call("flow", dpid=1, version=7)["rule"]
        for history in api.query(". *"):
            ..
"""

import json
import socket
import time


class ApiError(Exception):
    def __init__(self, answer):
        error = answer.get("error")
        super().__init__(json.dumps(error))
        self.error = error


class Api:
    def __init__(self, path, deadline=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        end = time.monotonic() + deadline
        while True:
            try:
                self.socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.buffer = b""
        self.next_id = 1
        self.events = []  # Received while an answer was waited for.

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()

    def close(self):
        self.socket.close()

    def read(self, deadline=10):
        """The next object from the other side; TimeoutError after that."""
        end = time.monotonic() + deadline
        while b"\n" not in self.buffer:
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the other side closed the socket")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def call(self, op, deadline=20, **members):
        """Sends a request and returns its answer; ApiError if it failed."""
        number = self.next_id
        self.next_id += 1
        request = {"id": number, "op": op, **members}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self.read(deadline)
            if "event" in answer:
                self.events.append(answer)
                continue
            assert answer.get("id", number) == number, answer
            if not answer["ok"]:
                raise ApiError(answer)
            return answer

    def event(self, deadline=10):
        """The next event, also one that came before an answer."""
        return self.events.pop(0) if self.events else self.read(deadline)

    def query(self, phf, deadline=20, **members):
        """The histories that a stored query finds."""
        self.call("query", deadline, phf=phf, **members)
        histories = []
        while True:
            event = self.event(deadline)
            if event["event"] == "history":
                histories.append(event["history"])
            elif event["event"] == "end":
                return histories
