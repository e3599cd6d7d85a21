# SPDX-License-Identifier: Apache-2.0
# Recorder, controller and switch killed while rules change.

import pytest

from kill_campaign import VICTIMS, Campaign


@pytest.mark.parametrize("seed", [1, 2])
def test_tables_are_equal_after_each_kill(lab, seed):
    campaign = Campaign(lab, seed)
    campaign.start()
    for victim in VICTIMS:
        campaign.round(victim)
    campaign.round("recorder")
    campaign.end()


def test_standby_takes_over(lab):
    campaign = Campaign(lab, 3, standby=True)
    campaign.start()
    for _ in range(3):
        campaign.round("recorder")
    assert campaign.recorder.process.stop() == 0    # Its standby goes on.
    campaign.recorder.process = campaign.standby.wait_for("taking over")
    campaign.end()
