# SPDX-License-Identifier: Apache-2.0
# What a cluster archives is what was acknowledged at its doors, whatever
# befalls it: some rounds of cluster_campaign.py, of which `./quickstart soak`
# runs many.

from cluster import is_nats_old
from cluster_campaign import Campaign

ROUNDS = [
    [("b", "kill", 0.3, 1.5), ("c", "stop", 0.4, 2.2)],
    [("nats", "kill", 0.2, 0.6), ("a", "disk", 0.1, 1.2)],
    [("a", "cut", 0.2, 2.0), ("b", "clock", 0.2, 1.0, -3600),
     ("c", "leave", 0.3, 0.5)],
]

# With copies in NATS.
ROUNDS_OF_THREE = [
    [("nats1", "restart", 1.5, 0), ("a", "kill", 1.7, 0.3)],
]


def run_rounds(tmp_path, rounds, **options):
    """One cluster to which all that happens."""
    campaign = Campaign(tmp_path, seed=1, life=len(rounds), **options)
    try:
        for faults in rounds:
            campaign.round(faults)
        said = campaign.cluster["a"].process.output()
        campaign.end()
    finally:
        campaign.close()
    assert campaign.n_archived > 200
    return said


def test_what_is_acknowledged_is_archived_once(tmp_path):
    run_rounds(tmp_path, ROUNDS, n_servers=3, n_nats=1)


def test_with_three_nats_servers(tmp_path):
    said = run_rounds(tmp_path, ROUNDS_OF_THREE, n_servers=2, n_nats=3)
    assert ("messages are removed one by one" in said) == is_nats_old()
