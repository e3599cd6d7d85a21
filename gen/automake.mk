# SPDX-License-Identifier: Apache-2.0
# gen/: made-up networks, packets and postcards, whose true histories are
# known.

noinst_LIBRARIES += gen/libgen.a
gen_libgen_a_SOURCES = \
	gen/gen.c gen/gen.h \
	gen/gen_config.c gen/gen_config.h \
	gen/gen_delay.c gen/gen_delay.h \
	gen/gen_encap.c gen/gen_encap.h \
	gen/gen_fault.c gen/gen_fault.h \
	gen/gen_links.c gen/gen_links.h \
	gen/gen_net.c gen/gen_net.h \
	gen/gen_packet.c gen/gen_packet.h \
	gen/gen_queue.c gen/gen_queue.h \
	gen/gen_random.h \
	gen/gen_route.c gen/gen_route.h \
	gen/gen_route_make.c gen/gen_route_make.h \
	gen/gen_routes.c gen/gen_routes.h \
	gen/gen_rule_text.c \
	gen/gen_topology.c gen/gen_topology.h \
	gen/gen_trace.c gen/gen_trace.h \
	gen/gen_traffic.c gen/gen_traffic.h \
	gen/gen_vxlan.c gen/gen_vxlan.h \
	gen/gen_walk.c gen/gen_walk.h \
	gen/gen_walk_history.c \
	gen/gen_whole.c gen/gen_whole.h
GEN_LIBS = gen/libgen.a $(LIB_LIBS) $(PCAP_LIBS)

# lasthop-gen: the same as a program.
bin_PROGRAMS += bin/lasthop-gen
bin_lasthop_gen_SOURCES = gen/main.c \
	gen/gen_options.c gen/gen_options.h \
	gen/gen_output.c gen/gen_output.h
bin_lasthop_gen_LDADD = $(GEN_LIBS)
man1_MANS += docs/man/lasthop-gen.1
