# SPDX-License-Identifier: Apache-2.0
# docs/

EXTRA_DIST += docs/formats/packet-id.md
EXTRA_DIST += docs/limits.md
EXTRA_DIST += docs/formats/rule.md
EXTRA_DIST += docs/formats/postcard-geneve.md
EXTRA_DIST += docs/formats/postcard-mac.md
EXTRA_DIST += docs/formats/archive.md
EXTRA_DIST += docs/api.md
EXTRA_DIST += docs/glossary.md
EXTRA_DIST += docs/formats/history.md
EXTRA_DIST += docs/formats/topology.md
EXTRA_DIST += docs/counters.md docs/decisions/server-refuses-strangers.md docs/decisions/archive-of-rounds.md
EXTRA_DIST += docs/formats/flow-log.md docs/formats/lldp.md
EXTRA_DIST += docs/decisions/recorder-log-in-the-event-loop.md
EXTRA_DIST += docs/assembly.md docs/decisions/assembly-fragments.md
EXTRA_DIST += docs/instrumentation.md
