# SPDX-License-Identifier: Apache-2.0
# tests/gen/

TESTS += tests/gen/test_truth.py
EXTRA_DIST += tests/gen/test_truth.py
