# SPDX-License-Identifier: Apache-2.0
# Recorder, controller, switch or log killed at a random point while rules change,
# round after round, and what must hold after each.
"""
    with Lab() as lab:
        campaign = Campaign(lab, seed=7)
        campaign.start()
        campaign.round()

A load of random flow-mods goes on all the time; what the controller saw
acknowledged (by a barrier) is the model.  After each kill the victim is
started again, the load stops, and these are one and the same:

- the table that the controller reads (flow-stats),
- the table that the log rebuilds, for now and for the newest version,
- the switch's own table without what is injected, each version in it that of
  the log's rule with the same cookie, and no version twice,
- the model, wherever it is sure.

As a program, for long runs:  kill_campaign.py [--seed N] [--rounds N]
[--journal FILE]; with a journal a run goes on where one was interrupted.
"""

import argparse
import json
import os
import random
import re
import shutil
import sys
import threading

from api import Api, ApiError
from lab import UNDER_COLLECTOR, Lab
from process import Failed, wait_until
from recorder import Recorder, pretty, start_controller

VICTIMS = ["recorder", "controller", "switch", "log"]
TABLES, PRIORITIES, ADDRESSES = 3, 4, 40
BATCH = 8
OWN_COOKIE = 0x6c617374686f7000


class Load(threading.Thread):
    """Random flow-mods on a switch by the controller, until stopped."""

    def __init__(self, seed, dpid):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.dpid = dpid
        self.controller = None  # An Api of its own, while it runs.
        self.model = {}         # (table, priority, address) -> (cookie, port)
        self.unsure = set()     # Keys whose change was not acknowledged.
        self.done = 0           # Batches acknowledged.
        self.failed = None
        self._last_cookie = 0
        self._may_run = threading.Event()
        self._is_idle = threading.Event()
        self._ends = False

    # --- from other threads ------------------------------------------------

    def resume(self, lab):
        """Goes on, by the controller of 'lab'."""
        self.controller = Api(f"{lab.dir}/controller.sock", deadline=20)
        self._is_idle.clear()
        self._may_run.set()

    def pause(self):
        """Returns when no batch is on its way any more."""
        self._may_run.clear()
        wait_until(lambda: self._is_idle.is_set() or not self.is_alive(), 60,
                   "the load to pause")
        self.controller.close()

    def end(self):
        """Ends the thread."""
        self._ends = True
        self._may_run.set()
        self.join(60)

    # --- the thread --------------------------------------------------------

    def run(self):
        try:
            while True:
                if not self._may_run.is_set():
                    self._is_idle.set()
                self._may_run.wait()
                if self._ends:
                    return
                self._batch()
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error     # The test's own fault: told by round().
            self._is_idle.set()

    def _can_go_on(self):
        """Whether the switch is connected, or the load is to pause."""
        try:
            return (not self._may_run.is_set() or self._ends or self.dpid
                    in self.controller.call("switches")["switches"])
        except (OSError, ValueError):
            return not self._may_run.is_set()

    def _one(self, command):
        """A flow-mod in os-ken's form, and its key and value."""
        r = self.random
        key = (r.randrange(TABLES), 10 + r.randrange(PRIORITIES),
               r.randrange(1, ADDRESSES + 1))
        if command != "add" and self.model and r.random() < 0.8:
            key = r.choice(sorted(self.model))
        table, priority, address = key
        port = r.choice([1, 2, 0])
        flow = {"table_id": table, "priority": priority,
                "match": {"dl_type": 0x0800, "nw_dst": f"10.0.0.{address}"},
                "actions": ([{"type": "OUTPUT", "port": port}] if port
                            else [])}
        if table < TABLES - 1 and r.random() < 0.3:
            flow["actions"] = flow["actions"] + [
                {"type": "GOTO_TABLE", "table_id": table + 1}]
        if command == "add":
            self._last_cookie += 1
            flow["cookie"] = self._last_cookie
        return flow, key, port

    def _batch(self):
        command = self.random.choices(
            ["add", "modify_strict", "delete_strict"], [6, 3, 2])[0]
        made = [self._one(command) for _ in range(BATCH)]
        try:
            errors = self.controller.call(
                "flow", dpid=self.dpid, command=command,
                flows=[flow for flow, _, _ in made])["errors"]
            if errors:
                raise Failed(f"refused: {errors} of {made}")
        except (ApiError, OSError, ValueError):
            self.unsure.update(key for _, key, _ in made)
            wait_until(self._can_go_on, 60, "the load's switch to come back")
            return
        self.done += 1
        for flow, key, port in made:
            if command == "add":
                self.model[key] = (flow["cookie"], port)
                self.unsure.discard(key)
            elif command == "delete_strict":
                self.model.pop(key, None)
                self.unsure.discard(key)
            elif key in self.model:
                self.model[key] = (self.model[key][0], port)


