# SPDX-License-Identifier: Apache-2.0
# The demo's network without lasthop: what lasthop may not change.

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "demo"))

# pylint: disable=wrong-import-position
import network
from demo_network import DemoNetwork


@pytest.fixture
def net(request):
    """The demo's network, its bridges connected to its controller."""
    with DemoNetwork() as made:
        made.start()
        made.connect()
        yield made
        made.close(keep=getattr(request.node, "has_failed", False))


def test_the_demo_network_does_what_the_demo_says(net):
    alice, bob = net.hosts["alice"], net.hosts["bob"]
    web, files = net.hosts["web"], net.hosts["files"]

    for host in (alice, bob):
        for server in (web, files):
            assert host.ping(server.ip), (host.name, server.name)
            assert host.ping(server.ip6), (host.name, server.name)
    assert net.request("alice", "udp", files.ip, 6900, "read") == "READ"
    assert net.request("bob", "udp", files.ip6, 6900, "read") == "READ"
    assert net.request("bob", "tcp", files.ip6, 2049, "open") == "OPEN"

    # Through the NAT, which the server sees none of.
    assert net.request("alice", "tcp", *network.NAT_PUBLIC, "get") == "GET"
    assert alice.ip in net.process("web-tcp-8000").output()

    # Five routers are on the way, so a packet needs six to arrive.
    assert not alice.ping(web.ip, ttl=5, wait=0.3)
    assert alice.ping(web.ip, ttl=6)

    # The wrong rule, its repair, and the mistake made again.
    assert net.request("alice", "tcp", web.ip, network.WRONG_PORT,
                       timeout=0.5) is None
    net.tell_controller("repair")
    assert net.request("alice", "tcp", web.ip, network.WRONG_PORT) == "HELLO"
    net.tell_controller("break")
    assert net.request("alice", "tcp", web.ip, network.WRONG_PORT,
                       timeout=0.5) is None
