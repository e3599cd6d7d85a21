# SPDX-License-Identifier: Apache-2.0
# tests/apps/

TESTS += tests/apps/test_phfc.sh
EXTRA_DIST += tests/apps/test_phfc.sh

check_PROGRAMS += tests/apps/ndb_fixture
tests_apps_ndb_fixture_SOURCES = tests/apps/ndb_fixture.c \
	tests/lib/sample_history.c tests/lib/sample_history.h $(FRAME)
tests_apps_ndb_fixture_LDADD = $(PHF_LIBS)

TESTS += tests/apps/test_ndb.sh
EXTRA_DIST += tests/apps/test_ndb.sh tests/apps/ndb

TESTS += tests/apps/test_netshark.sh
EXTRA_DIST += tests/apps/test_netshark.sh tests/apps/netshark

check_PROGRAMS += tests/apps/test_invariant
TESTS += tests/apps/test_invariant
tests_apps_test_invariant_SOURCES = tests/apps/test_invariant.c \
	tests/lib/sample_history.c tests/lib/sample_history.h $(FRAME)
tests_apps_test_invariant_LDADD = $(NETWATCH_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/apps/test_alarm_board
TESTS += tests/apps/test_alarm_board
tests_apps_test_alarm_board_SOURCES = tests/apps/test_alarm_board.c
tests_apps_test_alarm_board_LDADD = $(NETWATCH_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/apps/test_alert_command
TESTS += tests/apps/test_alert_command
tests_apps_test_alert_command_SOURCES = tests/apps/test_alert_command.c
tests_apps_test_alert_command_LDADD = $(NETWATCH_LIBS) $(TEST_LIBS)

TESTS += tests/apps/test_netwatch.sh
EXTRA_DIST += tests/apps/test_netwatch.sh tests/apps/netwatch

TESTS += tests/apps/test_bad_input.sh
EXTRA_DIST += tests/apps/test_bad_input.sh

TESTS += tests/apps/test_frame.sh
EXTRA_DIST += tests/apps/test_frame.sh

TESTS += tests/apps/test_ndb_prompt.py
EXTRA_DIST += tests/apps/test_ndb_prompt.py tests/apps/ndb_leaks

TESTS += tests/apps/test_ndb_screen.py tests/apps/test_ndb_manual.py
EXTRA_DIST += tests/apps/test_ndb_screen.py tests/apps/test_ndb_manual.py

TESTS += tests/apps/check_completion.sh tests/apps/test_zsh.py
EXTRA_DIST += tests/apps/check_completion.sh tests/apps/test_zsh.py

check_PROGRAMS += tests/apps/test_archive_ctl
TESTS += tests/apps/test_archive_ctl
tests_apps_test_archive_ctl_SOURCES = tests/apps/test_archive_ctl.c \
	$(ARCHIVE_FIXTURE)
tests_apps_test_archive_ctl_LDADD = $(LIB_LIBS) $(TEST_LIBS)

TESTS += tests/apps/test_nprof.sh
EXTRA_DIST += tests/apps/test_nprof.sh tests/apps/nprof

check_PROGRAMS += tests/apps/test_packet_fields
TESTS += tests/apps/test_packet_fields
tests_apps_test_packet_fields_SOURCES = tests/apps/test_packet_fields.c \
	apps/packet_fields.c apps/packet_fields.h $(FRAME)
tests_apps_test_packet_fields_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/apps/test_cluster_size
TESTS += tests/apps/test_cluster_size
tests_apps_test_cluster_size_SOURCES = tests/apps/test_cluster_size.c \
	apps/cluster_size.c apps/cluster_size.h
tests_apps_test_cluster_size_LDADD = $(LIB_LIBS) $(TEST_LIBS) -lm

TESTS += tests/apps/test_size.sh
EXTRA_DIST += tests/apps/test_size.sh
