# SPDX-License-Identifier: Apache-2.0
# Everything that may befall a cluster, at random moments under load.
"""
    cluster_campaign.py --seed 7 --rounds 100 [--journal FILE]

Each round sends numbered postcards to the servers at random rates while one to
three of them, or NATS servers, are killed, started again at once, stopped,
told to leave, cut off, made deaf or mute, without room on disk, or put forward
or back in time. Clusters have one NATS server, or three with a copy each of
what is under way. Then all is healed, and when nothing waits any more the
histories that a server finds, asking all, must be those of the postcards that
were acknowledged at the doors: none lost, none twice. After LIFE rounds the
servers end, the same must hold of their archives, and the next cluster begins.
Of a door that was killed it is known how many of its postcards had been
acknowledged a moment before; those after it may be there or not.

Seed and number of a round say what befalls whom, and when: --first N begins
with that round.  With --journal a run goes on where one was interrupted.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

from api import Api, ApiError
from cluster_net import ClusterNet
from numbered import datagram, number_of, numbers_of, write_network
from process import Failed, wait_until

LIFE = 5        # Rounds of a cluster.
DEADLINE = 120  # For a cluster to be well again.

# What may befall a server, and how often in comparison.
OF_SERVERS = {"kill": 4, "restart": 2, "leave": 2, "stop": 4, "cut": 3,
              "mute": 1, "deafen": 1, "disk": 3, "clock": 3}
OF_NATS = {"kill": 3, "restart": 2, "stop": 2, "cut": 2, "mute": 1,
           "deafen": 1, "disk": 1}
SEEN_S = 10     # A match is of packets that were seen so long before, at most.
SET_S = 2.5     # Until all servers know of a filter.
JUMPS = [-86400, -3600, -30, -2, -0.3, 0.3, 2, 30, 3600, 86400]


class Door(threading.Thread):
    """Sends numbers to a server at a rate, and knows what became of them."""

    numbers = iter(range(1 << 62))  # Of all doors.
    lock = threading.Lock()

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.rate = 0           # A second; 0: it waits.
        self.life = []          # Sent to the process that runs.
        self.sent = {}          # When.
        self.is_open = True
        self.is_starting = False
        self.certain = set()    # Acknowledged by processes that are no more.
        self.unsure = set()     # Sent to those, and perhaps acknowledged.
        self.random = random.Random()
        self._ends = False

    def run(self):
        due = time.monotonic()
        while not self._ends:
            rate = self.rate
            if not rate:
                time.sleep(0.01)
                due = time.monotonic()
                continue
            n = self.random.choice([1, 1, 2, 5, 20])
            self._send(n)
            due += n / rate
            time.sleep(max(0.0, due - time.monotonic()))

    def _send(self, n):
        with self.lock:
            if not self.is_open:
                return
            for _ in range(n):
                number = next(Door.numbers)
                self.life.append(number)
                self.sent[number] = time.time()
                self.server.send(datagram(number))

    def shut(self, settled):
        """Nothing is sent any more; all up to 'settled' is acknowledged."""
        with self.lock:
            self.is_open = False
            self.certain.update(self.life[:settled])
            self.unsure.update(self.life[settled:])
            self.life = []

    def open(self):
        """To the server's next process."""
        with self.lock:
            self.is_open = True
            self.is_starting = False

    def end(self):
        """Ends the thread."""
        self._ends = True
        self.join()

    def check(self):
        """All that was sent has been acknowledged."""
        if self.life:
            stats, status = self.server.stats(), self.server.status()
            known = {key: stats[key] for key in (
                "cluster_acknowledged", "cluster_waiting", "cluster_lost",
                "kernel_drops", "malformed")}
            assert status["settled"] == len(self.life) == \
                stats["cluster_acknowledged"], \
                f"door {self.server.name}: sent {len(self.life)}, " \
                f"settled {status['settled']}, {known}"


