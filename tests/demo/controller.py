# SPDX-License-Identifier: Apache-2.0
# The demo's controller: an os-ken application, OpenFlow 1.3.
"""
Makes every bridge of network.py a router: it deletes what is there, installs
the routes, the NAT at the border and the one wrong rule, and answers ARP and
neighbour solicitations for the routers' addresses itself.

It is told what to do over the Unix socket $DEMO_CONTROL, one word per line:

    ready       answers when all bridges have all their rules
    repair      deletes the wrong rule and answers when it is gone
    break       installs it again

and answers "ok" or what is wrong.
"""

import os
import socket

import eventlet
from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import (CONFIG_DISPATCHER, DEAD_DISPATCHER,
                                       MAIN_DISPATCHER, set_ev_cls)
from os_ken.lib import hub
from os_ken.lib.packet import (arp, ether_types, ethernet, icmpv6, in_proto,
                               ipv6, packet)
from os_ken.ofproto import ofproto_v1_3

import network

IPV4, IPV6 = ether_types.ETH_TYPE_IP, ether_types.ETH_TYPE_IPV6
ARP = ether_types.ETH_TYPE_ARP

# Cookies say what a rule is for.
ROUTE, NAT, PUNT, MISS, WRONG = 0x10, 0x20, 0x30, 0x40, 0xbad
PRIORITY = {ROUTE: 100, NAT: 300, WRONG: 400, PUNT: 500, MISS: 0}

GATEWAYS = {network.gateway(address) for host in network.HOSTS
            for address in (host.ip, host.ip6)}


