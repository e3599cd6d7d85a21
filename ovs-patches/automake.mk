# SPDX-License-Identifier: Apache-2.0
# ovs-patches/: what makes Open vSwitch tell of packets itself.

EXTRA_DIST += ovs-patches/README.md ovs-patches/series \
	ovs-patches/0001-openflow-action.patch
