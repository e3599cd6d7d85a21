# SPDX-License-Identifier: Apache-2.0
# TLS to the switch and to the controller, with both ends proving who they are.

import os

import pytest

from lab import PYTHON, bindir
from many_controllers import Controller
from process import Process, run, wait_until
from recorder import RECORDER_PORT, Recorder
from test_recorder_links import ADD, bare, network, recorded, rules

CONTROLLER_PORT = 6653

# A TLS listener before a Unix socket: DIRECTORY PORT SOCKET.
_RELAY = """
import socket, ssl, sys, threading
directory, port, path = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{directory}/controller.pem",
                        f"{directory}/controller.key")
context.load_verify_locations(f"{directory}/ca.pem")
context.verify_mode = ssl.CERT_REQUIRED
listener = socket.create_server(("127.0.0.1", int(port)))
print("ready", flush=True)

def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass

while True:
    connection, _ = listener.accept()
    try:
        outside = context.wrap_socket(connection, server_side=True)
    except OSError as error:
        print("refused:", error, flush=True)
        continue
    inside = socket.socket(socket.AF_UNIX)
    inside.connect(path)
    for ends in ((outside, inside), (inside, outside)):
        threading.Thread(target=pump, args=ends, daemon=True).start()
"""


def make_ca(directory, name):
    """A self-signed CA: NAME.pem and NAME.key."""
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-keyout", f"{directory}/{name}.key", "-out",
         f"{directory}/{name}.pem", "-subj", f"/CN={name}", "-days", "2"])


def make_certificate(directory, name, ca="ca", days=2):
    """A key and a certificate that 'ca' has signed."""
    run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout",
         f"{directory}/{name}.key", "-out", f"{directory}/{name}.csr",
         "-subj", f"/CN={name}"])
    run(["openssl", "x509", "-req", "-in", f"{directory}/{name}.csr", "-CA",
         f"{directory}/{ca}.pem", "-CAkey", f"{directory}/{ca}.key",
         "-CAcreateserial", "-out", f"{directory}/{name}.pem", "-days", days])


def files(directory, name, ca="ca", side=""):
    """The options for these files."""
    return [f"--{side}private-key={directory}/{name}.key",
            f"--{side}certificate={directory}/{name}.pem",
            f"--{side}ca-cert={directory}/{ca}.pem"]


def test_both_sides_by_tls(lab):
    network(lab)
    make_ca(lab.dir, "ca")
    make_ca(lab.dir, "foreign")
    for name in ("switch", "recorder", "controller"):
        make_certificate(lab.dir, name)
    make_certificate(lab.dir, "stranger", "foreign")
    controller = Controller(f"{lab.dir}/controller-unix.sock")
    lab.spawn("relay", [PYTHON, "-c", _RELAY, lab.dir, CONTROLLER_PORT,
                        controller.path], netns=lab.sw).wait_for("ready")
    recorder = Recorder(lab, options=[
        f"--listen=ssl:127.0.0.1:{RECORDER_PORT}",
        f"--controller=ssl:127.0.0.1:{CONTROLLER_PORT}",
        *files(lab.dir, "recorder")])
    recorder.options = recorder.options[2:]
    recorder.start()
    lab.vsctl("set", "bridge", "s1", "protocols=OpenFlow13")
    target = f"ssl:127.0.0.1:{RECORDER_PORT}"

    # A switch with a certificate of another CA is refused.
    lab.vsctl("set-ssl", f"{lab.dir}/stranger.key", f"{lab.dir}/stranger.pem",
              f"{lab.dir}/ca.pem")
    lab.vsctl("set-controller", "s1", target)
    lab.vsctl("set", "controller", "s1", "max_backoff=1000")
    recorder.process.wait_for("its certificate is refused", 20)

    lab.vsctl("set-ssl", f"{lab.dir}/switch.key", f"{lab.dir}/switch.pem",
              f"{lab.dir}/ca.pem")
    controller.accept()
    wait_until(lambda: [c["state"] for c in recorder.stats()["switches"]] ==
               ["instrumented"], 20, "the switch")
    assert recorder.stats()["switches"][0]["peer"].startswith("ssl:127.0.0.1")
    for n in range(2000):   # More than fits into a TLS record.
        controller.flow(ADD, 1000 + n, 1, 2)
    assert controller.take() == []
    got = {p: bare(acts) for p, acts in rules(lab).items()}
    assert len(got) == 2000
    wait_until(lambda: recorded(recorder) == got, 10, "the log")

    # What speaks no TLS is told from what does.
    run([PYTHON, "-c", "import socket; s = socket.create_connection("
         f"('127.0.0.1', {RECORDER_PORT})); s.sendall(b'\\4\\0\\0\\x08\\0\\0"
         "\\0\\1' * 4); s.recv(100)"], netns=lab.sw, deadline=20,
        check=False)
    recorder.process.wait_for("TLS: ", 10)


