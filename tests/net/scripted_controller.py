# SPDX-License-Identifier: Apache-2.0
"""A real OpenFlow controller (os-ken) that does what a test tells it.

Run by osken-manager; the test talks to it over the Unix socket named by
$SCRIPTED_CONTROLLER_SOCKET, one JSON object per line each way.  OpenFlow 1.3
by default, 1.0 with SCRIPTED_CONTROLLER_OF=1.0.

Requests: {"op": .., "dpid": N, ..}
  switches                 dpids that are connected
  flow     command, flow   a flow-mod in the form of os_ken.lib.ofctl_*, then a
                           barrier; answers after the barrier's reply with the
                           errors that came before it
  group    command, group  the same for a group-mod (1.3)
  meter    command, meter  the same for a meter-mod (1.3)
  role     role            asks for a role by its number (1.3)
  flows    [table]         the flow-stats as the controller sees them, whole
  ports                    the port description
  packet_out data, actions, in_port
  react    in_port, actions, flow  on the next packet-in from in_port: send the
                           packet by 'actions', then install 'flow'
  events                   packet-ins, flow-removeds, port changes and errors
                           since the last call
Answers: {"ok": true, ..} or {"ok": false, "error": ".."}.
"""

import json
import os
import socket

import eventlet
from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import (
    CONFIG_DISPATCHER, DEAD_DISPATCHER, HANDSHAKE_DISPATCHER, MAIN_DISPATCHER,
    set_ev_cls)
from os_ken.lib import hub, ofctl_v1_0, ofctl_v1_3
from os_ken.ofproto import ofproto_v1_0, ofproto_v1_3

OF10 = os.environ.get("SCRIPTED_CONTROLLER_OF") == "1.0"
ofctl = ofctl_v1_0 if OF10 else ofctl_v1_3

# Members of a flow-stats entry that depend on time and traffic.
VOLATILE = {"duration_sec", "duration_nsec", "packet_count", "byte_count"}


