# SPDX-License-Identifier: Apache-2.0
# A real network for a test: Open vSwitch bridges, links between them and
# hosts, all in network namespaces of their own.
"""
    with Lab() as lab:
        lab.add_bridge("s1")
        lab.add_bridge("s2")
        lab.add_link("s1", "s2")
        h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.add_collector()
        lab.start()
        lab.ofctl("add-flow", "s1", "actions=normal")
        lab.ofctl("add-flow", "s2", "actions=normal")
        assert h1.ping("10.0.0.2")

Everything is declared first; start() makes it.  The lab has a directory
(lab.dir) with an ovsdb-server and ovs-vswitchd of its own, and these network
namespaces, whose names begin with lab.prefix:

  sw      ovs-vswitchd, the bridges and the links (veth pairs; no kernel module
          of Open vSwitch is used); also the place for controllers
  col     the collector: UNDER_COLLECTOR, reached from the bridges' tunnels
          through `br-under`, and the interface `mac0`, where what the bridges
          send out of their mac collector ports comes in
  HOST    each host, on its interface eth0

With Lab(patched=True), or LASTHOP_SWITCH=patched in the environment, the
switch is the one that build-aux/openvswitch-build makes of ovs-patches/, with
its own tools, and its bridges observe packets themselves (postcard mode).

Ports get the numbers 1, 2, 3.. on each bridge in the order of declaration.
Offloads are off everywhere, so that what is on the wire is what was sent.

Everything is gone at the end of the `with`, also after an exception, SIGTERM
or SIGINT; the directory with its logs stays after a failure, or when
LASTHOP_KEEP is set, and is named on stderr.  Labs do not disturb each other.
Root is needed.
"""

import atexit
import os
import re
import shutil
import signal
import sys
import tempfile
import threading

from process import Failed, Process, environment, in_netns, run, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
TRAFFIC = os.path.join(HERE, "traffic.py")
TOP = os.path.join(HERE, "..", "..")
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"     # Stock.

UNDER_SWITCH = "172.31.255.1"     # br-under, the tunnels' own end.
UNDER_COLLECTOR = "172.31.255.2"  # Where lasthop-server listens.

COLLECTOR_MAC = "02:00:00:00:ff:02"
_OFFLOADS = "rx off tx off sg off tso off gso off gro off"


def bindir():
    """Where the programs under test are: $LASTHOP_BINDIR or build/bin."""
    return os.environ.get("LASTHOP_BINDIR") or os.path.join(
        HERE, "..", "..", "build", "bin")


def patched_prefix():
    """Where the patched switch is installed: $LASTHOP_OVS_PREFIX, or what
    openvswitch-build makes, if need be."""
    return os.environ.get("LASTHOP_OVS_PREFIX") or run([os.path.join(TOP, "build-aux", "openvswitch-build")],
               deadline=3600.0).strip()


def memory_bound(n_bytes):
    """'n_bytes' to hold a program's memory against; no bound where programs
    have sanitizers, which keep what was freed and shadow the rest."""
    with open(f"{bindir()}/lasthop-recorder", "rb") as program:
        is_sanitized = re.search(b"__[at]san_init", program.read())
    return float("inf") if is_sanitized else n_bytes


class Bridge:
    """A bridge of the lab: its name, datapath ID and ports by number."""

    def __init__(self, name, dpid):
        self.name = name
        self.dpid = dpid
        self.ports = {}     # Number -> interface name.
        self.mac_port = None    # Number of its mac collector port.

    def add_port(self, interface):
        """Gives the next number to 'interface' and returns it."""
        number = len(self.ports) + 1
        self.ports[number] = interface
        return number

    def port_to(self, peer):
        """The number of its port to the bridge or host named 'peer' (the
        first, if there are several)."""
        for number, interface in self.ports.items():
            if re.fullmatch(rf"{self.name}-{peer}(\.\d+)?", interface):
                return number
        raise KeyError(f"{self.name} has no port to {peer}")


