# SPDX-License-Identifier: Apache-2.0
# tests/phf/

check_PROGRAMS += tests/phf/test_phf_compile
TESTS += tests/phf/test_phf_compile
tests_phf_test_phf_compile_SOURCES = tests/phf/test_phf_compile.c
tests_phf_test_phf_compile_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_phf_match
TESTS += tests/phf/test_phf_match
tests_phf_test_phf_match_SOURCES = tests/phf/test_phf_match.c \
	tests/phf/sketch.c tests/phf/sketch.h
tests_phf_test_phf_match_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_phf_naive
TESTS += tests/phf/test_phf_naive
tests_phf_test_phf_naive_SOURCES = tests/phf/test_phf_naive.c \
	tests/phf/naive.c tests/phf/naive.h
tests_phf_test_phf_naive_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_phf_set
TESTS += tests/phf/test_phf_set
tests_phf_test_phf_set_SOURCES = tests/phf/test_phf_set.c \
	tests/phf/sketch.c tests/phf/sketch.h
tests_phf_test_phf_set_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_bpf_machine
TESTS += tests/phf/test_bpf_machine
tests_phf_test_bpf_machine_SOURCES = tests/phf/test_bpf_machine.c \
	tests/phf/random_bpf.c tests/phf/random_bpf.h
tests_phf_test_bpf_machine_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_bpf_keys
TESTS += tests/phf/test_bpf_keys
tests_phf_test_bpf_keys_SOURCES = tests/phf/test_bpf_keys.c \
	tests/phf/random_bpf.c tests/phf/random_bpf.h
tests_phf_test_bpf_keys_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_key_map
TESTS += tests/phf/test_key_map
tests_phf_test_key_map_SOURCES = tests/phf/test_key_map.c
tests_phf_test_key_map_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_bpf_words
TESTS += tests/phf/test_bpf_words
tests_phf_test_bpf_words_SOURCES = tests/phf/test_bpf_words.c
tests_phf_test_bpf_words_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_query
TESTS += tests/phf/test_query
tests_phf_test_query_SOURCES = tests/phf/test_query.c $(ARCHIVE_FIXTURE)
tests_phf_test_query_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_query_columns
TESTS += tests/phf/test_query_columns
tests_phf_test_query_columns_SOURCES = tests/phf/test_query_columns.c \
	tests/lib/archive_fixture.c tests/lib/archive_fixture.h $(FLOW_FIXTURE)
tests_phf_test_query_columns_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_query_job
TESTS += tests/phf/test_query_job
tests_phf_test_query_job_SOURCES = tests/phf/test_query_job.c $(FLOW_BLOCK)
tests_phf_test_query_job_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_block_sieve
TESTS += tests/phf/test_block_sieve
tests_phf_test_block_sieve_SOURCES = tests/phf/test_block_sieve.c $(FLOW_BLOCK)
tests_phf_test_block_sieve_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_flow_sieve
TESTS += tests/phf/test_flow_sieve
tests_phf_test_flow_sieve_SOURCES = tests/phf/test_flow_sieve.c $(FLOW_BLOCK)
tests_phf_test_flow_sieve_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_bpf_demands
TESTS += tests/phf/test_bpf_demands
tests_phf_test_bpf_demands_SOURCES = tests/phf/test_bpf_demands.c
tests_phf_test_bpf_demands_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_profile
TESTS += tests/phf/test_profile
tests_phf_test_profile_SOURCES = tests/phf/test_profile.c \
	tests/lib/archive_fixture.c tests/lib/archive_fixture.h $(FLOW_FIXTURE)
tests_phf_test_profile_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_query_copies
TESTS += tests/phf/test_query_copies
tests_phf_test_query_copies_SOURCES = tests/phf/test_query_copies.c \
	$(ARCHIVE_FIXTURE)
tests_phf_test_query_copies_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_profile_shards
TESTS += tests/phf/test_profile_shards
tests_phf_test_profile_shards_SOURCES = tests/phf/test_profile_shards.c \
	tests/lib/archive_fixture.c tests/lib/archive_fixture.h $(FLOW_FIXTURE)
tests_phf_test_profile_shards_LDADD = $(PHF_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/phf/test_profile_sums
TESTS += tests/phf/test_profile_sums
tests_phf_test_profile_sums_SOURCES = tests/phf/test_profile_sums.c \
	tests/lib/archive_fixture.c tests/lib/archive_fixture.h $(FLOW_FIXTURE)
tests_phf_test_profile_sums_LDADD = $(PHF_LIBS) $(TEST_LIBS)