class Client(threading.Thread):
    """Follows all packets on a server, and connects again when it is gone."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.seen = {}      # Numbers, and how often.
        self.excuses = []   # (since, until) of what it was told it missed.
        self.too_slow = []  # Numbers of events left out, of times unknown.
        self.is_set = threading.Event()
        self.away = None    # Since when.
        self._ends = False

    def run(self):
        while not self._ends:
            try:
                with Api(f"{self.server.dir}/server.sock", deadline=1) as api:
                    self._follow(api)
            except (OSError, ValueError):
                # It is gone, and says so by that.
                self.is_set.clear()
                self.away = self.away or time.time()

    def _follow(self, api):
        api.call("trigger.add", phf=". *")
        if self.away:
            self.excuses.append((self.away - SEEN_S, time.time() + SET_S))
            self.away = None
        self.is_set.set()
        while not self._ends:
            try:
                event = api.event(0.2)
            except TimeoutError:
                continue
            if event["event"] == "history":
                number = number_of(event["history"])
                self.seen[number] = self.seen.get(number, 0) + 1
            elif event["event"] == "missed" and event["n"]:
                self.too_slow.append(event["n"])
            elif event["event"] == "missed":
                self.excuses.append((event["since_ns"] / 1e9,
                                     event["until_ns"] / 1e9))

    def not_told(self, numbers, has_jumped):
        """Of numbers and when they were sent, those that neither came nor
        were said to be missing."""
        excuses = [(0, 1e12)] if has_jumped and self.excuses else \
            list(self.excuses)
        lost = [n for n, sent in numbers.items() if n not in self.seen
                and not any(a <= sent <= b for a, b in excuses)]
        # Of those it is only known how many they are.
        return lost if len(lost) > sum(self.too_slow) else []

    def end(self):
        """Ends the thread."""
        self._ends = True
        self.join()


class Asker(threading.Thread):
    """Asks servers for everything, while all kinds of things befall them.
    What was archived in the rounds before is found, or it is said that
    somebody's answer is missing."""

    def __init__(self, cluster, seed, expected):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.random = random.Random(seed)
        self.expected = expected
        self.failed = None
        self.n = self.n_whole = self.n_partial = self.n_silent = 0
        self.longest = 0
        self._ends = threading.Event()

    def run(self):
        while not self._ends.wait(self.random.uniform(0.1, 0.8)):
            server = self.random.choice(list(self.cluster.servers.values()))
            self.n += 1
            began = time.monotonic()
            try:
                with Api(f"{server.dir}/server.sock", deadline=0.5) as api:
                    self._ask(server.name, api)
                    self.longest = max(self.longest,
                                       time.monotonic() - began)
            except (OSError, ValueError, ApiError):
                self.n_silent += 1

    def _ask(self, name, api):
        api.call("query", 3, phf=". *")
        found = set()
        while not self._ends.is_set():
            event = api.event(15)
            if event["event"] == "history":
                found.add(number_of(event["history"]))
            elif event["event"] == "end":
                break
        else:
            return
        if event.get("missing") or event["damaged"] or event["lost"]:
            self.n_partial += 1
            return
        self.n_whole += 1
        lost = self.expected - found
        if lost and not self.failed:
            self.failed = f"{name} says it found all, but {len(lost)} of " \
                f"{len(self.expected)} are missing: {sorted(lost)[:20]}"

    def end(self):
        """Ends the thread."""
        self._ends.set()
        self.join()
        assert not self.failed, self.failed


