# SPDX-License-Identifier: Apache-2.0
# tests/net/
