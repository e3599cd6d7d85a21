# SPDX-License-Identifier: Apache-2.0
# apps/: what people run.

# phfc: checks, explains and applies packet history filters.
bin_PROGRAMS += bin/phfc
bin_phfc_SOURCES = apps/phfc.c
bin_phfc_LDADD = $(PHF_LIBS)
man1_MANS += docs/man/phfc.1

# ndb: the debugger.
bin_PROGRAMS += bin/ndb
bin_ndb_SOURCES = \
	apps/ndb.c apps/ndb.h \
	apps/ndb_archive.c \
	apps/ndb_commands.c apps/ndb_commands.h \
	apps/ndb_info.c \
	apps/ndb_interrupt.c apps/ndb_interrupt.h \
	apps/ndb_pager.c apps/ndb_pager.h \
	apps/ndb_past.c \
	apps/ndb_past_print.c apps/ndb_past_print.h \
	apps/ndb_print.c apps/ndb_print.h \
	apps/ndb_prompt.c apps/ndb_prompt.h \
	apps/ndb_run.c \
	apps/ndb_search.c \
	apps/ndb_server.c \
	apps/ndb_source.c apps/ndb_source.h
bin_ndb_LDADD = $(PHF_LIBS) $(EDIT_LIBS)
man1_MANS += docs/man/ndb.1

# lasthopctl: steers the recorder, looks after archives.
bin_PROGRAMS += bin/lasthopctl
bin_lasthopctl_SOURCES = \
	apps/lasthopctl.c apps/lasthopctl.h \
	apps/lasthopctl_archive.c \
	apps/lasthopctl_repair.c \
	apps/lasthopctl_status.c \
	apps/archive_survey.c apps/archive_survey.h
bin_lasthopctl_LDADD = $(LIB_LIBS)
man8_MANS += docs/man/lasthopctl.8