class Faults:
    """What befalls a cluster in a round, in the order of time."""

    def __init__(self, cluster, doors):
        self.cluster = cluster
        self.doors = doors
        self.plan = []      # Names, for people.
        self._steps = []    # (when, what is done).

    def draw(self, r, of_several):
        """Makes a plan; 'of_several': what befalls several NATS servers."""
        all_nats = list(self.cluster.nats)
        victims = [*self.cluster.servers, *(
            all_nats if of_several == "all" else [r.choice(all_nats)])]
        of_nats = dict(OF_NATS)
        if len(all_nats) > 1 and of_several == "one":
            # Of several, one, and not by its disk: docs/limits.md.
            del of_nats["disk"]
        for victim in r.sample(victims, min(len(victims),
                                            r.choice([1, 1, 2, 2, 3]))):
            kinds = of_nats if victim in self.cluster.nats else OF_SERVERS
            kind = r.choices(list(kinds), list(kinds.values()))[0]
            begins = r.uniform(0.2, 3.0)
            lasts = r.choice([r.uniform(0.05, 1.5), r.uniform(1.5, 6.0)])
            self.add(victim, kind, begins, lasts, r.choice(JUMPS))
        return self

    def add(self, victim, kind, begins, lasts, jump=0):
        """That befalls 'victim' in 'begins' seconds, for 'lasts'."""
        self.plan.append(f"{victim} {kind} {begins:.2f}+{lasts:.2f}" + (
            f" {jump:+g}" if kind == "clock" else ""))
        do, undo = self._of_nats(self.cluster.nats[victim], kind) \
            if victim in self.cluster.nats else \
            self._of_server(self.cluster[victim], kind, jump)
        self._steps += [(begins, do), (begins + lasts, undo)]

    @staticmethod
    def _of_both(victim, kind):
        return {
            "stop": (lambda: victim.process.signal(signal.SIGSTOP),
                     lambda: victim.process.signal(signal.SIGCONT)),
            "cut": (victim.cut, victim.join),
            "mute": (victim.mute, victim.unmute),
            "deafen": (victim.deafen, victim.undeafen),
            "disk": (victim.fill_disk, victim.free_disk),
        }.get(kind)

    def _of_nats(self, nats, kind):
        return {
            "kill": (nats.kill, nats.start),
            "restart": (nats.restart, lambda: None),
            # It gave up, and somebody sees to it.
            "disk": (nats.fill_disk,
                     lambda: (nats.free_disk(), nats.restart())),
        }.get(kind) or self._of_both(nats, kind)

    def _of_server(self, server, kind, jump):
        door = self.doors[server.name]
        return {
            "kill": (lambda: self._kill(server, door),
                     lambda: self._start(server, door)),
            "restart": (lambda: (self._kill(server, door),
                                 self._start(server, door)), lambda: None),
            "leave": (lambda: self._leave(server, door),
                      lambda: self._start(server, door)),
            "clock": (lambda: server.set_clock(jump),
                      lambda: server.set_clock(0)),
        }.get(kind) or self._of_both(server, kind)

    def _kill(self, server, door):
        settled = server.status()["settled"]
        assert server.stats()["kernel_drops"] == 0
        server.process.kill()
        door.shut(settled)

    def _start(self, server, door):
        if server.process.is_running():     # It is leaving still.
            server.process.kill()
        server.start()
        door.is_starting = True

    def _leave(self, server, door):
        """What was acknowledged before it went is known."""
        door.rate, rate = 0, door.rate
        settled = server.status()["settled"]
        server.process.signal(signal.SIGTERM)
        door.shut(settled)
        door.rate = rate

    def run(self, watch):
        """Lets it all happen; watch() is called in between."""
        began = time.monotonic()
        for when, what in sorted(self._steps, key=lambda step: step[0]):
            while time.monotonic() < began + when:
                watch()
                time.sleep(0.01)
            what()


