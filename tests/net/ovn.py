# SPDX-License-Identifier: Apache-2.0
# OVN on a lab: the two databases, ovn-northd and ovn-controller.
"""
    lab.add_bridge("br-int")
    lab.add_host("a", "br-int", "10.1.0.2/24", gateways=["10.1.0.1"])
    lab.start()
    ovn = Ovn(lab)
    ovn.start()
    ovn.nbctl("ls-add", "left", "--", ...)
    ovn.bind("a", "left-a")

All of it runs in the lab's directory and namespace, and ends with the lab.
"""

import os
import re
import shutil

from lab import UNDER_SWITCH
from process import run, wait_until

SCHEMAS = "/usr/share/ovn"
PROGRAMS = ("ovn-northd", "ovn-controller", "ovn-nbctl", "ovn-sbctl")


def missing():
    """What of OVN is not on this machine, as text; empty: nothing."""
    return ", ".join(name for name in PROGRAMS if not shutil.which(name))


class Ovn:
    """OVN with one chassis, whose integration bridge is 'bridge'."""

    def __init__(self, lab, bridge="br-int"):
        self.lab = lab
        self.bridge = bridge
        self.env = {**lab.env, "OVN_RUNDIR": lab.dir, "OVN_LOGDIR": lab.dir,
                    "OVN_DBDIR": lab.dir, "OVN_SYSCONFDIR": lab.dir}
        self.northbound = f"unix:{lab.dir}/nb.sock"
        self.southbound = f"unix:{lab.dir}/sb.sock"

    def start(self):
        """Starts all; returns when ovn-controller has written its flows."""
        for name in ("nb", "sb"):
            self._start_database(name)
        self.nbctl("init")
        self.sbctl("init")
        self._spawn("ovn-northd", f"--ovnnb-db={self.northbound}",
                    f"--ovnsb-db={self.southbound}")
        self.lab.vsctl(
            "set", "open", ".", "external-ids:system-id=lab",
            f"external-ids:ovn-remote={self.southbound}",
            "external-ids:ovn-encap-type=geneve",
            "external-ids:ovn-encap-ip=127.0.0.1",
            f"external-ids:ovn-bridge={self.bridge}",
            "external-ids:ovn-bridge-datapath-type=netdev")
        self.start_controller()

    def start_controller(self):
        """Starts ovn-controller, for the first time or anew."""
        controller = self._spawn("ovn-controller", self.lab.db)
        wait_until(self.flows, 20, "ovn-controller's flows")
        return controller

    def _start_database(self, name):
        run(["ovsdb-tool", "create", f"{self.lab.dir}/{name}.db",
             f"{SCHEMAS}/ovn-{name}.ovsschema"])
        self.lab.spawn(f"ovn-{name}", [
            "/usr/sbin/ovsdb-server", f"{self.lab.dir}/{name}.db",
            f"--remote=punix:{self.lab.dir}/{name}.sock",
            f"--unixctl={self.lab.dir}/{name}.ctl", "-vconsole:warn"],
            netns=self.lab.sw)
        wait_until(lambda: os.path.exists(f"{self.lab.dir}/{name}.sock"),
                   what=f"the database {name}")

    def _spawn(self, program, *argv):
        return self.lab.spawn(program, [
            shutil.which(program), *argv, "-vconsole:info", "-vsyslog:off"],
            netns=self.lab.sw, env=self.env)

    # --- using it ------------------------------------------------------------

    def nbctl(self, *argv):
        """ovn-nbctl; returns what it prints."""
        return run(["ovn-nbctl", "--timeout=20", f"--db={self.northbound}",
                    *argv], env=self.env)

    def sbctl(self, *argv):
        """ovn-sbctl; returns what it prints."""
        return run(["ovn-sbctl", "--timeout=20", f"--db={self.southbound}",
                    *argv], env=self.env)

    def appctl(self, *argv):
        """ovn-appctl to ovn-controller; returns what it prints."""
        pid = self.lab.process("ovn-controller").pid
        return run(["ovn-appctl", "-t",
                    f"{self.lab.dir}/ovn-controller.{pid}.ctl", *argv],
                   env=self.env)

    def change(self, *argv):
        """ovn-nbctl, and waits until the flows are in the switch."""
        self.nbctl("--wait=hv", *argv)

    def bind(self, host, port):
        """Says that the lab's host is the logical port, and waits for it."""
        self.lab.vsctl("set", "interface", f"{self.bridge}-{host}",
                       f"external-ids:iface-id={port}")
        wait_until(lambda: self.nbctl("get", "logical_switch_port", port,
                                      "up").strip() == "true",
                   20, f"{port} to be up")
        self.nbctl("--wait=hv", "sync")

    def flows(self):
        """Those of the bridge, without counters, sorted."""
        text = self.lab.ofctl("dump-flows", self.bridge, "--no-stats",
                              version="OpenFlow15")
        return sorted(line for line in text.splitlines() if "actions" in line)

    def logical_flow(self, cookie):
        """The logical flow that a rule with this cookie comes from: its line
        of lflow-list, or None."""
        for line in self.sbctl("--uuid", "lflow-list").splitlines():
            found = re.match(r"\s*uuid=0x([0-9a-f]{8})", line)
            if found and int(found.group(1), 16) == cookie:
                return line.strip()
        return None


