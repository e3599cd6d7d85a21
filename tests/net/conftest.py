# SPDX-License-Identifier: Apache-2.0
# Fixtures of the tests on real networks; they need root and Open vSwitch.
"""A test takes `lab`, declares its network and starts it."""

import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import Lab     # pylint: disable=wrong-import-position


def pytest_collection_modifyitems(items):
    """Skips everything where no network can be made."""
    if os.geteuid() != 0:
        reason = "needs root, for network namespaces"
    elif shutil.which("ovs-vswitchd", path="/usr/sbin") is None:
        reason = "needs openvswitch-switch"
    else:
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Lets fixtures see whether the test failed."""
    outcome = yield
    if outcome.get_result().failed:
        item.has_failed = True


@pytest.fixture
def lab(request):
    """A Lab that ends with the test, its logs kept if that failed."""
    with Lab() as network:
        yield network
        network.close(keep=getattr(request.node, "has_failed", False))
