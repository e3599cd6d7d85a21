#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Who may open server.sock is what --socket-mode and --socket-group say, asked
# by processes of other users and groups.
"""Runs in the build directory, as root."""

import grp
import os
import pwd
import socket
import subprocess
import sys
import tempfile
import time


def connects(path, groups):
    """Whether user nobody in these groups can connect."""
    child = os.fork()
    if not child:
        status = 2
        try:
            os.setgroups(groups[1:])
            os.setgid(groups[0])
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
            status = 0
        except PermissionError:
            status = 1
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 1), status
    return status == 0


def serve(work, port, *options):
    """A server, and its socket once it listens."""
    server = subprocess.Popen(
        ["bin/lasthop-server", "--recorder=none", f"--rundir={work}",
         f"--listen=geneve:127.0.0.1:{port}", *options],
        stderr=subprocess.DEVNULL)
    path = f"{work}/server.sock"
    end = time.monotonic() + 20
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
            return server, path
        except OSError:
            assert server.poll() is None and time.monotonic() < end
            time.sleep(0.02)


def main():
    if os.geteuid():
        print("only root can give a socket to a group it is not in")
        return 77
    ours, other = grp.getgrnam("daemon"), pwd.getpwnam("nobody").pw_gid
    assert ours.gr_gid != other
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for options, wanted in (
            # (whether a member, whether another)
            ([], (False, False)),
            ([f"--socket-group={ours.gr_name}"], (True, False)),
            ([f"--socket-group={ours.gr_name}", "--socket-mode=0600"],
             (False, False)),
            (["--socket-mode=0666"], (True, True))):
        with tempfile.TemporaryDirectory(prefix="lasthop-group-") as work:
            os.chmod(work, 0o755)
            server, path = serve(work, port, *options)
            try:
                got = tuple(connects(path, groups) for groups in (
                    [other, ours.gr_gid], [other]))
                assert got == wanted, (options, got)
                gid = os.stat(path).st_gid
                assert (gid == ours.gr_gid) == (
                    any("group" in o for o in options)), (options, gid)
            finally:
                server.terminate()
                server.wait(20)
    with tempfile.TemporaryDirectory(prefix="lasthop-group-") as work:
        refused = subprocess.run(
            ["bin/lasthop-server", "--recorder=none", f"--rundir={work}",
             f"--listen=geneve:127.0.0.1:{port}",
             "--socket-group=no-such-group"],
            stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert refused.returncode and (
        '--socket-group: there is no group "no-such-group"'
        in refused.stderr), refused
    return 0


sys.exit(main())