class Switch:
    """One connected bridge: its ports by name, and rules for it."""

    def __init__(self, datapath):
        self.datapath = datapath
        self.name = {dpid: name for name, dpid
                     in network.SWITCHES.items()}[datapath.id]
        self.ports = {}     # "s1-s2" -> number
        self.is_ready = False

    def to(self, peer):
        """Actions that send to the bridge or host 'peer'."""
        parser = self.datapath.ofproto_parser
        return [parser.OFPActionOutput(self.ports[f"{self.name}-{peer}"])]

    def set_fields(self, **fields):
        """Actions that set header fields."""
        parser = self.datapath.ofproto_parser
        return [parser.OFPActionSetField(**{name: value})
                for name, value in fields.items()]

    def to_controller(self):
        """Actions that send whole packets to the controller."""
        ofproto = self.datapath.ofproto
        return [self.datapath.ofproto_parser.OFPActionOutput(
            ofproto.OFPP_CONTROLLER, ofproto.OFPCML_NO_BUFFER)]

    def rule(self, cookie, match, actions, command=None):
        """Sends a flow-mod; the default command is to add."""
        ofproto = self.datapath.ofproto
        parser = self.datapath.ofproto_parser
        instructions = [parser.OFPInstructionActions(
            ofproto.OFPIT_APPLY_ACTIONS, actions)] if actions else []
        self.datapath.send_msg(parser.OFPFlowMod(
            self.datapath, cookie=cookie, priority=PRIORITY[cookie],
            command=ofproto.OFPFC_ADD if command is None else command,
            out_port=ofproto.OFPP_ANY, out_group=ofproto.OFPG_ANY,
            match=parser.OFPMatch(**match), instructions=instructions))

    def delete_all(self):
        """Deletes every rule of every table."""
        ofproto = self.datapath.ofproto
        parser = self.datapath.ofproto_parser
        self.datapath.send_msg(parser.OFPFlowMod(
            self.datapath, command=ofproto.OFPFC_DELETE,
            table_id=ofproto.OFPTT_ALL, out_port=ofproto.OFPP_ANY,
            out_group=ofproto.OFPG_ANY, match=parser.OFPMatch()))

    # --- what the demo's rules are -------------------------------------------

    def install(self):
        """Installs all rules of this bridge."""
        self.delete_all()
        self.rule(MISS, {}, self.to_controller())
        self.rule(PUNT, {"eth_type": ARP}, self.to_controller())
        self.rule(PUNT, {"eth_type": IPV6, "ip_proto": in_proto.IPPROTO_ICMPV6,
                         "icmpv6_type": icmpv6.ND_NEIGHBOR_SOLICIT},
                  self.to_controller())
        for host in network.HOSTS:
            self.install_route(host)
        self.install_nat()
        if self.name == network.WRONG_SWITCH:
            self.install_wrong()

    def install_route(self, host):
        """The way to 'host', if it leads over this bridge."""
        if self.name == host.switch:
            actions = self.set_fields(eth_src=network.GATEWAY_MAC,
                                      eth_dst=host.mac) + self.to(host.name)
        elif self.name in network.ROUTES[host.name]:
            actions = self.to(network.ROUTES[host.name][self.name])
        else:
            return
        dec_ttl = [self.datapath.ofproto_parser.OFPActionDecNwTtl()]
        self.rule(ROUTE, {"eth_type": IPV4, "ipv4_dst": host.ip},
                  dec_ttl + actions)
        self.rule(ROUTE, {"eth_type": IPV6, "ipv6_dst": host.ip6},
                  dec_ttl + actions)

    def install_nat(self):
        """The way to the public address, and its translation both ways."""
        public, public_port = network.NAT_PUBLIC
        private, private_port = network.NAT_PRIVATE
        dec_ttl = [self.datapath.ofproto_parser.OFPActionDecNwTtl()]
        if self.name in network.NAT_ROUTE:
            self.rule(ROUTE, {"eth_type": IPV4, "ipv4_dst": public},
                      dec_ttl + self.to(network.NAT_ROUTE[self.name]))
        if self.name != network.NAT_SWITCH:
            return
        tcp = {"eth_type": IPV4, "ip_proto": in_proto.IPPROTO_TCP}
        self.rule(NAT, {**tcp, "ipv4_dst": public, "tcp_dst": public_port},
                  self.set_fields(ipv4_dst=private, tcp_dst=private_port)
                  + dec_ttl + self.to(network.UPPER[self.name]))
        self.rule(NAT, {**tcp, "ipv4_src": private, "tcp_src": private_port},
                  self.set_fields(ipv4_src=public, tcp_src=public_port)
                  + dec_ttl + self.to(network.BACK[self.name]))

    def install_wrong(self):
        """The mistake: no actions, so what matches is dropped."""
        self.rule(WRONG, self.wrong_match(), [])

    def delete_wrong(self):
        """The repair."""
        self.rule(WRONG, self.wrong_match(), [],
                  self.datapath.ofproto.OFPFC_DELETE_STRICT)

    @staticmethod
    def wrong_match():
        """What the wrong rule matches."""
        return {"eth_type": IPV4, "ip_proto": in_proto.IPPROTO_TCP,
                "tcp_dst": network.WRONG_PORT}

    # --- packets ---------------------------------------------------------------

    def send(self, port, *layers):
        """Sends a packet made of 'layers' out of 'port'."""
        parser = self.datapath.ofproto_parser
        ofproto = self.datapath.ofproto
        made = packet.Packet()
        for layer in layers:
            made.add_protocol(layer)
        made.serialize()
        self.datapath.send_msg(parser.OFPPacketOut(
            self.datapath, buffer_id=ofproto.OFP_NO_BUFFER,
            in_port=ofproto.OFPP_CONTROLLER,
            actions=[parser.OFPActionOutput(port)], data=made.data))


def answer_arp(switch, port, request):
    """Answers an ARP request for a router's address."""
    if request.opcode == arp.ARP_REQUEST and request.dst_ip in GATEWAYS:
        switch.send(port, ethernet.ethernet(request.src_mac,
                                            network.GATEWAY_MAC, ARP),
                    arp.arp(opcode=arp.ARP_REPLY,
                            src_mac=network.GATEWAY_MAC,
                            src_ip=request.dst_ip, dst_mac=request.src_mac,
                            dst_ip=request.src_ip))


def answer_solicitation(switch, port, eth, ip, request):
    """Answers a neighbour solicitation for a router's address."""
    if request.data.dst in GATEWAYS and ip.src != "::":
        switch.send(port, ethernet.ethernet(eth.src, network.GATEWAY_MAC,
                                            IPV6),
                    ipv6.ipv6(src=request.data.dst, dst=ip.src, hop_limit=255,
                              nxt=in_proto.IPPROTO_ICMPV6),
                    icmpv6.icmpv6(icmpv6.ND_NEIGHBOR_ADVERT, 0, 0,
                                  icmpv6.nd_neighbor(
                                      dst=request.data.dst, res=6,
                                      option=icmpv6.nd_option_tla(
                                          hw_src=network.GATEWAY_MAC))))