FAR_SWITCH = "172.31.255.3"      # The far chassis' end of the tunnels.


def join_chassis(ovn, far, bridge):
    """Makes the lab 'far', which has been started and has no collector, a
    second chassis of 'ovn' with the integration bridge 'bridge': a wire
    between the two bridges that hold the tunnels' addresses, and an
    ovn-controller.  OVN then makes a Geneve tunnel each way."""
    near = ovn.lab
    run(["ip", "link", "add", "to-far", "netns", near.sw, "type", "veth",
         "peer", "name", "to-near", "netns", far.sw])
    for lab, wire in ((near, "to-far"), (far, "to-near")):
        run(["ip", "link", "set", wire, "up"], netns=lab.sw)
    near.vsctl("add-port", "br-under", "to-far", "--", "set", "open", ".",
               f"external-ids:ovn-encap-ip={UNDER_SWITCH}")
    far.vsctl("add-br", "br-under", "--", "set", "bridge", "br-under",
              "datapath_type=netdev", "--", "add-port", "br-under", "to-near",
              "--", "set", "open", ".", "external-ids:system-id=far",
              f"external-ids:ovn-remote={ovn.southbound}",
              "external-ids:ovn-encap-type=geneve",
              f"external-ids:ovn-encap-ip={FAR_SWITCH}",
              f"external-ids:ovn-bridge={bridge}",
              "external-ids:ovn-bridge-datapath-type=netdev")
    run(["ip", "addr", "add", f"{FAR_SWITCH}/24", "dev", "br-under"],
        netns=far.sw)
    run(["ip", "link", "set", "br-under", "up"], netns=far.sw)
    far.spawn("ovn-controller", [
        shutil.which("ovn-controller"), far.db, "-vconsole:info",
        "-vsyslog:off"], netns=far.sw,
        env={**far.env, "OVN_RUNDIR": far.dir, "OVN_LOGDIR": far.dir,
             "OVN_DBDIR": far.dir, "OVN_SYSCONFDIR": far.dir})


def two_subnets(lab):
    """Declares and starts a lab with the hosts a, b and c on br-int, and OVN
    with the switches "left" (a) and "right" (b, c) and a router between them.
    The logical port of a host is called port-HOST."""
    lab.add_bridge("br-int")
    lab.add_host("a", "br-int", "10.1.0.2/24", gateways=["10.1.0.1"])
    lab.add_host("b", "br-int", "10.2.0.2/24", gateways=["10.2.0.1"])
    lab.add_host("c", "br-int", "10.2.0.3/24", gateways=["10.2.0.1"])
    lab.add_collector()
    lab.start()
    return Ovn(lab)


def make_two_subnets(ovn):
    """The logical network of two_subnets(), when OVN has been started."""
    ovn.nbctl("lr-add", "router")
    for number, switch, hosts in ((1, "left", "a"), (2, "right", "bc")):
        router = f"02:00:00:00:{number:02x}:01"
        ovn.nbctl(
            "ls-add", switch, "--", "lrp-add", "router", f"router-{switch}",
            router, f"10.{number}.0.1/24", "--",
            "lsp-add", switch, f"{switch}-router", "--",
            "lsp-set-type", f"{switch}-router", "router", "--",
            "lsp-set-addresses", f"{switch}-router", "router", "--",
            "lsp-set-options", f"{switch}-router",
            f"router-port=router-{switch}")
        for name in hosts:
            host = ovn.lab.hosts[name]
            ovn.nbctl("lsp-add", switch, f"port-{name}", "--",
                      "lsp-set-addresses", f"port-{name}",
                      f"{host.mac} {host.ip}")
            ovn.bind(name, f"port-{name}")
