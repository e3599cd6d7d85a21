# SPDX-License-Identifier: Apache-2.0
# tests/: a part per folder under test.  Unit tests are Check programs in
# check_PROGRAMS and TESTS; fuzz targets go to fuzz_targets, each with its
# corpus in tests/corpus/NAME/.

include tests/api/automake.mk
include tests/lib/automake.mk
include tests/phf/automake.mk
include tests/server/automake.mk
include tests/recorder/automake.mk
include tests/agent/automake.mk
include tests/gen/automake.mk
include tests/apps/automake.mk
include tests/net/automake.mk
include tests/style/automake.mk
include tests/fuzz/automake.mk

TEST_LIBS = $(CHECK_LIBS)

# What the scripts among TESTS are told about this build.
AM_TESTS_ENVIRONMENT = \
	FUZZ_TARGETS='$(fuzz_targets)'; export FUZZ_TARGETS; \
	LH_PROGRAMS='$(bin_PROGRAMS) $(sbin_PROGRAMS)'; export LH_PROGRAMS; \
	LH_MANUALS='$(man1_MANS) $(man3_MANS) $(man5_MANS) $(man7_MANS) $(man8_MANS)'; \
	export LH_MANUALS; \
	LH_SANITIZE='$(LH_SANITIZE)'; export LH_SANITIZE;
check_PROGRAMS += $(fuzz_targets)

# The tests of what several threads may use at once, for --enable-tsan: the
# others have nothing that the thread sanitizer looks at.
threaded_tests = \
	tests/lib/test_archive_merge \
	tests/lib/test_archive_part \
	tests/lib/test_bus \
	tests/lib/test_crew \
	tests/lib/test_flow_log \
	tests/lib/test_flow_log_disk \
	tests/lib/test_flow_log_states \
	tests/lib/test_rule \
	tests/lib/test_say \
	tests/lib/test_topology \
	tests/phf/test_query \
	tests/phf/test_query_job \
	tests/recorder/test_past_worker \
	tests/server/test_live_threads \
	tests/server/test_pipeline_threads \
	tests/server/test_loss_ledger \
	tests/server/test_stored_filters

check-threads: $(threaded_tests)
	$(MAKE) check-TESTS TESTS='$(threaded_tests)'
.PHONY: check-threads