class Controller(app_manager.OSKenApp):
    """The application."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.switches = {}      # Name -> Switch.
        self.barriers = {}      # (dpid, xid) -> Event of the reply.
        listener = eventlet.listen(os.environ["DEMO_CONTROL"],
                                   family=socket.AF_UNIX)
        hub.spawn(eventlet.serve, listener, self.serve)

    # --- the control socket ----------------------------------------------------

    def serve(self, connection, _address):
        """Does what the lines of a connection say."""
        words = {"ready": self.wait_ready, "repair": self.repair,
                 "break": self.spoil}
        with connection, connection.makefile("rw") as stream:
            for line in stream:
                word = words.get(line.strip())
                stream.write(word() if word else "not a word I know")
                stream.write("\n")
                stream.flush()

    def wait_ready(self):
        """Waits until every bridge has its rules."""
        for _ in range(2000):
            if (len(self.switches) == len(network.SWITCHES)
                    and all(s.is_ready for s in self.switches.values())):
                return "ok"
            hub.sleep(0.01)
        return f"only {sorted(self.switches)} are there"

    def repair(self):
        """Deletes the wrong rule."""
        switch = self.switches[network.WRONG_SWITCH]
        switch.delete_wrong()
        return self.barrier(switch)

    def spoil(self):
        """Installs the wrong rule."""
        switch = self.switches[network.WRONG_SWITCH]
        switch.install_wrong()
        return self.barrier(switch)

    def barrier(self, switch):
        """Waits until 'switch' has done all it was told."""
        datapath = switch.datapath
        request = datapath.ofproto_parser.OFPBarrierRequest(datapath)
        datapath.set_xid(request)
        key = datapath.id, request.xid
        self.barriers[key] = hub.Event()
        datapath.send_msg(request)
        done = self.barriers[key].wait(10)
        del self.barriers[key]
        return "ok" if done else f"no barrier reply from {switch.name}"

    # --- OpenFlow ----------------------------------------------------------------

    @set_ev_cls(ofp_event.EventOFPStateChange,
                [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def state_change(self, event):
        """A bridge has come or gone."""
        datapath = event.datapath
        if event.state == MAIN_DISPATCHER:
            switch = Switch(datapath)
            self.switches[switch.name] = switch
            datapath.send_msg(
                datapath.ofproto_parser.OFPPortDescStatsRequest(datapath))
        else:
            self.switches = {name: switch for name, switch
                             in self.switches.items()
                             if switch.datapath is not datapath}

    def switch_of(self, message):
        """The Switch a message came from, None when it is gone."""
        return next((switch for switch in self.switches.values()
                     if switch.datapath is message.datapath), None)

    @set_ev_cls(ofp_event.EventOFPPortDescStatsReply, MAIN_DISPATCHER)
    def port_description(self, event):
        """The ports of a bridge: with them its rules can be made."""
        switch = self.switch_of(event.msg)
        if switch is None:
            return
        for port in event.msg.body:
            switch.ports[port.name.decode()] = port.port_no
        hub.spawn(self.program, switch)     # It waits for a later event.

    def program(self, switch):
        """Gives a bridge its rules."""
        switch.install()
        answer = self.barrier(switch)
        switch.is_ready = answer == "ok"
        self.logger.info("%s: rules installed: %s", switch.name, answer)

    @set_ev_cls(ofp_event.EventOFPBarrierReply,
                [CONFIG_DISPATCHER, MAIN_DISPATCHER])
    def barrier_reply(self, event):
        """Wakes who waits in barrier()."""
        waiting = self.barriers.get((event.msg.datapath.id, event.msg.xid))
        if waiting:
            waiting.set()

    @set_ev_cls(ofp_event.EventOFPErrorMsg,
                [CONFIG_DISPATCHER, MAIN_DISPATCHER])
    def error(self, event):
        """Something we sent was wrong."""
        self.logger.error("dpid %d: error type %d code %d",
                          event.msg.datapath.id, event.msg.type,
                          event.msg.code)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event):
        """Answers for the routers; what else has no route is dropped."""
        switch = self.switch_of(event.msg)
        port = event.msg.match["in_port"]
        layers = packet.Packet(event.msg.data)
        request = layers.get_protocol(arp.arp)
        if switch is None:
            return
        if request:
            answer_arp(switch, port, request)
            return
        request = layers.get_protocol(icmpv6.icmpv6)
        if request and request.type_ == icmpv6.ND_NEIGHBOR_SOLICIT:
            answer_solicitation(switch, port,
                                layers.get_protocol(ethernet.ethernet),
                                layers.get_protocol(ipv6.ipv6), request)
