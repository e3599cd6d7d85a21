# SPDX-License-Identifier: Apache-2.0
# tests/apps/

TESTS += tests/apps/test_phfc.sh
EXTRA_DIST += tests/apps/test_phfc.sh
