# SPDX-License-Identifier: Apache-2.0
# A disk that does not answer: the control channel goes on, it is said, and
# nothing is lost when the disk comes back; a recorder killed meanwhile says at
# the next start what is unknown.

import sqlite3
import subprocess

from lab import UNDER_COLLECTOR, bindir
from process import wait_until
from recorder import Recorder, start_controller
from test_recorder_gone import is_written


def rule(cookie):
    """A flow-mod of its own."""
    return {"priority": 10, "cookie": cookie,
            "match": {"dl_type": 0x0800, "nw_dst": f"10.1.0.{cookie}"},
            "actions": [{"type": "OUTPUT", "port": 1}]}


def block(lab):
    """Nobody can write to the log until what this returns is closed."""
    lock = sqlite3.connect(f"{lab.dir}/state/flow.db", isolation_level=None,
                           timeout=20)
    lock.execute("BEGIN EXCLUSIVE")
    return lock


def status(lab, *options):
    """What `lasthopctl status` prints."""
    return subprocess.run([f"{bindir()}/lasthopctl", f"--rundir={lab.dir}",
                           "status", *options], capture_output=True, text=True,
                          timeout=20, check=False).stdout


def logged(recorder):
    """Cookies of the rules in the recorder's table."""
    return sorted(int(str(r["cookie"]), 0) for r in recorder.table(1)
                  if r["kind"] == "flow")


def test_a_stalled_disk_holds_nothing_up_and_is_told(lab):
    lab.add_bridge("s1")
    lab.add_host("h1", "s1", "10.0.0.1/24")
    lab.add_collector()
    lab.start()
    controller = start_controller(lab)
    recorder = Recorder(lab, "geneve:" + UNDER_COLLECTOR).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready().wait_controller(controller)
    assert not controller.call("flow", dpid=1, flow=rule(1))["errors"]
    wait_until(lambda: is_written(recorder), what="the log to be written")

    lock = block(lab)
    for cookie in range(2, 50):     # Each waits for its barrier.
        assert not controller.call("flow", dpid=1, flow=rule(cookie))["errors"]
    recorder.process.wait_for("the flow log is", deadline=30)
    log = recorder.stats()["flow_log"]
    assert log["queued"] >= 48 and log["age_ns"] > 0 and log["late"] == 1
    assert "behind" in status(lab)
    assert logged(recorder) == list(range(1, 50)), "what waits is known too"
    lock.close()
    recorder.process.wait_for("the flow log has caught up", deadline=30)
    assert "behind" not in status(lab)
    log = recorder.stats()["flow_log"]
    assert log["lost"] == 0 and log["queued"] == 0
    recorder.process.kill()
    recorder.start().wait_ready()
    assert logged(recorder) == list(range(1, 50)), "nothing was lost"

    lock = block(lab)
    recorder.wait_controller(controller)
    for cookie in range(50, 60):
        assert not controller.call("flow", dpid=1, flow=rule(cookie))["errors"]
    recorder.process.kill()
    lock.close()
    recorder.start()
    recorder.process.wait_for("did not end in order", deadline=30)
    recorder.wait_ready()
    assert logged(recorder) == list(range(1, 60)), "found in the switch"
    with recorder.api() as api:
        changes = str(api.call("changes", dpid=1))
    assert "found" in changes