class Host:
    """A host of the lab.  Its methods act in its network namespace."""

    def __init__(self, lab, name, mac, addresses, gateways):
        self.lab = lab
        self.name = name
        self.netns = lab.prefix + name
        self.mac = mac
        self.addresses = addresses      # With prefix lengths.
        self.gateways = gateways

    @property
    def ip(self):
        """Its first IPv4 address."""
        return next(a.split("/")[0] for a in self.addresses if ":" not in a)

    @property
    def ip6(self):
        """Its first IPv6 address."""
        return next(a.split("/")[0] for a in self.addresses if ":" in a)

    def run(self, *argv, **options):
        """process.run() in this host."""
        return run(argv, netns=self.netns, **options)

    def ping(self, address, count=1, wait=2, ttl=64):
        """Whether each of 'count' pings got an answer."""
        output = self.run("ping", "-n", "-c", count, "-i", "0.02", "-W", wait,
                          "-t", ttl, address, check=False)
        return f" {count} received" in output

    def serve(self, kind, port):
        """Starts a server ("tcp" or "udp") that answers in capitals."""
        return self._traffic(f"{kind}-{port}", f"{kind}-serve", port)

    def request(self, kind, address, port, text="hello", timeout=2,
                source_port=0):
        """The reply of the server at (address, port) to 'text', or None."""
        reply = self.run(PYTHON, TRAFFIC, f"{kind}-request",
                         address, port, text, timeout, source_port,
                         check=False)
        return reply.rstrip("\n") or None

    def send(self, *frames):
        """Puts each of 'frames' (bytes) on the wire."""
        self.run(PYTHON, TRAFFIC, "send", "eth0",
                 stdin="".join(frame.hex() + "\n" for frame in frames))

    def capture(self):
        """Starts a Capture of what comes in."""
        return Capture(self._traffic("capture", "capture", "eth0"))

    def _traffic(self, log, *argv):
        return self.lab.spawn(f"{self.name}-{log}",
                              [PYTHON, TRAFFIC, *argv],
                              netns=self.netns).wait_for("ready")


class Capture:
    """The frames that come in at an interface."""

    def __init__(self, process):
        self.process = process

    def frames(self):
        """Those so far."""
        lines = self.process.output().split("\n")[:-1]
        return [bytes.fromhex(line) for line in lines if line != "ready"]

    def stop(self):
        """Ends it and returns the frames."""
        self.process.stop()
        return self.frames()


