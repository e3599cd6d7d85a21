# SPDX-License-Identifier: Apache-2.0
# build-aux/: what bash and zsh complete of programs, made from their own
# options (those on the frame of apps/ write theirs themselves).

EXTRA_DIST += build-aux/completion.awk
nodist_bashcompletion_DATA += \
	completion/lasthop-agent \
	completion/lasthop-recorder \
	completion/lasthop-server \
	completion/lasthop-gen
nodist_zshcompletion_DATA += \
	completion/_lasthop-agent \
	completion/_lasthop-recorder \
	completion/_lasthop-server \
	completion/_lasthop-gen

completion_deps = $(srcdir)/build-aux/completion.awk \
	$(srcdir)/build-aux/automake.mk
completion_awk = $(AM_V_GEN)$(MKDIR_P) completion && \
	$(AWK) -f $(srcdir)/build-aux/completion.awk

completion/lasthop-agent: $(srcdir)/agent/options.c $(completion_deps)
	$(completion_awk) -v program=lasthop-agent \
		$(srcdir)/agent/options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/_lasthop-agent: $(srcdir)/agent/options.c $(completion_deps)
	$(completion_awk) -v program=lasthop-agent -v shell=zsh \
		$(srcdir)/agent/options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@

completion/lasthop-recorder: $(srcdir)/recorder/options.c $(completion_deps)
	$(completion_awk) -v program=lasthop-recorder \
		$(srcdir)/recorder/options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/_lasthop-recorder: $(srcdir)/recorder/options.c $(completion_deps)
	$(completion_awk) -v program=lasthop-recorder -v shell=zsh \
		$(srcdir)/recorder/options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@

server_values = encap:auto geneve mac;archive-time-unit:ns us
completion/lasthop-server: $(srcdir)/server/options.c $(completion_deps)
	$(completion_awk) -v program=lasthop-server \
		-v values="$(server_values)" \
		$(srcdir)/server/options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/_lasthop-server: $(srcdir)/server/options.c $(completion_deps)
	$(completion_awk) -v program=lasthop-server -v shell=zsh \
		-v values="$(server_values)" \
		$(srcdir)/server/options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@

gen_values = preset:mix fabric trouble faults;encap:geneve mac;stamps:ns us
completion/lasthop-gen: $(srcdir)/gen/gen_options.c $(completion_deps)
	$(completion_awk) -v program=lasthop-gen \
		-v values="$(gen_values)" \
		$(srcdir)/gen/gen_options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@
completion/_lasthop-gen: $(srcdir)/gen/gen_options.c $(completion_deps)
	$(completion_awk) -v program=lasthop-gen -v shell=zsh \
		-v values="$(gen_values)" \
		$(srcdir)/gen/gen_options.c > $@.tmp
	$(AM_V_at)mv $@.tmp $@
