# SPDX-License-Identifier: Apache-2.0
# build-aux/: bash completion of programs, made from their own options (those
# on the frame of apps/ write theirs themselves).

EXTRA_DIST += build-aux/completion.awk
getopt_completions = \
	completion/lasthop-recorder \
	completion/lasthop-server \
	completion/lasthopctl
nodist_bashcompletion_DATA += $(getopt_completions)
$(getopt_completions): $(srcdir)/build-aux/completion.awk

completion_awk = $(AM_V_GEN)$(MKDIR_P) completion && $(AWK) \
	-f $(srcdir)/build-aux/completion.awk -v program=$(@F)

completion/lasthop-recorder: $(srcdir)/recorder/options.c
	$(completion_awk) $(srcdir)/recorder/options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@

completion/lasthop-server: $(srcdir)/server/options.c
	$(completion_awk) -v values="encap:geneve mac" \
		$(srcdir)/server/options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@

completion/lasthopctl: $(srcdir)/apps/lasthopctl.c
	$(completion_awk) \
		-v commands="status pause resume select attach detach archive" \
		-v after="select:list add delete load;archive:verify stat repair" \
		$(srcdir)/apps/lasthopctl.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@
