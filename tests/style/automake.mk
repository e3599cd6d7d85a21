# SPDX-License-Identifier: Apache-2.0
# tests/style/: how the source looks.  Each check takes a tree as its argument
# and prints FILE:LINE: what is wrong; check_checks.sh checks the checks.

style_checks = \
	tests/style/check_length.sh \
	tests/style/check_spdx.sh \
	tests/style/check_format.sh \
	tests/style/check_words.sh \
	tests/style/check_manuals.sh \
	tests/style/check_options.sh \
	tests/style/check_parsed.sh \
	tests/style/check_layers.py \
	tests/style/check_report.sh \
	tests/style/check_bench.sh \
	tests/style/check_checks.sh

# The sanitizers see programs, not the source.
if !SANITIZERS
TESTS += $(style_checks)
endif
EXTRA_DIST += $(style_checks) tests/style/files.sh tests/style/layers \
	tests/style/others_options tests/style/words
