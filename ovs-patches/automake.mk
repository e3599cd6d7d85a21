# SPDX-License-Identifier: Apache-2.0
# ovs-patches/: what makes Open vSwitch tell of packets itself.

EXTRA_DIST += ovs-patches/README.md ovs-patches/series \
	ovs-patches/0001-openflow-action.patch \
	ovs-patches/0002-lasthop-observe.patch \
	ovs-patches/0003-lasthop-ring.patch \
	ovs-patches/0004-lasthop-config.patch \
	ovs-patches/0005-translation.patch \
	ovs-patches/0006-tests.patch
