# SPDX-License-Identifier: Apache-2.0
# A wire between two programs that speak OpenFlow, and all that went over it.
"""
    with Tap("/tmp/x/tap", "/tmp/x/br0.mgmt") as tap:
        ..a program connects to unix:/tmp/x/tap and ends..
        for connection in tap.take():
            connection.sent         # Whole messages of who connected,
            connection.received     # and what it got.

Where it leads to is a path, or the number of a TCP port of this host.  Where
the switch is the one that connects, `sent` is what it got.
"""

import os
import socket
import struct
import threading

from process import wait_until


class Connection:
    """One that came, and the one that was made for it."""

    def __init__(self, near, far):
        self.near = near
        self.far = far
        self.sent = []
        self.received = []
        self._threads = [
            threading.Thread(target=self._copy, args=args, daemon=True)
            for args in ((near, far, self.sent), (far, near, self.received))]
        for thread in self._threads:
            thread.start()

    def _copy(self, source, sink, log):
        data = b""
        try:
            while part := source.recv(1 << 16):
                data += part
                while len(data) >= 8:
                    size = struct.unpack_from(">H", data, 2)[0]
                    if size < 8 or len(data) < size:
                        break
                    log.append(data[:size])
                    data = data[size:]
                sink.sendall(part)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR if end is source
                             else socket.SHUT_WR)
            except OSError:
                pass

    def has_ended(self):
        """Whether neither side has anything more to say."""
        return not any(thread.is_alive() for thread in self._threads)

    def close(self):
        """Ends it."""
        for end in (self.near, self.far):
            end.close()


class Tap:
    """See the top of this file."""

    def __init__(self, path, target, is_switchs=False):
        self.path = path
        self.target = target
        self.is_switchs = is_switchs
        self.connections = []
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()

    def _serve(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            is_port = isinstance(self.target, int)
            far = socket.socket(socket.AF_INET if is_port else socket.AF_UNIX)
            try:
                far.connect(("127.0.0.1", self.target) if is_port
                            else self.target)
            except OSError:
                near.close()
                continue
            self.connections.append(
                Connection(*((far, near) if self.is_switchs
                             else (near, far))))

    def close(self):
        """Ends it and all its connections."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()

    def take(self):
        """The connections since the last call, when they have ended."""
        wait_until(lambda: all(c.has_ended() for c in self.connections),
                   20, "the end of a connection")
        found, self.connections = self.connections, []
        for connection in found:
            connection.close()
        return found
