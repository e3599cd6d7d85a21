# SPDX-License-Identifier: Apache-2.0
# docs/: the manuals are installed by the part they describe.

EXTRA_DIST += \
	docs/api.md \
	docs/assembly.md \
	docs/cluster.md \
	docs/counters.md \
	docs/datapath.md \
	docs/decisions \
	docs/formats \
	docs/glossary.md \
	docs/instrumentation.md \
	docs/limits.md \
	docs/metrics.md \
	docs/ovn.md \
	docs/performance.md \
	docs/cluster-sizing.md \
	docs/roofline.md \
	docs/phf.md \
	docs/reliability.md \
	docs/man
