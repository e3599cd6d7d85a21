# SPDX-License-Identifier: Apache-2.0
# What is lost on a link, and whether a postcard could be what is missing.

import pytest

import frames
import test_collectors
from cluster import Nats
from process import run, wait_until
from recorder import Recorder, start_controller
from stack import Stack

S1 = "0000000000000001"


def udp(src, dst, data, dport):
    """A frame from host 'src' to 'dst', which does not take it and so does
    not answer: counters tell most of a switch that is quiet."""
    return frames.ethernet(
        src.mac, "02:00:00:00:00:77", 0x0800,
        frames.ipv4(src.ip, dst.ip, 17, frames.udp_datagram(
            src.ip, dst.ip, 5000, dport, data), ident=dport))


def output(port):
    return [{"type": "OUTPUT", "port": port}]


def network(lab, encapsulation):
    """h1 - s1 - s2 - h2, on whose link in the middle no frame of more than
    1500 bytes fits although h1 and s1 do not know."""
    lab.add_bridge("s1")
    lab.add_bridge("s2")
    lab.add_link("s1", "s2")
    h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
    h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
    lab.add_collector(mac=encapsulation == "mac")
    lab.start()
    for netns, interface in ((h1.netns, "eth0"), (lab.sw, "s1-h1")):
        run(["ip", "link", "set", interface, "mtu", "2000"], netns=netns)
    stack = Stack(lab, encapsulation)
    stack.start()
    for dpid, out in ((1, 1), (2, 2)):
        stack.flow(dpid, priority=1, match={"in_port": 3 - out},
                   actions=output(out))
    return stack, h1, h2


@pytest.mark.parametrize("encapsulation", ["geneve", "mac"])
def test_counters_prove_that_the_packet_was_lost(lab, encapsulation):
    stack, h1, h2 = network(lab, encapsulation)
    capture = h2.capture()
    # Counters from before the packet are needed.
    wait_until(lambda: stack.server.call("stats")["stats"]
               ["recorder_rounds"] >= 2 * 6 + 4, 20, "counters of both switches")
    # One by one: what does not fit takes with it what is sent together.
    h1.send(udp(h1, h2, b"x" * 1700, dport=7))
    h1.send(udp(h1, h2, b"y" * 1000, dport=8))
    [small] = stack.histories("{{--bpf udp dst port 8}}", n=1)
    assert small["verdict"]["name"] == "delivered"
    [large] = stack.histories("{{--bpf udp dst port 7}}", n=1, deadline=20)
    assert large["verdict"] == {**large["verdict"], "name": "lost",
                                "dpid": S1, "port": 1,
                                "evidence": "complete"}, large["verdict"]
    came = [frame[60:61] for frame in capture.stop() if frame[12:14] ==
            b"\x08\x00"]
    assert came == [b"y"]
    stats = stack.server.call("stats")["stats"]
    assert stats["missing_min"] == 0 and stats["awaiting_counters"] == 0


def test_a_lost_postcard_is_not_taken_for_a_lost_packet(lab):
    stack, h1, h2 = network(lab, "geneve")
    wait_until(lambda: stack.server.call("stats")["stats"]
               ["recorder_rounds"] >= 2 * 6 + 4, 20, "counters of both switches")
    # The server is not there while the postcards of s2 come.
    server = lab.process("server")
    server.signal(19)   # SIGSTOP
    try:
        run(["ip", "link", "set", "under0", "down"], netns=lab.col)
        h1.send(udp(h1, h2, b"x" * 1000, dport=7))
    finally:
        run(["ip", "link", "set", "under0", "up"], netns=lab.col)
        server.signal(18)   # SIGCONT
    wait_until(lambda: stack.server.call("stats")["stats"]["missing_min"] == 2,
               20, "the missing postcards to be known")


def test_counters_prove_it_in_a_cluster(lab):
    """The postcards of each switch go to one server or another, the counters
    to one, and the packet's owner is a third."""
    h1, addresses = test_collectors.network(lab)
    for netns, interface in ((h1.netns, "eth0"), (lab.sw, "s1-h1")):
        run(["ip", "link", "set", interface, "mtu", "2000"], netns=netns)
    controller = start_controller(lab)
    recorder = Recorder(lab, "geneve:" + ",or=".join(addresses)).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready().wait_controller(controller)
    for dpid, in_port, out in ((1, 2, 1), (2, 1, 2), (3, 1, 2)):
        controller.call("flow", dpid=dpid, flow={
            "priority": 1, "match": {"in_port": in_port},
            "actions": output(out)})
    assert len(set(test_collectors.collectors(recorder)[0])) > 1
    servers = test_collectors.Servers(lab, addresses, addresses[0])
    nats = Nats(f"{lab.dir}/nats", netns=lab.col)
    nats.start()
    try:
        for name in servers.addresses:
            servers.start(name)
        wait_until(servers.is_settled, 30, "the cluster")
        api = servers.api("b")
        rounds = servers.api("a")
        linked = rounds.call("stats")["stats"]["recorder_rounds"]
        wait_until(lambda: rounds.call("stats")["stats"]["recorder_rounds"]
                   >= linked + 3 * 8, 20, "counters of all switches")

        def histories(port, n):
            found = []

            def enough():
                found[:] = api.query(f"{{{{--bpf udp dst port {port}}}}}")
                return len(found) >= n
            wait_until(enough, 20, f"{n} histories of port {port}")
            return found

        # What does not fit takes with it what is sent together.
        for i in range(12):
            h1.send(udp(h1, h1, bytes([i]) * 1700, dport=7))
        h1.send(udp(h1, h1, b"y" * 1000, dport=8))
        [small] = histories(8, 1)
        assert small["verdict"]["name"] == "delivered", small["verdict"]
        for large in histories(7, 12):
            assert large["verdict"] == {
                **large["verdict"], "name": "lost", "dpid": S1, "port": 1,
                "evidence": "complete"}, large["verdict"]
        for name in servers.addresses:
            stats = servers.api(name).call("stats")["stats"]
            assert stats["missing_min"] == 0
            assert stats["awaiting_counters"] == 0
            assert stats["missing_max"] < 1000, stats["missing_max"]
    finally:
        for process in servers.processes.values():
            process.kill()
        nats.kill()
