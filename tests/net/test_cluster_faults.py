# SPDX-License-Identifier: Apache-2.0
# What a cluster archives is what was acknowledged at its doors, whatever
# befalls it: some rounds of cluster_campaign.py, of which `./quickstart soak`
# runs many.

import pytest

from cluster_campaign import Campaign

ROUNDS = [
    [("b", "kill", 0.3, 1.5), ("c", "stop", 0.4, 2.2)],
    [("nats", "kill", 0.2, 0.6), ("a", "disk", 0.1, 1.2)],
    [("a", "cut", 0.2, 2.0), ("b", "clock", 0.2, 1.0, -3600),
     ("c", "leave", 0.3, 0.5)],
]


@pytest.fixture(name="campaign")
def campaign_fixture(tmp_path):
    """One cluster of three."""
    campaign = Campaign(tmp_path, seed=1, n_servers=3, life=len(ROUNDS))
    yield campaign
    campaign.close()


def test_what_is_acknowledged_is_archived_once(campaign):
    for faults in ROUNDS:
        campaign.round(faults)
    campaign.end()
    assert campaign.n_archived > 500
