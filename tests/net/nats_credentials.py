# SPDX-License-Identifier: Apache-2.0
# An operator of NATS of the test's own, with one account and one user: what
# nats-server trusts, and the user's .creds file (NATS's JWT, version 2).
"""
    conf = write_credentials(directory)     # For the server's configuration.
    # The user's file is DIRECTORY/user.creds.
"""

import base64
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import \
    Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding, NoEncryption, PrivateFormat, PublicFormat)

OPERATOR, ACCOUNT, USER = 14 << 3, 0, 20 << 3
SEED = 18 << 3


def _crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xffff
    return crc.to_bytes(2, "little")


def _base32(data):
    return base64.b32encode(data + _crc16(data)).decode().rstrip("=")


def _base64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Key:
    """A key of NATS, of an operator, an account or a user."""

    def __init__(self, kind):
        self._key = Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes(Encoding.Raw,
                                                     PublicFormat.Raw)
        secret = self._key.private_bytes(Encoding.Raw, PrivateFormat.Raw,
                                         NoEncryption())
        self.name = _base32(bytes([kind]) + public)
        self.seed = _base32(bytes([SEED | kind >> 5, (kind & 31) << 3]) +
                            secret)

    def claim(self, subject, name, nats):
        """What this key says of 'subject', signed."""
        text = ".".join(_base64(json.dumps(part).encode()) for part in (
            {"typ": "JWT", "alg": "ed25519-nkey"},
            {"jti": name, "iat": 1700000000, "iss": self.name, "name": name,
             "sub": subject.name, "nats": {**nats, "version": 2}}))
        return f"{text}.{_base64(self._key.sign(text.encode()))}"


def write_credentials(directory):
    """Writes user.creds there; what nats-server has to be told."""
    operator, account, user = Key(OPERATOR), Key(ACCOUNT), Key(USER)
    system = Key(ACCOUNT)
    trusted = operator.claim(operator, "operator", {"type": "operator"})
    limits = dict.fromkeys(("subs", "data", "payload", "imports", "exports",
                            "conn", "leaf", "mem_storage", "disk_storage",
                            "streams", "consumer"), -1)
    own = operator.claim(system, "SYS", {
        "type": "account", "limits": {**limits, "wildcards": True,
                                      "mem_storage": 0, "disk_storage": 0}})
    allowed = operator.claim(account, "account", {
        "type": "account", "limits": {**limits, "wildcards": True}})
    known = account.claim(user, "user", {
        "type": "user", "subs": -1, "data": -1, "payload": -1, "pub": {},
        "sub": {}})
    with open(f"{directory}/user.creds", "w", encoding="ascii") as creds:
        creds.write(f"-----BEGIN NATS USER JWT-----\n{known}\n"
                    "------END NATS USER JWT------\n\n"
                    f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n"
                    "------END USER NKEY SEED------\n")
    return (f"operator: {trusted}\nresolver: MEMORY\n"
            f"system_account: {system.name}\n"
            f"resolver_preload: {{ {account.name}: {allowed}, "
            f"{system.name}: {own} }}\n")
