# SPDX-License-Identifier: Apache-2.0
# Clients whose every line, both ways, is held against docs/api.schema.json.
"""
    with Checked(path) as client:
        client.call("stats")
    assert "stats" in seen_ops

python3-jsonschema is needed.
"""

import functools
import json
import os

import jsonschema

from api import Api, ApiError

HERE = os.path.dirname(os.path.abspath(__file__))

with open(os.path.join(HERE, "../../docs/api.schema.json"),
          encoding="utf-8") as file:
    SCHEMA = json.load(file)
DEFS = SCHEMA["$defs"]
jsonschema.Draft202012Validator.check_schema(SCHEMA)
# What came, was right by the schema, and was no error.
seen_ops, seen_events, seen_codes = set(), set(), set()


@functools.lru_cache(maxsize=None)
def validator(name):
    return jsonschema.Draft202012Validator({"$ref": "#/$defs/" + name,
                                            "$defs": DEFS})


def check(message, name):
    """Fails unless 'message' is what $defs/NAME says."""
    wrong = list(validator(name).iter_errors(message))
    while wrong:
        # What an alternative says is wrong, the deepest of it.
        deepest = max(wrong, key=lambda e: len(e.absolute_path))
        assert deepest.context, (f"{name}: {deepest.json_path}: "
                                 f"{deepest.message[-400:]} in "
                                 f"{json.dumps(message)[:400]}")
        wrong = deepest.context


class Checked(Api):
    """A client whose every message is held against the schema."""

    def __init__(self, path, deadline=10):
        super().__init__(path, deadline)
        self.ops = {}
        self.right = set()      # Events that were looked at.

    def send(self, *requests):
        """All at once."""
        for request in requests:
            check(request, "request")
            self.ops[request.get("id")] = request["op"]
        self.socket.sendall(b"".join(json.dumps(request).encode() + b"\n"
                                     for request in requests))

    def read(self, deadline=20):
        message = super().read(deadline)
        if "event" in message:
            # One history comes by many triggers: once is enough.
            text = json.dumps({**message, "id": 0, "trigger": 0})
            if text not in self.right:
                check(message, "event")
                self.right.add(text)
            seen_events.add(message["event"])
        elif message.get("ok"):
            check(message, "answers/" + self.ops[message["id"]])
            seen_ops.add(self.ops[message["id"]])
        else:
            check(message, "error")
            seen_codes.add(message["error"]["code"])
        return message

    def ask(self, op, deadline=20, **members):
        """The answer, whatever it is; events before it are kept."""
        number = self.next_id
        self.next_id += 1
        self.send({"id": number, "op": op, **members})
        while True:
            message = self.read(deadline)
            if "event" in message:
                self.events.append(message)
            elif message["id"] == number:
                return message

    def call(self, op, deadline=20, **members):
        answer = self.ask(op, deadline, **members)
        if not answer["ok"]:
            raise ApiError(answer)
        return answer

    def wait_event(self, name, number=None, deadline=20):
        """The next event of that name, also one of before; of the request
        'number' if that is given."""
        while True:
            event = self.event(deadline)
            if event.get("event") == name and number in (None, event["id"]):
                return event
