# SPDX-License-Identifier: Apache-2.0
# apps/: what people run.

# The frame of all programs for people.
noinst_LIBRARIES += apps/libapp.a
apps_libapp_a_SOURCES = \
	apps/app.c apps/app.h \
	apps/app_arrivals.c apps/app_arrivals.h \
	apps/app_completion.c \
	apps/app_document.c apps/app_document.h \
	apps/app_follow.c apps/app_follow.h \
	apps/app_gap.c apps/app_gap.h \
	apps/app_interrupt.c apps/app_interrupt.h \
	apps/app_link.c apps/app_link.h \
	apps/app_names.c apps/app_names.h \
	apps/app_option.c apps/app_option.h \
	apps/app_pager.c apps/app_pager.h \
	apps/app_progress.c apps/app_progress.h \
	apps/app_query.c apps/app_query.h \
	apps/app_rules.c apps/app_rules.h \
	apps/app_setting.c apps/app_setting.h \
	apps/app_source.c apps/app_source.h \
	apps/app_source_archive.c \
	apps/app_source_server.c \
	apps/app_view.c apps/app_view.h
APP_LIBS = apps/libapp.a $(PHF_LIBS) $(TLS_LIBS)

# A program on the frame writes its own manual, of docs/man/NAME.1.in, and what
# completes its options in bash and zsh.
zshcompletiondir = $(datadir)/zsh/site-functions
nodist_zshcompletion_DATA =
app_generate = $(AM_V_GEN)$(MKDIR_P) $(@D) && umask 022 &&

# phfc: checks, explains and applies packet history filters.
bin_PROGRAMS += bin/phfc
bin_phfc_SOURCES = apps/phfc.c
bin_phfc_LDADD = $(APP_LIBS)
man1_MANS += docs/man/phfc.1
nodist_bashcompletion_DATA += completion/phfc
nodist_zshcompletion_DATA += completion/_phfc
docs/man/phfc.1: docs/man/phfc.1.in bin/phfc$(EXEEXT)
	$(app_generate) bin/phfc --generate manual $(srcdir)/docs/man/phfc.1.in \
		> $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/phfc: bin/phfc$(EXEEXT)
	$(app_generate) bin/phfc --generate bash > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/_phfc: bin/phfc$(EXEEXT)
	$(app_generate) bin/phfc --generate zsh > $@.tmp
	$(AM_V_at)mv $@.tmp $@

# ndb: the debugger.
bin_PROGRAMS += bin/ndb
bin_ndb_SOURCES = \
	apps/ndb.c apps/ndb.h \
	apps/ndb_args.c apps/ndb_args.h \
	apps/ndb_break.c apps/ndb_break.h \
	apps/ndb_commands.c apps/ndb_commands.h \
	apps/ndb_compare.c apps/ndb_compare.h \
	apps/ndb_completion.c apps/ndb_completion.h \
	apps/ndb_continue.c \
	apps/ndb_info.c \
	apps/ndb_ladder.c apps/ndb_ladder.h \
	apps/ndb_near.c apps/ndb_near.h \
	apps/ndb_packet.c apps/ndb_packet.h \
	apps/ndb_past.c \
	apps/ndb_past_print.c apps/ndb_past_print.h \
	apps/ndb_print.c apps/ndb_print.h \
	apps/ndb_prompt.c apps/ndb_prompt.h \
	apps/ndb_run.c \
	apps/ndb_script.c apps/ndb_script.h \
	apps/ndb_search.c \
	apps/packet_fields.c apps/packet_fields.h
bin_ndb_LDADD = $(APP_LIBS) $(EDIT_LIBS)
man1_MANS += docs/man/ndb.1
nodist_bashcompletion_DATA += completion/ndb
nodist_zshcompletion_DATA += completion/_ndb
docs/man/ndb.1: docs/man/ndb.1.in bin/ndb$(EXEEXT)
	$(app_generate) bin/ndb --generate manual $(srcdir)/docs/man/ndb.1.in \
		> $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/ndb: bin/ndb$(EXEEXT)
	$(app_generate) bin/ndb --generate bash > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/_ndb: bin/ndb$(EXEEXT)
	$(app_generate) bin/ndb --generate zsh > $@.tmp
	$(AM_V_at)mv $@.tmp $@

# netshark: packets by what happened to them, for people and for Wireshark.
bin_PROGRAMS += bin/netshark
bin_netshark_SOURCES = \
	apps/netshark.c apps/netshark.h \
	apps/netshark_capture.c \
	apps/netshark_fields.c \
	apps/netshark_text.c
bin_netshark_LDADD = $(APP_LIBS)
man1_MANS += docs/man/netshark.1
nodist_bashcompletion_DATA += completion/netshark
nodist_zshcompletion_DATA += completion/_netshark
docs/man/netshark.1: docs/man/netshark.1.in bin/netshark$(EXEEXT)
	$(app_generate) bin/netshark --generate manual $(srcdir)/docs/man/netshark.1.in \
		> $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/netshark: bin/netshark$(EXEEXT)
	$(app_generate) bin/netshark --generate bash > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/_netshark: bin/netshark$(EXEEXT)
	$(app_generate) bin/netshark --generate zsh > $@.tmp
	$(AM_V_at)mv $@.tmp $@

