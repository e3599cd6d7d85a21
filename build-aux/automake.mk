# SPDX-License-Identifier: Apache-2.0
# build-aux/: bash completion of every program, made from its own options.

EXTRA_DIST += build-aux/completion.awk
bashcompletiondir = $(datadir)/bash-completion/completions
nodist_bashcompletion_DATA = \
	completion/lasthop-recorder \
	completion/lasthop-server \
	completion/lasthopctl \
	completion/ndb \
	completion/phfc
CLEANFILES += $(nodist_bashcompletion_DATA)
$(nodist_bashcompletion_DATA): $(srcdir)/build-aux/completion.awk

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

completion/ndb: $(srcdir)/apps/ndb.c
	$(completion_awk) -v values="color:auto always never" \
		$(srcdir)/apps/ndb.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@

completion/phfc: $(srcdir)/apps/phfc.c
	$(completion_awk) -v commands="check explain match" \
		$(srcdir)/apps/phfc.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@