class Campaign:
    """Rounds, on one cluster after the other."""

    def __init__(self, directory, seed, first=0, n_servers=None, life=LIFE,
                 n_nats=None, of_several="one"):
        self.dir = str(directory)
        self.seed = seed
        self.n = first
        self.life = life
        self.n_servers = n_servers
        self.n_nats = n_nats
        self.of_several = of_several
        self.cluster = None
        self.doors = {}
        self.known = set()      # Archived, of those that were unsure.
        self.found = set()      # In the last round's answer.
        self.client = None
        self.n_archived = 0
        self.began = 0          # The round, by the wall clock.

    # --- the cluster -------------------------------------------------------

    def start(self):
        """A new cluster, and doors to it."""
        r = random.Random(f"{self.seed} cluster {self.n // self.life}")
        directory = tempfile.mkdtemp(prefix="cluster-", dir=self.dir)
        n, n_nats = r.choice([2, 2, 3, 3, 5]), r.choice([1, 3])
        self.cluster = ClusterNet(directory, self.n_servers or n,
                                  *write_network(directory),
                                  n_nats=self.n_nats or n_nats)
        self.cluster.__enter__()
        self.cluster.start()
        self.known, self.found = set(), set()
        self.client = Client(r.choice(list(self.cluster.servers.values())))
        self.client.start()
        wait_until(self.client.is_set.is_set, 10, "a client's filter")
        time.sleep(SET_S)
        self.doors = {name: Door(server) for name, server in
                      self.cluster.servers.items()}
        for door in self.doors.values():
            door.start()

    def end(self):
        """Ends the cluster; its archives hold what they should."""
        for door in self.doors.values():
            door.end()
        self.client.end()
        try:
            self.cluster.stop()
            self._check(numbers_of(self.cluster.histories()), "archives")
        finally:
            self.close()

    def close(self):
        """At once, keeping what is there in 'dir'."""
        if self.cluster:
            self.cluster.__exit__(None, None, None)
            self.cluster = None

    # --- a round -----------------------------------------------------------

    def round(self, faults=None):
        """One round; returns what befell the cluster, and what came of it."""
        if not self.cluster:
            self.start()
        r = random.Random(f"{self.seed} round {self.n}")
        plan = Faults(self.cluster, self.doors)
        if faults:
            for fault in faults:
                plan.add(*fault)
        else:
            plan.draw(r, self.of_several)
        began = time.monotonic()
        self.began = time.time()
        self.n += 1
        try:
            return self._round(r, plan, began)
        except (AssertionError, Failed, OSError) as error:
            self.cluster.keep()
            raise AssertionError(
                f"seed {self.seed}, round {self.n} ({', '.join(plan.plan)}), "
                f"{self.cluster.dir}: {error!r}; {self._ends()}") from error

    def _ends(self):
        """Servers that are not there, and how they ended."""
        return {server.name: server.process.wait(0)
                for server in self.cluster.servers.values()
                if server.process and not server.process.is_running()}

    def _round(self, r, plan, began):
        self.client.too_slow.clear()
        for door in self.doors.values():
            door.random.seed(r.random())
            door.rate = r.choice([0, 20, 100, 300])
        next(iter(self.doors.values())).rate += 100
        asker = Asker(self.cluster, r.random(), self.found)
        asker.start()
        try:
            plan.run(self._watch)
        finally:
            asker.end()
        wait_until(self._are_open, DEADLINE, "all servers to be back")
        for door in self.doors.values():
            door.rate = 0
        healed = time.monotonic()
        self.cluster.wait_owned()
        self.cluster.wait_quiet()
        settled = time.monotonic()
        self._check(self._ask(r.choice(list(self.cluster.servers))), "answer")
        self._check_client(" clock " in " ".join(plan.plan))
        return {"servers": len(self.doors), "nats": len(self.cluster.nats),
                "faults": plan.plan,
                "histories": self.n_archived,
                "asked": asker.n, "whole": asker.n_whole,
                "partial": asker.n_partial,
                "answered_s": round(asker.longest, 1),
                "told": len(self.client.seen),
                "told_twice": sum(n > 1 for n in self.client.seen.values()),
                "missed": len(self.client.excuses),
                "too_slow": sum(self.client.too_slow),
                "healed_s": round(settled - healed, 1),
                "seconds": round(time.monotonic() - began, 1)}

    def _watch(self):
        """Opens doors of servers that are ready, and looks after ends that
        nobody wanted."""
        for door in self.doors.values():
            server = door.server
            if door.is_open:
                if not server.process.is_running():
                    raise Failed(f"{server.name} ended: "
                                 f"{server.process.output()[-2000:]}")
            elif door.is_starting and server.is_ready():
                door.open()

    def _are_open(self):
        self._watch()
        return all(door.is_open for door in self.doors.values())

    # --- what must hold ----------------------------------------------------

    def _ask(self, name):
        """Numbers of all histories, as a server finds them by asking all."""
        end = time.monotonic() + DEADLINE
        while True:
            found = []
            with self.cluster[name].api() as api:
                api.call("query", 60, phf=". *")
                event = api.event(60)
                while event["event"] != "end":
                    if event["event"] == "history":
                        found.append(number_of(event["history"]))
                    event = api.event(60)
            assert not event["damaged"] and not event["lost"], event
            if not event["missing"]:
                return sorted(found)
            # On a busy machine a server may seem dead for a moment.
            assert time.monotonic() < end, event
            time.sleep(0.2)

    def _check(self, found, where):
        for door in self.doors.values():
            if self.cluster.live():
                door.check()
        once = set(found)
        sent = set().union(*(d.life for d in self.doors.values()),
                           *(d.certain for d in self.doors.values()))
        unsure = set().union(*(d.unsure for d in self.doors.values()))
        twice = sorted({n for n in found if found.count(n) > 1}) \
            if len(once) != len(found) else []
        lost = sorted((sent | self.known) - once)
        strange = sorted(once - sent - unsure)
        counters = self._counters() if lost or twice or strange else None
        assert not lost and not twice and not strange, \
            f"{where}: of {len(sent)} acknowledged lost {len(lost)} " \
            f"{lost[:20]}, twice {len(twice)} {twice[:20]}, never sent " \
            f"{strange[:20]}; {self._of(lost[:5])}; {counters}"
        assert not any(s.stats()["cluster_broken"]
                       for s in self.cluster.live()), self._counters()
        self.known |= once & unsure
        self.found = once
        self.n_archived = len(once)

    def _check_client(self, has_jumped):
        """Its filter has fired for all, but for what it could have missed."""
        sent = {n: when for door in self.doors.values()
                for n, when in door.sent.items() if n in self.found}
        try:
            wait_until(lambda: not self.client.not_told(sent, has_jumped), 10)
        except Failed as error:
            lost = self.client.not_told(sent, has_jumped)
            raise AssertionError(
                f"client of {self.client.server.name}: {len(lost)} were not "
                f"told, nor said to be missing: "
                f"{[(n, sent[n]) for n in lost[:10]]}; excuses: "
                f"{self.client.excuses}, and {self.client.too_slow} for "
                f"which it was too slow") from error
        for door in self.doors.values():
            door.sent = {}

    def _of(self, numbers):
        """By which door they came, and when, after the round's begin."""
        return [(n, door.server.name, "certain" if n in door.certain else
                 f"{door.life.index(n)} of {len(door.life)}"
                 if n in door.life else "known",
                 round(door.sent.get(n, 0) - self.began, 2))
                for n in numbers for door in self.doors.values()
                if n in door.certain or n in door.life or n in door.unsure]

    def _counters(self):
        return {s.name: {key: value for key, value in s.stats().items()
                         if key.startswith("cluster_") and value}
                for s in self.cluster.live()}