# netwatch: what must hold of all packets.
noinst_LIBRARIES += apps/libnetwatch.a
apps_libnetwatch_a_SOURCES = \
	apps/alarm_board.c apps/alarm_board.h \
	apps/alert_command.c apps/alert_command.h \
	apps/invariant.c apps/invariant.h \
	apps/invariant_file.c apps/invariant_file.h \
	apps/invariant_lexer.c apps/invariant_lexer.h \
	apps/invariant_line.c apps/invariant_line.h \
	apps/invariant_members.c apps/invariant_members.h \
	apps/invariant_phf.c apps/invariant_phf.h \
	apps/pf_terms.c apps/pf_terms.h
NETWATCH_LIBS = apps/libnetwatch.a $(APP_LIBS)
bin_PROGRAMS += bin/netwatch
bin_netwatch_SOURCES = \
	apps/netwatch.c apps/netwatch.h \
	apps/netwatch_init.c \
	apps/netwatch_live.c \
	apps/netwatch_past.c \
	apps/netwatch_report.c
bin_netwatch_LDADD = $(NETWATCH_LIBS)
man1_MANS += docs/man/netwatch.1
nodist_bashcompletion_DATA += completion/netwatch
nodist_zshcompletion_DATA += completion/_netwatch
docs/man/netwatch.1: docs/man/netwatch.1.in bin/netwatch$(EXEEXT)
	$(app_generate) bin/netwatch --generate manual $(srcdir)/docs/man/netwatch.1.in \
		> $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/netwatch: bin/netwatch$(EXEEXT)
	$(app_generate) bin/netwatch --generate bash > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/_netwatch: bin/netwatch$(EXEEXT)
	$(app_generate) bin/netwatch --generate zsh > $@.tmp
	$(AM_V_at)mv $@.tmp $@

# nprof: who fills a link.
bin_PROGRAMS += bin/nprof
bin_nprof_SOURCES = \
	apps/nprof.c apps/nprof.h \
	apps/nprof_drawing.c \
	apps/nprof_page.c \
	apps/nprof_tree.c
bin_nprof_LDADD = $(APP_LIBS) -lm
man1_MANS += docs/man/nprof.1
nodist_bashcompletion_DATA += completion/nprof
nodist_zshcompletion_DATA += completion/_nprof
docs/man/nprof.1: docs/man/nprof.1.in bin/nprof$(EXEEXT)
	$(app_generate) bin/nprof --generate manual $(srcdir)/docs/man/nprof.1.in \
		> $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/nprof: bin/nprof$(EXEEXT)
	$(app_generate) bin/nprof --generate bash > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/_nprof: bin/nprof$(EXEEXT)
	$(app_generate) bin/nprof --generate zsh > $@.tmp
	$(AM_V_at)mv $@.tmp $@

# For Wireshark: netshark(1) says where they go.
wiresharkdir = $(pkgdatadir)/wireshark
dist_wireshark_DATA = apps/wireshark/lasthop.lua
dist_wireshark_SCRIPTS = apps/wireshark/lasthop-extcap
man1_MANS += docs/man/lasthop-extcap.1

# lasthopctl: steers the recorder, looks after archives.
bin_PROGRAMS += bin/lasthopctl
bin_lasthopctl_SOURCES = \
	apps/lasthopctl.c apps/lasthopctl.h \
	apps/lasthopctl_archive.c \
	apps/lasthopctl_change.c \
	apps/lasthopctl_cluster.c \
	apps/lasthopctl_glance.c \
	apps/lasthopctl_repair.c \
	apps/lasthopctl_select.c \
	apps/lasthopctl_server.c \
	apps/lasthopctl_size.c \
	apps/cluster_size.c apps/cluster_size.h \
	apps/lasthopctl_status.c \
	apps/archive_survey.c apps/archive_survey.h
bin_lasthopctl_LDADD = $(APP_LIBS)
man8_MANS += docs/man/lasthopctl.8
nodist_bashcompletion_DATA += completion/lasthopctl
nodist_zshcompletion_DATA += completion/_lasthopctl
docs/man/lasthopctl.8: docs/man/lasthopctl.8.in bin/lasthopctl$(EXEEXT)
	$(app_generate) bin/lasthopctl --generate manual \
		$(srcdir)/docs/man/lasthopctl.8.in > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/lasthopctl: bin/lasthopctl$(EXEEXT)
	$(app_generate) bin/lasthopctl --generate bash > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/_lasthopctl: bin/lasthopctl$(EXEEXT)
	$(app_generate) bin/lasthopctl --generate zsh > $@.tmp
	$(AM_V_at)mv $@.tmp $@

CLEANFILES += docs/man/phfc.1 docs/man/ndb.1 docs/man/netshark.1 \
	docs/man/netwatch.1 docs/man/nprof.1 docs/man/lasthopctl.8 \
	$(nodist_bashcompletion_DATA) $(nodist_zshcompletion_DATA)
