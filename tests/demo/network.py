# SPDX-License-Identifier: Apache-2.0
# The demo's network as data: what is where, and where packets are to go.
r"""
Read by demo.py, which builds it, and by controller.py, which programs it.

                      s2 ------- s3
                     /             \
    alice, bob -- s1                s5 -- s6 -- web, files
                     \             /
                      +---- s4 ---+

Every bridge is a router.  What goes to the servers takes the upper way, what
comes back the lower one; the file server has both ways through s4.
"""

import collections

Host = collections.namedtuple("Host", "name switch mac ip ip6")

SWITCHES = {"s1": 1, "s2": 2, "s3": 3, "s4": 4, "s5": 5, "s6": 6}

LINKS = [("s1", "s2"), ("s2", "s3"), ("s3", "s5"),
         ("s1", "s4"), ("s4", "s5"), ("s5", "s6")]

# In the order in which the lab numbers their MAC addresses.
HOSTS = [
    Host("alice", "s1", "02:00:00:00:00:01", "10.0.1.10", "fd00:1::10"),
    Host("bob", "s1", "02:00:00:00:00:02", "10.0.2.10", "fd00:2::10"),
    Host("web", "s6", "02:00:00:00:00:03", "10.0.3.10", "fd00:3::10"),
    Host("files", "s6", "02:00:00:00:00:04", "10.0.4.10", "fd00:4::10"),
]

GATEWAY_MAC = "02:00:00:00:ff:01"

# For packets to a host: what each bridge on the way does with them is to send
# them to the next.
UPPER = {"s1": "s2", "s2": "s3", "s3": "s5", "s5": "s6"}
LOWER = {"s1": "s4", "s4": "s5", "s5": "s6"}
BACK = {"s6": "s5", "s5": "s4", "s4": "s1"}
ROUTES = {"web": UPPER, "files": LOWER, "alice": BACK, "bob": BACK}

# s5 offers web's port 8000 as port 80 of another address.
NAT_SWITCH = "s5"
NAT_PUBLIC = ("203.0.113.80", 80)
NAT_PRIVATE = ("10.0.3.10", 8000)
NAT_ROUTE = {"s1": "s2", "s2": "s3", "s3": "s5"}

# The mistake: s3 drops a service that is meant to work.
WRONG_SWITCH = "s3"
WRONG_PORT = 8443


def gateway(address):
    """The router's address beside a host's."""
    if ":" in address:
        return address.rsplit("::", 1)[0] + "::1"
    return address.rsplit(".", 1)[0] + ".1"