def main():
    """A long run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0,
                        help="number of the first round")
    parser.add_argument("--servers", type=int, help="of each cluster")
    parser.add_argument("--nats", type=int,
                        help="NATS servers of each cluster: 1, 3 or 5; of "
                             "several one is befallen in a round")
    parser.add_argument("--of-several", choices=["one", "disk", "all"],
                        default="one",
                        help="of several NATS servers, in a round: one, but "
                             "not its disk (default); its disk, too; all, "
                             "and their disks")
    parser.add_argument("--journal", help="file of the rounds that are done")
    arguments = parser.parse_args()
    done = arguments.first
    if arguments.journal and os.path.exists(arguments.journal):
        with open(arguments.journal, encoding="utf-8") as journal:
            lines = [json.loads(line) for line in journal]
        done += sum(1 for line in lines if line["seed"] == arguments.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory = tempfile.mkdtemp(prefix="cluster-campaign-")
    campaign = Campaign(directory, arguments.seed, done, arguments.servers,
                        n_nats=arguments.nats,
                        of_several=arguments.of_several)
    try:
        while campaign.n < arguments.first + arguments.rounds:
            result = campaign.round()
            print(f"round {campaign.n}: {json.dumps(result)}", flush=True)
            if campaign.n % LIFE == 0 or \
                    campaign.n == arguments.first + arguments.rounds:
                campaign.end()
            if arguments.journal:
                with open(arguments.journal, "a",
                          encoding="utf-8") as journal:
                    journal.write(json.dumps(
                        {"seed": arguments.seed, "round": campaign.n,
                         **result}) + "\n")
    finally:
        campaign.close()
    shutil.rmtree(directory)
    if arguments.journal:
        os.unlink(arguments.journal)


if __name__ == "__main__":
    sys.exit(main())
