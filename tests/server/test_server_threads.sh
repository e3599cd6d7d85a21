#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What lasthop-server promises with one thread it keeps with several.
set -eu
for test in test_server_live test_server_clients test_server_recorder \
    test_server_read; do
    LASTHOP_TEST_THREADS=3 "tests/server/$test"
done