def card_version(actions):
    """The version in the postcard of a rule of the switch, or None."""
    found = re.search(r"set_field:0x([0-9a-f]+)->tun_metadata63", actions)
    if not found:
        return None
    return int(found.group(1).zfill(40)[24:32], 16)


class Campaign:
    """Rounds of killing on one lab."""

    def __init__(self, lab, seed, of_version="1.3", standby=False):
        self.lab = lab
        self.seed = seed
        self.of_version = of_version
        self.options = ["--standby"] if standby else []
        self.random = random.Random(seed)
        self.recorder = self.controller = self.standby = None
        self.load = Load(seed, dpid=1)
        self.n = 0
        self.bearers = {}   # Version -> what it named, over all rounds.
        self.highest = 0    # In the switch when the log was last lost.

    def start(self):
        """Makes the network and begins the load."""
        self.lab.add_bridge("s1")
        self.lab.add_host("h1", "s1", "10.0.0.1/24")
        self.lab.add_host("h2", "s1", "10.0.0.2/24")
        self.lab.add_collector()
        self.lab.start()
        self._start_controller()
        self.recorder = Recorder(self.lab, f"geneve:{UNDER_COLLECTOR}",
                                 options=self.options)
        self.recorder.start()
        if self.options:
            self._start_standby()
        self.lab.set_controller(self.recorder.target)
        self._settle()
        self.load.start()
        self.load.resume(self.lab)

    def _start_controller(self):
        self.controller = start_controller(self.lab,
                                           of_version=self.of_version)

    def _settle(self):
        self.recorder.wait_ready(60).wait_controller(self.controller, 60)

    def round(self, victim=None):
        """Kills, starts again and checks."""
        self.n += 1
        victim = victim or self.random.choice(VICTIMS)
        goal = self.load.done + self.random.randrange(1, 40)
        wait_until(lambda: self.load.done >= goal or self.load.failed, 60,
                   "the load to go on")
        getattr(self, "_kill_" + victim)()
        self._settle()
        self.load.pause()
        if self.load.failed:
            raise self.load.failed
        try:
            self._check(victim)
        except AssertionError as error:
            raise AssertionError(f"seed {self.seed}, round {self.n}, "
                                 f"{victim} killed: {error}") from error
        self.load.resume(self.lab)
        return victim

    def end(self):
        """Ends the load."""
        self.load.end()

    def _start_standby(self):
        self.standby = self.recorder.spawn().wait_for("standing by")

    def _kill_recorder(self):
        self.recorder.process.kill()
        if not self.options:
            self.recorder.start()
            return
        self.recorder.process = self.standby.wait_for("taking over")
        self._start_standby()

    def _kill_log(self):
        """The recorder and all it wrote."""
        self.recorder.process.kill()
        self.load.pause()
        shutil.rmtree(f"{self.lab.dir}/state")
        found = [rule["version"] for rule in self._in_switch().values()]
        self.highest = max((v for v in found if v is not None), default=0)
        self.bearers.clear()    # Versions that stood nowhere may come again.
        self.recorder.start()
        self.load.resume(self.lab)

    def _kill_controller(self):
        self.lab.process("controller").kill()
        self.load.pause()
        self.controller.close()
        self._start_controller()
        self.load.resume(self.lab)

    def _kill_switch(self):
        self.lab.process("ovs-vswitchd").kill()
        self.load.pause()
        wait_until(lambda: self.controller.call("switches")["switches"] == [],
                   20, "the controller to miss the switch")
        self.lab.start_vswitchd()
        self.load.model.clear()
        self.load.unsure.clear()

    # --- what must hold ----------------------------------------------------

    def _check(self, victim):
        seen = self._seen_by_controller()
        switch = self._in_switch()
        log = self._in_log()
        assert sorted(seen) == sorted(switch), \
            f"controller {sorted(seen)}, switch {sorted(switch)}"
        assert sorted(log) == sorted(switch), \
            f"log {sorted(log)}, switch {sorted(switch)}"
        for cookie, rule in switch.items():
            if rule["version"] is not None:
                assert rule["version"] == log[cookie]["version"], \
                    pretty([rule, log[cookie]])
            assert rule["key"] == log[cookie]["key"] == seen[cookie]["key"], \
                pretty([rule, log[cookie], seen[cookie]])
            assert seen[cookie]["port"] == log[cookie]["port"], \
                pretty([seen[cookie], log[cookie]])
        self._check_versions(log)
        self._check_model(seen, victim)

    def _check_versions(self, log):
        versions = [rule["version"] for rule in log.values()]
        assert len(set(versions)) == len(versions), sorted(versions)
        assert not versions or min(versions) > self.highest, \
            f"{min(versions)} although the switch had {self.highest}"
        for cookie, rule in log.items():
            name = self.bearers.setdefault(
                rule["version"], (cookie, rule["key"], rule["port"]))
            assert name == (cookie, rule["key"], rule["port"]), \
                f"version {rule['version']} was {name}, is {rule}"
        counters = self.recorder.stats()["flow_log"]
        assert counters["lost"] == counters["duplicates"] == 0, counters
        if versions:
            newest = max(versions)
            then = self._in_log(version=newest)
            assert any(rule["version"] == newest for rule in then.values())

    def _check_model(self, seen, victim):
        standing = {rule["key"]: (cookie, rule["port"])
                    for cookie, rule in seen.items()}
        for key, expected in self.load.model.items():
            if key not in self.load.unsure:
                assert standing.get(key) == expected, \
                    f"acknowledged {key} {expected}, is {standing.get(key)}"
        for key in standing:
            assert key in self.load.model or key in self.load.unsure, \
                f"{key} was never acknowledged and stands"
        # From here on it is known.
        self.load.model = dict(standing)
        self.load.unsure.clear()

    def _seen_by_controller(self):
        rules = {}
        for flow in self.controller.call("flows", dpid=1)["flows"]:
            fields = {f["OXMTlv"]["field"]: f["OXMTlv"]["value"]
                      for f in flow["match"]["OFPMatch"]["oxm_fields"]}
            ports = [a["OFPActionOutput"]["port"]
                     for i in flow["instructions"]
                     for a in i.get("OFPInstructionActions",
                                    {}).get("actions", [])]
            rules[flow["cookie"]] = {
                "key": (flow["table_id"], flow["priority"],
                        int(fields["ipv4_dst"].split(".")[3])),
                "port": ports[0] if ports else 0}
        return rules

    def _in_switch(self):
        rules, versions = {}, []
        dump = self.lab.ofctl("dump-flows", "s1", "--no-stats")
        for line in dump.splitlines():
            # --no-stats omits a table of 0 and a cookie of 0.
            head, _, actions = line.strip().partition(" actions=")
            found = re.search(r"cookie=(0x[0-9a-f]+)", head)
            if not found or (int(found.group(1), 16) & ~0xff) == OWN_COOKIE:
                continue
            table = re.search(r"table=(\d+)", head)
            version = card_version(actions)
            rules[int(found.group(1), 16)] = {
                "key": (int(table.group(1)) if table else 0,
                        int(re.search(r"priority=(\d+)", head).group(1)),
                        int(re.search(r"nw_dst=10\.0\.0\.(\d+)",
                                      head).group(1))),
                "version": version}
            if version is not None:
                versions.append(version)
        assert len(set(versions)) == len(versions), sorted(versions)
        return rules

    def _in_log(self, **at):
        rules = {}
        for rule in self.recorder.table(1, **at):
            if rule["kind"] != "flow":
                continue
            port = re.search(r"output:(\d+)", rule["actions"])
            rules[int(rule["cookie"], 16)] = {
                "key": (rule["table"], rule["priority"],
                        int(re.search(r"nw_dst=10\.0\.0\.(\d+)",
                                      rule["match"]).group(1))),
                "port": int(port.group(1)) if port else 0,
                "version": rule["version"]}
        return rules


def main():
    """A long run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--journal", help="file of the rounds that are done")
    arguments = parser.parse_args()
    done = 0
    if arguments.journal and os.path.exists(arguments.journal):
        with open(arguments.journal, encoding="utf-8") as journal:
            lines = [json.loads(line) for line in journal]
        done = sum(1 for line in lines if line["seed"] == arguments.seed)
    with Lab() as lab:
        campaign = Campaign(lab, arguments.seed + done)
        campaign.start()
        for n in range(done, arguments.rounds):
            victim = campaign.round()
            print(f"round {n + 1} of {arguments.rounds}: {victim} killed, "
                  f"{len(campaign.load.model)} rules, "
                  f"{campaign.load.done} batches so far", flush=True)
            if arguments.journal:
                with open(arguments.journal, "a",
                          encoding="utf-8") as journal:
                    journal.write(json.dumps(
                        {"seed": arguments.seed, "round": n + 1,
                         "victim": victim}) + "\n")
        campaign.end()
    if arguments.journal:
        os.unlink(arguments.journal)


if __name__ == "__main__":
    sys.exit(main())
