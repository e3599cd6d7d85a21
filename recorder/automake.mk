# SPDX-License-Identifier: Apache-2.0
# recorder/

noinst_LIBRARIES += recorder/librecorder.a
recorder_librecorder_a_SOURCES = \
	recorder/api.c recorder/api.h \
	recorder/child.c recorder/child.h \
	recorder/discovery.c recorder/discovery.h \
	recorder/endpoint.c recorder/endpoint.h \
	recorder/instr.h \
	recorder/lldp.c recorder/lldp.h \
	recorder/mono_clock.h \
	recorder/of_conn.c recorder/of_conn.h \
	recorder/of_framing.c recorder/of_framing.h \
	recorder/of_hello.c recorder/of_hello.h \
	recorder/of_wire.c recorder/of_wire.h \
	recorder/options.c recorder/options.h \
	recorder/ovsdb.c recorder/ovsdb.h \
	recorder/postcard_port.c recorder/postcard_port.h \
	recorder/recorder.c recorder/recorder.h \
	recorder/recorder_config.h \
	recorder/session.c recorder/session.h \
	recorder/session_setup.c \
	recorder/session_state.h \
	recorder/session_stats.c \
	recorder/siphash.c recorder/siphash.h \
	recorder/xid_map.c recorder/xid_map.h
