#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The programs on the frame, over TCP with TLS: rights, a server that comes
# back, and one that hangs.
"""Runs in the build directory."""

import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time

DEADLINE = 100


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Network:
    """A server that was sent some packets, with certificates around it."""

    def __init__(self, work):
        self.work = work
        self.udp = free_port(socket.SOCK_DGRAM)
        self.tcp = free_port(socket.SOCK_STREAM)
        self.address = f"tcp:127.0.0.1:{self.tcp}"
        self.server = None
        subprocess.run(["bin/lasthop-gen", "-q", "--count=20", work],
                       check=True)
        self.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
                     "-nodes -keyout ca.key -subj /CN=ca -days 2 -out ca.pem")
        for name in ("server", "noc", "guest", "nobody"):
            self.openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
                         f"-nodes -keyout {name}.key -subj /CN={name} "
                         f"-out {name}.csr")
            self.openssl(f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key "
                         f"-days 2 -CAcreateserial -out {name}.pem")
        with open(f"{work}/access", "w", encoding="utf-8") as file:
            file.write("noc bytes triggers\nguest triggers\n")

    def openssl(self, command):
        subprocess.run(["openssl", *command.split()], cwd=self.work,
                       check=True, capture_output=True)

    def start(self):
        w = self.work
        self.server = subprocess.Popen(
            ["bin/lasthop-server", f"--rundir={w}", "--recorder=none",
             f"--listen=geneve:127.0.0.1:{self.udp}", "--accept=127.0.0.1",
             f"--archive={w}/archive", "--round=50ms",
             f"--topology={w}/topology.json", f"--rules={w}/rules.jsonl",
             f"--api-listen=127.0.0.1:{self.tcp}",
             f"--private-key={w}/server.key", f"--certificate={w}/server.pem",
             f"--ca-cert={w}/ca.pem", f"--access={w}/access"],
            stderr=subprocess.DEVNULL)
        self.until(lambda: self.run("noc", "bin/ndb", "-e", "info stats")
                   .returncode == 0, "the server answers")

    def stop(self):
        if self.server:
            self.server.send_signal(signal.SIGCONT)
            self.server.kill()
            self.server.wait()
            self.server = None

    def command(self, who, program, *args):
        w = self.work
        return [program, "-s", self.address, f"--tls-cert={w}/{who}.pem",
                f"--tls-key={w}/{who}.key", f"--tls-ca={w}/ca.pem", *args]

    def run(self, who, program, *args):
        return subprocess.run(self.command(who, program, *args), timeout=60,
                              capture_output=True, text=True, check=False)

    def send(self):
        with open(f"{self.work}/postcards.pcap", "rb") as file:
            data = file.read()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            at = 24
            while at < len(data):
                length = struct.unpack_from("<I", data, at + 8)[0]
                sender.sendto(data[at + 16 + 42:at + 16 + length],
                              ("127.0.0.1", self.udp))
                at += 16 + length
                time.sleep(0.0001)

    @staticmethod
    def until(condition, what):
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, what
            time.sleep(0.05)


def headers(result):
    """Of all hops that netshark --json printed."""
    assert result.returncode in (0, 1), result.stderr
    return [(hop["header"], hop["header_out"])
            for line in result.stdout.splitlines()
            for hop in json.loads(line)["hops"]]


def profiles(net):
    """Addresses are bytes of packets, and so is what --bpf asks for."""
    for who, code, *args in (
            ("noc", 0, "all"), ("noc", 0, "--filter", "{{--bpf ip}}", "all"),
            ("guest", 2, "all"), ("guest", 2, "--by", "link,src", "all"),
            ("guest", 2, "--by", "link", "--filter", "{{--bpf ip}}", "all"),
            ("guest", 0, "--by", "link,ingress,path", "all"),
            ("guest", 0, "--by", "path", "--filter", "{{--dpid 1}}", "all")):
        done = net.run(who, "bin/nprof", "--last=1h", "--json", *args)
        assert done.returncode == code or code == 0 and \
            done.returncode == 1 and "--filter" in args, (who, args, done)
        if code:
            assert "may not see" in done.stderr, done.stderr
        assert not (who == "guest" and '"src"' in done.stdout), done.stdout