class ScriptedController(app_manager.OSKenApp):
    OFP_VERSIONS = [ofproto_v1_0.OFP_VERSION if OF10
                    else ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.datapaths = {}
        self.waiting = {}    # (dpid, xid) -> queue of replies
        self.reactions = {}  # (dpid, in_port) -> request
        self.seen = []
        path = os.environ["SCRIPTED_CONTROLLER_SOCKET"]
        listener = eventlet.listen(path, family=socket.AF_UNIX)
        hub.spawn(eventlet.serve, listener, self.serve)

    # --- the test's side ---------------------------------------------------

    def serve(self, connection, _address):
        with connection, connection.makefile("rw") as stream:
            for line in stream:
                request = json.loads(line)
                try:
                    answer = getattr(self, "op_" + request["op"])(request)
                    answer = {"ok": True, **(answer or {})}
                except Exception as error:  # The test gets to see any fault.
                    answer = {"ok": False, "error": repr(error)}
                stream.write(json.dumps(answer) + "\n")
                stream.flush()

    def ask(self, datapath, message):
        """Sends 'message' and returns all parts of its reply."""
        datapath.set_xid(message)
        queue = hub.Queue()
        self.waiting[datapath.id, message.xid] = queue
        datapath.send_msg(message)
        parts = []
        try:
            while True:
                part = queue.get(timeout=10)
                if part is None:
                    raise ConnectionError("the switch is gone")
                parts.append(part)
                flags = getattr(part, "flags", 0)
                if not flags & 1:  # OFPMPF_REPLY_MORE
                    return parts
        finally:
            del self.waiting[datapath.id, message.xid]

    def barrier(self, datapath):
        self.ask(datapath, datapath.ofproto_parser.OFPBarrierRequest(datapath))

    def errors(self):
        return [e for e in self.seen if e["event"] == "error"]

    def op_switches(self, _request):
        return {"switches": sorted(self.datapaths)}

    def op_flow(self, request):
        datapath = self.datapaths[request["dpid"]]
        commands = {"add": 0, "modify": 1, "modify_strict": 2, "delete": 3,
                    "delete_strict": 4}
        before = len(self.errors())
        flows = request.get("flows") or [request["flow"]]
        for flow in flows:
            ofctl.mod_flow_entry(datapath, flow,
                                 commands[request.get("command", "add")])
        self.barrier(datapath)
        return {"errors": self.errors()[before:]}

    def op_group(self, request):
        datapath = self.datapaths[request["dpid"]]
        commands = {"add": 0, "modify": 1, "delete": 2}
        before = len(self.errors())
        ofctl.mod_group_entry(datapath, request["group"],
                              commands[request.get("command", "add")])
        self.barrier(datapath)
        return {"errors": self.errors()[before:]}

    def op_meter(self, request):
        datapath = self.datapaths[request["dpid"]]
        commands = {"add": 0, "modify": 1, "delete": 2}
        before = len(self.errors())
        ofctl.mod_meter_entry(datapath, request["meter"],
                              commands[request.get("command", "add")])
        self.barrier(datapath)
        return {"errors": self.errors()[before:]}

    def op_role(self, request):
        datapath = self.datapaths[request["dpid"]]
        datapath.send_msg(datapath.ofproto_parser.OFPRoleRequest(
            datapath, request["role"], 0))
        self.barrier(datapath)

    def op_flows(self, request):
        datapath = self.datapaths[request["dpid"]]
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        if OF10:
            message = parser.OFPFlowStatsRequest(
                datapath, 0, parser.OFPMatch(), 0xff, ofproto.OFPP_NONE)
        else:
            message = parser.OFPFlowStatsRequest(
                datapath, 0, request.get("table", ofproto.OFPTT_ALL))
        flows = []
        for part in self.ask(datapath, message):
            for entry in part.body:
                flow = next(iter(entry.to_jsondict().values()))
                flows.append({k: v for k, v in flow.items()
                              if k not in VOLATILE})
        return {"flows": sorted(flows, key=lambda f: json.dumps(f))}

    def op_ports(self, request):
        datapath = self.datapaths[request["dpid"]]
        if OF10:
            return {"ports": sorted(datapath.ports)}
        message = datapath.ofproto_parser.OFPPortDescStatsRequest(datapath, 0)
        parts = self.ask(datapath, message)
        return {"ports": sorted(p.port_no for part in parts
                                for p in part.body)}

    def op_packet_out(self, request):
        datapath = self.datapaths[request["dpid"]]
        self.send_packet(datapath, bytes.fromhex(request["data"]),
                         request["actions"],
                         request.get("in_port",
                                     datapath.ofproto.OFPP_CONTROLLER))
        self.barrier(datapath)

    def op_react(self, request):
        self.reactions[request["dpid"], request["in_port"]] = request

    def op_events(self, _request):
        events, self.seen = self.seen, []
        return {"events": events}

    # --- the switch's side -------------------------------------------------

    def send_packet(self, datapath, data, actions, in_port):
        parser = datapath.ofproto_parser
        if OF10:
            acts = ofctl.to_actions(datapath, actions)
        else:
            acts = [ofctl.to_action(datapath, a) for a in actions]
        datapath.send_msg(parser.OFPPacketOut(
            datapath=datapath, buffer_id=datapath.ofproto.OFP_NO_BUFFER,
            in_port=in_port, actions=acts, data=data))

    @set_ev_cls(ofp_event.EventOFPStateChange,
                [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def state_change(self, ev):
        datapath = ev.datapath
        if ev.state == MAIN_DISPATCHER:
            self.datapaths[datapath.id] = datapath
        elif self.datapaths.get(datapath.id) is datapath:
            del self.datapaths[datapath.id]
            for (dpid, _xid), queue in self.waiting.items():
                if dpid == datapath.id:
                    queue.put(None)

    def reply(self, ev):
        queue = self.waiting.get((ev.msg.datapath.id, ev.msg.xid))
        if queue:
            queue.put(ev.msg)

    @set_ev_cls(ofp_event.EventOFPBarrierReply, MAIN_DISPATCHER)
    def barrier_reply(self, ev):
        self.reply(ev)

    @set_ev_cls(ofp_event.EventOFPFlowStatsReply, MAIN_DISPATCHER)
    def flow_stats_reply(self, ev):
        self.reply(ev)

    if not OF10:
        @set_ev_cls(ofp_event.EventOFPPortDescStatsReply, MAIN_DISPATCHER)
        def port_desc_reply(self, ev):
            self.reply(ev)

    @set_ev_cls(ofp_event.EventOFPErrorMsg,
                [HANDSHAKE_DISPATCHER, CONFIG_DISPATCHER, MAIN_DISPATCHER])
    def error(self, ev):
        message = ev.msg
        self.seen.append({"event": "error", "dpid": message.datapath.id,
                            "type": message.type, "code": message.code,
                            "xid": message.xid,
                            "data": bytes(message.data or b"").hex()})

    @set_ev_cls(ofp_event.EventOFPFlowRemoved, MAIN_DISPATCHER)
    def flow_removed(self, ev):
        message = ev.msg
        self.seen.append({"event": "flow_removed",
                            "dpid": message.datapath.id,
                            "cookie": message.cookie,
                            "priority": message.priority,
                            "reason": message.reason})

    @set_ev_cls(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)
    def port_status(self, ev):
        message = ev.msg
        self.seen.append({"event": "port_status",
                            "dpid": message.datapath.id,
                            "port": message.desc.port_no,
                            "reason": message.reason})

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, ev):
        message = ev.msg
        datapath = message.datapath
        in_port = message.in_port if OF10 else message.match["in_port"]
        event = {"event": "packet_in", "dpid": datapath.id,
                 "in_port": in_port, "reason": message.reason,
                 "data": bytes(message.data).hex()}
        if not OF10:
            event["table"] = message.table_id
            event["cookie"] = message.cookie
        self.seen.append(event)
        reaction = self.reactions.pop((datapath.id, in_port), None)
        if reaction:
            self.send_packet(datapath, message.data, reaction["actions"],
                             in_port)
            if reaction.get("flow"):
                ofctl.mod_flow_entry(datapath, reaction["flow"], 0)