def test_each_side_has_a_ca_of_its_own_or_no_tls(lab):
    network(lab)
    for side in ("switches", "controllers"):
        make_ca(lab.dir, side)
    for name, side in (("down", "switches"), ("switch", "switches"),
                       ("up", "controllers"), ("controller", "controllers")):
        make_certificate(lab.dir, name, side)
    os.link(f"{lab.dir}/controllers.pem", f"{lab.dir}/ca.pem")
    lab.vsctl("set", "bridge", "s1", "protocols=OpenFlow13")
    lab.vsctl("set-ssl", f"{lab.dir}/switch.key", f"{lab.dir}/switch.pem",
              f"{lab.dir}/switches.pem")
    controller = Controller(f"{lab.dir}/controller-unix.sock")
    lab.spawn("relay", [PYTHON, "-c", _RELAY, lab.dir, CONTROLLER_PORT,
                        controller.path], netns=lab.sw).wait_for("ready")
    down = files(lab.dir, "down", "switches", "switch-")
    up = files(lab.dir, "up", "controllers", "controller-")
    far = f"ssl:127.0.0.1:{CONTROLLER_PORT}"
    for priority, listen, target, options in (
            (10, "ssl", far, down + up), (11, "ssl", controller.target, down),
            (12, "tcp", far, up)):
        recorder = Recorder(lab)
        recorder.options[:2] = [
            f"--listen={listen}:127.0.0.1:{RECORDER_PORT}",
            f"--controller={target}", *options]
        recorder.start()
        lab.vsctl("set-controller", "s1",
                  f"{listen}:127.0.0.1:{RECORDER_PORT}")
        lab.vsctl("set", "controller", "s1", "max_backoff=1000")
        controller.accept()
        wait_until(lambda: [c["state"] for c in
                            recorder.stats()["switches"]] == ["instrumented"],
                   20, "the switch")
        controller.flow(ADD, priority, 1, 2)
        assert controller.take() == []
        assert priority in rules(lab)
        assert recorder.stats()["switches"][0]["peer"].startswith(listen)
        assert recorder.process.stop() == 0


@pytest.mark.parametrize("case", ["missing", "not-pem", "wrong-key",
                                  "expired", "unused", "incomplete"])
def test_wrong_files_are_named_at_the_start(tmp_path, case):
    make_ca(tmp_path, "ca")
    make_certificate(tmp_path, "a")
    options = files(tmp_path, "a")
    listen = "ssl:127.0.0.1:0"
    if case == "missing":
        os.unlink(f"{tmp_path}/a.key")
        expected = f"private key {tmp_path}/a.key: No such file"
    elif case == "not-pem":
        (tmp_path / "a.pem").write_text("hello\n")
        expected = f"certificate {tmp_path}/a.pem: "
    elif case == "wrong-key":
        make_certificate(tmp_path, "b")
        os.replace(f"{tmp_path}/b.key", f"{tmp_path}/a.key")
        expected = f"{tmp_path}/a.key"
    elif case == "expired":
        make_certificate(tmp_path, "a", days=-1)
        expected = f"certificate {tmp_path}/a.pem: it has expired"
    elif case == "unused":
        listen = "tcp:127.0.0.1:0"
        expected = "no --listen and no --controller is ssl:"
    else:
        options = options[:2]
        expected = f"--listen={listen} needs --private-key"
    recorder = Process("recorder", [
        f"{bindir()}/lasthop-recorder", f"--listen={listen}",
        "--controller=tcp:127.0.0.1:1", f"--state={tmp_path}/state",
        f"--rundir={tmp_path}", *options], f"{tmp_path}/recorder.log")
    recorder.wait_for(expected)
    wait_until(lambda: not recorder.is_running(), 5, "the end")