def status(net):
    """Of a server elsewhere, whose recorder is asked through it."""
    for who in ("noc", "guest"):
        done = net.run(who, "bin/lasthopctl", "status")
        assert done.returncode == 0, done.stderr
        assert "recorder: none answers: this server runs without a " \
            "recorder" in done.stdout, done.stdout
        assert "histories in all" in done.stdout, done.stdout
        assert " ssl:noc lasthopctl" in done.stdout or who == "guest"
    done = net.run("guest", "bin/lasthopctl", "log", "server", "debug")
    assert done.returncode == 1 and "not for this client" in done.stderr, done.stderr


def rights(net):
    net.send()
    net.until(lambda: headers(net.run("noc", "bin/netshark", "--all",
                                      "--json")), "histories are stored")
    seen = headers(net.run("noc", "bin/netshark", "--all", "--json"))
    assert any(header for header, _ in seen)
    bare = headers(net.run("guest", "bin/netshark", "--all", "--json"))
    assert bare and set(bare) == {(None, None)}, bare[:3]
    # Its way is shown all the same, and said once that more is withheld.
    done = net.run("guest", "bin/netshark", "--last=2", "-v")
    assert "  #0 s" in done.stdout and "=> " in done.stdout, done.stdout
    assert done.stderr.count("headers are withheld") == 1, done.stderr
    assert "withheld" not in net.run("noc", "bin/netshark", "--all").stderr
    profiles(net)
    status(net)
    refused = net.run("nobody", "bin/netshark", "--all")
    assert refused.returncode == 2 and \
        "does not let this certificate in" in refused.stderr, refused.stderr
    plain = subprocess.run(["bin/netshark", "-s", net.address], text=True,
                           capture_output=True, check=False, timeout=60)
    assert plain.returncode == 2 and "TLS needs" in plain.stderr, plain.stderr
    # The same by a configuration file.
    with open(f"{net.work}/config", "w", encoding="utf-8") as file:
        for name, value in (("server", net.address),
                            ("tls-cert", f"{net.work}/noc.pem"),
                            ("tls-key", f"{net.work}/noc.key"),
                            ("tls-ca", f"{net.work}/ca.pem")):
            file.write(f"{name} = {value}\n")
    by_file = subprocess.run(
        ["bin/netshark", "--all", "--json"], text=True, capture_output=True,
        check=False, timeout=60,
        env={**os.environ, "LASTHOP_CONFIG": f"{net.work}/config"})
    assert len(headers(by_file)) >= len(seen), by_file.stderr


def restart(net):
    """A follower says what it missed, and goes on."""
    said = f"{net.work}/said"
    with open(said, "w", encoding="utf-8") as errors, \
            open(f"{net.work}/out", "w", encoding="utf-8") as out:
        follower = subprocess.Popen(net.command("noc", "bin/netshark", "-f",
                                                "--json"),
                                    stdout=out, stderr=errors)
    try:
        def words():
            with open(said, encoding="utf-8") as file:
                return file.read()

        def lines():
            with open(f"{net.work}/out", encoding="utf-8") as file:
                return len(file.readlines())

        def listed():
            return "netshark" in subprocess.run(
                ["bin/lasthopctl", f"--rundir={net.work}", "triggers"],
                capture_output=True, text=True, check=False).stdout
        net.until(listed, "it follows")
        net.send()
        net.until(lines, "it shows what comes")
        net.stop()
        net.until(lambda: "waiting for it to come back" in words(),
                  "it notices")
        net.start()
        net.until(lambda: "the server is back; "
                  in words(), "it comes back")
        net.until(listed, "it follows again")
        before = lines()
        net.send()
        net.until(lambda: lines() > before, "it goes on")
    finally:
        follower.terminate()
        follower.wait(30)


def hang(net):
    """A server that is stopped is noticed in the stated time."""
    net.server.send_signal(signal.SIGSTOP)
    for program, args in (("bin/netshark", ("--all",)),
                          ("bin/ndb", ("-e", "info stats"))):
        for address in (net.address, f"{net.work}/server.sock"):
            command = net.command("noc", program, *args, "--timeout=2")
            command[2] = address
            result = subprocess.run(command, capture_output=True, text=True,
                                    check=False, timeout=60)
            assert result.returncode == 2, result
            assert address[4:] in result.stderr, result.stderr
            assert "no answer in 2 s" in result.stderr, result.stderr
    net.server.send_signal(signal.SIGCONT)


def main():
    with tempfile.TemporaryDirectory(prefix="lasthop-tls-") as work:
        net = Network(work)
        try:
            net.start()
            rights(net)
            restart(net)
            hang(net)
        finally:
            net.stop()


main()
