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
