# SPDX-License-Identifier: Apache-2.0
# tests/gen/

check_PROGRAMS += tests/gen/test_gen
TESTS += tests/gen/test_gen
tests_gen_test_gen_SOURCES = tests/gen/test_gen.c \
	gen/gen_options.c gen/gen_options.h
tests_gen_test_gen_LDADD = $(GEN_LIBS) $(TEST_LIBS)

TESTS += tests/gen/test_truth.py
EXTRA_DIST += tests/gen/test_truth.py