class Lab:
    """A network.  See the top of this file."""

    def __init__(self, patched=None):
        if os.geteuid() != 0:
            raise Failed("a network in namespaces needs root")
        if patched is None:
            patched = os.environ.get("LASTHOP_SWITCH") == "patched"
        self.is_patched = patched
        prefix = patched_prefix() if patched else "/usr"
        self._ovs_sbin = os.path.join(prefix, "sbin")
        self._ovs_share = os.path.join(prefix, "share", "openvswitch")
        self.dir = tempfile.mkdtemp(prefix="lasthop-lab-")
        self.prefix = f"{netns_prefix()}{self.dir[-3:]}-".replace("_", "x")
        self.bridges = {}
        self.hosts = {}
        self.env = environment(
            OVS_RUNDIR=self.dir, OVS_LOGDIR=self.dir, OVS_DBDIR=self.dir,
            OVS_SYSCONFDIR=self.dir, OVS_PKGDATADIR=self._ovs_share,
            LASTHOP_RUNDIR=self.dir)
        if patched:
            self.env["PATH"] = os.pathsep.join([
                os.path.join(prefix, "bin"), self._ovs_sbin,
                self.env["PATH"]])
        self.db = f"unix:{self.dir}/db.sock"
        self._links = []            # (netns, interface, netns, interface)
        self._has_collector = False
        self._has_mac = False
        self._processes = []
        self._netns = []
        self._old_handlers = {}
        self._closed = False

    # --- what there is -------------------------------------------------------

    @property
    def sw(self):
        """Network namespace of the bridges and controllers."""
        return self.prefix + "sw"

    @property
    def col(self):
        """Network namespace of the collector."""
        return self.prefix + "col"

    def add_bridge(self, name, dpid=None):
        """Declares a bridge; datapath IDs are 1, 2, 3.. unless given."""
        bridge = Bridge(name, dpid or len(self.bridges) + 1)
        self.bridges[name] = bridge
        return bridge

    def add_link(self, a, b):
        """Declares a link between bridges 'a' and 'b' and returns its port
        numbers there.  There may be several."""
        name_a, name_b = f"{a}-{b}", f"{b}-{a}"
        taken = self.bridges[a].ports.values()
        if name_a in taken:
            n = 2 + sum(port.startswith(name_a + ".") for port in taken)
            name_a, name_b = f"{name_a}.{n}", f"{name_b}.{n}"
        self._links.append((self.sw, name_a, self.sw, name_b))
        return (self.bridges[a].add_port(name_a),
                self.bridges[b].add_port(name_b))

    def add_host(self, name, bridge, *addresses, gateways=()):
        """Declares a host on 'bridge' with 'addresses' ("10.0.0.1/24", IPv4
        or IPv6) and default routes by 'gateways'."""
        mac = f"02:00:00:00:00:{len(self.hosts) + 1:02x}"
        host = Host(self, name, mac, addresses, gateways)
        interface = f"{bridge}-{name}"
        self.bridges[bridge].add_port(interface)
        self._links.append((self.sw, interface, host.netns, "eth0"))
        self.hosts[name] = host
        return host

    def add_tap(self, bridge, interface):
        """Declares a port of 'bridge' whose far end is the interface
        INTERFACE-far beside the switches."""
        self.bridges[bridge].add_port(interface)
        self._links.append((self.sw, interface, self.sw, interface + "-far"))

    def add_collector(self, mac=False):
        """Declares the collector; with 'mac' also a mac collector port on
        each bridge declared so far, its number in bridge.mac_port."""
        self._has_collector = True
        self._links.append((self.sw, "under", self.col, "under0"))
        if mac:
            self._has_mac = True
            for bridge in self.bridges.values():
                port, far = f"{bridge.name}-mac", f"mac-{bridge.name}"
                bridge.mac_port = bridge.add_port(port)
                self._links.append((self.sw, port, self.sw, far))
            self._links.append((self.sw, "mac", self.col, "mac0"))

    # --- making it -----------------------------------------------------------

    def __enter__(self):
        atexit.register(self.close)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._old_handlers[number] = signal.signal(number, _leave)
        _sweep()
        return self

    def __exit__(self, kind, value, traceback):
        ended = (SystemExit, KeyboardInterrupt)
        self.close(keep=kind is not None and not issubclass(kind, ended))

    def start(self):
        """Makes all that was declared.  When it returns, every port has its
        number and the collector can be reached through the tunnels."""
        self._make_namespaces()
        self._make_links()
        self._start_ovs()
        self._make_bridges()
        if self._has_collector:
            self._resolve_collector()

    def _make_namespaces(self):
        names = [self.sw] + [host.netns for host in self.hosts.values()]
        if self._has_collector:
            names.append(self.col)
        for name in names:
            run(["ip", "netns", "add", name])
            self._netns.append(name)
            # Nothing on these wires but what a test sends.
            quiet = ["net.ipv6.conf.all.accept_ra=0",
                     "net.ipv6.conf.default.accept_ra=0",
                     "net.ipv6.conf.default.router_solicitations=0"]
            if name in (self.sw, self.col):
                quiet += ["net.ipv6.conf.default.disable_ipv6=1"]
            run(["sysctl", "-q", "-w", *quiet], netns=name)
            run(["ip", "link", "set", "lo", "up"], netns=name)

    def _make_links(self):
        batch = []
        ends = {}       # Network namespace -> interfaces.
        for netns_a, a, netns_b, b in self._links:
            batch.append(f"link add {a} netns {netns_a} type veth "
                         f"peer name {b} netns {netns_b}")
            ends.setdefault(netns_a, []).append(a)
            ends.setdefault(netns_b, []).append(b)
        run(["ip", "-batch", "-"], stdin="\n".join(batch))

        for host in self.hosts.values():
            run(["ip", "link", "set", "eth0", "address", host.mac],
                netns=host.netns)
        for netns, interfaces in ends.items():
            script = "".join(
                f"ethtool -K {name} {_OFFLOADS} >/dev/null 2>&1; "
                f"ip link set {name} up; " for name in interfaces)
            run(["sh", "-c", script], netns=netns)
        for host in self.hosts.values():
            batch = [f"addr add {address} dev eth0"
                     + (" nodad" if ":" in address else "")
                     for address in host.addresses]
            batch += [f"route add default via {gateway} dev eth0"
                      for gateway in host.gateways]
            run(["ip", "-batch", "-"], netns=host.netns,
                stdin="\n".join(batch))
        if self._has_collector:
            run(["ip", "link", "set", "under0", "address", COLLECTOR_MAC],
                netns=self.col)
            run(["ip", "addr", "add", UNDER_COLLECTOR + "/24", "dev",
                 "under0"], netns=self.col)

    def _start_ovs(self):
        run(["ovsdb-tool", "create", f"{self.dir}/conf.db",
             f"{self._ovs_share}/vswitch.ovsschema"], env=self.env)
        self.spawn("ovsdb-server", [
            f"{self._ovs_sbin}/ovsdb-server", f"{self.dir}/conf.db",
            f"--remote=punix:{self.dir}/db.sock",
            f"--unixctl={self.dir}/ovsdb.ctl", "-vconsole:warn"],
            netns=self.sw)
        wait_until(lambda: os.path.exists(f"{self.dir}/db.sock"),
                   what="ovsdb-server")
        self.vsctl("--no-wait", "init")
        self.start_vswitchd()

    def start_vswitchd(self):
        """Starts ovs-vswitchd, for the first time or after it was ended
        (process "ovs-vswitchd"); its bridges come back without flows.  A
        patched one runs under a name of its own, self.vswitchd, so that an
        agent for this lab reads no other's rings."""
        program = [f"{self._ovs_sbin}/ovs-vswitchd"]
        if self.is_patched:
            self.vswitchd = "v" + self.prefix.rstrip("-")[:14]
            named = f"{self.dir}/{self.vswitchd}"
            if not os.path.lexists(named):
                os.symlink(program[0], named)
            program = ["bash", "-c", 'exec -a ovs-vswitchd "$0" "$@"', named]
        return self.spawn("ovs-vswitchd", [
            *program, self.db, "--disable-system",
            f"--pidfile={self.dir}/ovs-vswitchd.pid", "-vconsole:warn"],
            netns=self.sw)

    def start_agent(self, server, *options):
        """Starts lasthop-agent for this lab's patched switch alone."""
        return self.spawn("agent", [
            f"{bindir()}/lasthop-agent", "--server", server, "--process",
            self.vswitchd, *options], netns=self.sw, daemon=True)

    def _make_bridges(self):
        command = []
        postcard = ["other-config:lasthop-mode=postcard"] \
            if self.is_patched else []
        for bridge in self.bridges.values():
            command += _bridge_command(
                bridge.name, bridge.ports, "fail-mode=secure",
                f"other-config:datapath-id={bridge.dpid:016x}", *postcard,
                "protocols=[OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,"
                "OpenFlow14,OpenFlow15]")
        if self._has_collector:
            command += _bridge_command("br-under", {1: "under"})
        if self._has_mac:
            fars = {2 + i: f"mac-{name}" for i, name in
                    enumerate(self.bridges)}
            command += _bridge_command("br-mac", {1: "mac", **fars},
                                       "fail-mode=secure")
        self.vsctl(*command)
        for bridge in self.bridges.values():
            self._check_ports(bridge)
        if self._has_mac:
            self.ofctl("add-flow", "br-mac", "priority=1,actions=output:1")
            self.ofctl("add-flow", "br-mac",
                       "priority=2,in_port=1,actions=drop")

    def _check_ports(self, bridge):
        for number, interface in bridge.ports.items():
            got = self.vsctl("get", "Interface", interface, "ofport").strip()
            if got != str(number):
                raise Failed(f"{bridge.name}: port {interface} has number "
                             f"{got} instead of {number}")

    def _resolve_collector(self):
        """A tunnel loses what it is given until the switch itself knows the
        route and the MAC of the tunnel's far end, and the switch learns no MAC
        before there is a tunnel: so it is told."""
        run(["ip", "addr", "add", UNDER_SWITCH + "/24", "dev", "br-under"],
            netns=self.sw)
        run(["ip", "link", "set", "br-under", "up"], netns=self.sw)
        self.appctl("tnl/arp/set", "br-under", UNDER_COLLECTOR, COLLECTOR_MAC)
        wait_until(lambda: "dev br-under" in self.appctl("ovs/route/show"),
                   what="the route to the collector")

    # --- using it ------------------------------------------------------------

    def vsctl(self, *argv):
        """ovs-vsctl; returns what it prints."""
        return run(["ovs-vsctl", "--timeout=20", f"--db={self.db}", *argv],
                   env=self.env)

    def ofctl(self, command, bridge, *argv, version="OpenFlow13"):
        """ovs-ofctl COMMAND BRIDGE ARG..; returns what it prints."""
        return run(["ovs-ofctl", "-O", version, command,
                    f"unix:{self.dir}/{bridge}.mgmt", *argv], env=self.env)

    def appctl(self, *argv):
        """ovs-appctl to this lab's ovs-vswitchd; returns what it prints."""
        return run(["ovs-appctl", *argv], env=self.env)

    def set_controller(self, target):
        """Points all bridges at the controller 'target' and waits until
        they are connected."""
        command = []
        for name in self.bridges:
            command += ["--", "set-controller", name, target]
        self.vsctl(*command)
        for name in self.bridges:
            self.vsctl("set", "controller", name, "max_backoff=1000",
                       "connection-mode=out-of-band")
        wait_until(self.is_connected, 20, f"the bridges to reach {target}")

    def is_connected(self):
        """Whether all bridges are connected to their controller."""
        found = self.vsctl("--columns=is_connected", "--format=csv",
                           "--no-headings", "list", "controller").split()
        return len(found) == len(self.bridges) and set(found) == {"true"}

    def spawn(self, name, argv, netns=None, env=None, daemon=False):
        """Starts a program that stays, with its output in lab.dir/NAME.log;
        it is ended with the lab.  The end of the lab raises Failed when a
        'daemon' ended before or badly, or a sanitizer spoke up."""
        process = Process(name, argv, f"{self.dir}/{name}.log", netns=netns,
                          env={**self.env, **(env or {})}, daemon=daemon)
        self._processes.append(process)
        return process

    def process(self, name):
        """The latest process started under 'name'."""
        return next(p for p in reversed(self._processes) if p.name == name)

    def command(self, netns, *argv):
        """What a person types to run 'argv' in a namespace of this lab."""
        return " ".join(in_netns(netns, argv))

    # --- ending it -----------------------------------------------------------

    def close(self, keep=False):
        """Ends everything.  'keep' leaves the directory with the logs."""
        if self._closed:
            return
        self._closed = True
        for process in reversed(self._processes):
            process.stop()
        for netns in self._netns:
            _delete_netns(netns)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        atexit.unregister(self.close)

        faults = list(filter(None, (p.fault() for p in self._processes)))
        if keep or faults or os.environ.get("LASTHOP_KEEP"):
            print(f"the lab's logs are in {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        if faults:
            raise Failed("\n".join(faults))


def _leave(number, _frame):
    sys.exit(128 + number)


def _bridge_command(name, ports, *columns):
    """The ovs-vsctl words that make a bridge with numbered ports."""
    command = ["--", "add-br", name, "--", "set", "bridge", name,
               "datapath_type=netdev", *columns]
    for number, interface in ports.items():
        command += ["--", "add-port", name, interface, "--", "set",
                    "interface", interface, f"ofport_request={number}"]
    return command


def _delete_netns(netns):
    """Removes a namespace and ends what still runs in it."""
    for pid in run(["ip", "netns", "pids", netns], check=False).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    run(["ip", "netns", "delete", netns], check=False)


def netns_prefix():
    """What the names of this process's namespaces begin with."""
    return f"lh{os.getpid()}-"


def netns_owner(name):
    """The ID of the process that made the namespace; None if no test did."""
    match = re.match(r"lh(\d+)-", name)
    return int(match.group(1)) if match else None


def _sweep():
    """Removes namespaces of tests whose process was killed."""
    for line in run(["ip", "netns", "list"]).splitlines():
        owner = netns_owner(line)
        if owner and not os.path.exists(f"/proc/{owner}"):
            _delete_netns(line.split()[0])
