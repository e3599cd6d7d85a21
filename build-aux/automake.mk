# SPDX-License-Identifier: Apache-2.0
# build-aux/: bash completion of programs, made from their own options (those
# on the frame of apps/ write theirs themselves).

EXTRA_DIST += build-aux/completion.awk
getopt_completions = \
	completion/lasthop-recorder \
	completion/lasthop-server \
	completion/lasthopctl \
	completion/lasthop-gen
nodist_bashcompletion_DATA += $(getopt_completions)
$(getopt_completions): $(srcdir)/build-aux/completion.awk \
		$(srcdir)/build-aux/automake.mk

completion_awk = $(AM_V_GEN)$(MKDIR_P) completion && $(AWK) \
	-f $(srcdir)/build-aux/completion.awk -v program=$(@F)

completion/lasthop-recorder: $(srcdir)/recorder/options.c
	$(completion_awk) $(srcdir)/recorder/options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@

completion/lasthop-server: $(srcdir)/server/options.c
	$(completion_awk) -v values="encap:auto geneve mac;archive-time-unit:ns us" \
		$(srcdir)/server/options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@

completion/lasthopctl: $(srcdir)/apps/lasthopctl.c
	$(completion_awk) \
		-v commands="status pause resume select attach detach clients triggers topology log archive" \
		-v after="select:list add delete load;triggers:list add pause resume delete;topology:json dot;log:server recorder error warn info debug;archive:verify stat repair" \
		$(srcdir)/apps/lasthopctl.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@

completion/lasthop-gen: $(srcdir)/gen/gen_options.c
	$(completion_awk) \
		-v values="preset:mix fabric trouble faults;encap:geneve mac;stamps:ns us" \
		$(srcdir)/gen/gen_options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@
