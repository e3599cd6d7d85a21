# SPDX-License-Identifier: Apache-2.0
# tests/lib/

# frame: packets for tests.
FRAME = tests/lib/frame.c tests/lib/frame.h

check_PROGRAMS += tests/lib/test_bytes
TESTS += tests/lib/test_bytes
tests_lib_test_bytes_SOURCES = tests/lib/test_bytes.c
tests_lib_test_bytes_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_hdr
TESTS += tests/lib/test_hdr
tests_lib_test_hdr_SOURCES = tests/lib/test_hdr.c $(FRAME)
tests_lib_test_hdr_LDADD = $(LIB_LIBS) $(TEST_LIBS)
