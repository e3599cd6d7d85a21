# SPDX-License-Identifier: Apache-2.0
# recorder/

noinst_LIBRARIES += recorder/librecorder.a
recorder_librecorder_a_SOURCES = \
	recorder/api.c recorder/api.h \
	recorder/api_control.c recorder/api_control.h \
	recorder/attach.c recorder/attach.h \
	recorder/attach_api.c recorder/attach_api.h \
	recorder/child.c recorder/child.h \
	recorder/datapath.c recorder/datapath.h \
	recorder/datapath_cap.c \
	recorder/datapath_control.c \
	recorder/datapath_move.c \
	recorder/datapath_object.c \
	recorder/datapath_ports.c \
	recorder/datapath_retry.c \
	recorder/datapath_setup.c \
	recorder/datapath_state.h \
	recorder/collectors.c recorder/collectors.h \
	recorder/control.c recorder/control.h \
	recorder/discovery.c recorder/discovery.h \
	recorder/endpoint.c recorder/endpoint.h \
	recorder/floors.c recorder/floors.h \
	recorder/inband.c recorder/inband.h \
	recorder/instr.c recorder/instr.h \
	recorder/instr_again.c \
	recorder/instr_ask.c \
	recorder/instr_base.c \
	recorder/instr_bundle.c \
	recorder/instr_burst.c \
	recorder/instr_carry.c recorder/instr_carry.h \
	recorder/instr_change.c \
	recorder/instr_detach.c \
	recorder/instr_clock.c \
	recorder/instr_due.c \
	recorder/instr_echo.c \
	recorder/instr_expiry.c recorder/instr_expiry.h \
	recorder/instr_fence.c \
	recorder/instr_flow.c \
	recorder/instr_forward.c \
	recorder/instr_found.c recorder/instr_found.h \
	recorder/instr_counts.c recorder/instr_counts.h \
	recorder/instr_group.c \
	recorder/instr_kept.c recorder/instr_kept.h \
	recorder/instr_link.c recorder/instr_links.h \
	recorder/instr_look.c \
	recorder/instr_meter.c \
	recorder/instr_lookup.c \
	recorder/instr_miss.c recorder/instr_miss.h \
	recorder/instr_monitor.c \
	recorder/instr_object.c recorder/instr_objects.h \
	recorder/instr_out.c \
	recorder/instr_owed.c \
	recorder/instr_action.c recorder/instr_action.h \
	recorder/instr_inject.c recorder/instr_inject.h \
	recorder/instr_own.c recorder/instr_own.h \
	recorder/instr_packet.c \
	recorder/instr_past.c \
	recorder/instr_ports.c recorder/instr_ports.h \
	recorder/instr_recall.c \
	recorder/instr_regroup.c \
	recorder/instr_removed.c \
	recorder/instr_port_counters.c \
	recorder/instr_role.c \
	recorder/instr_rule.c \
	recorder/instr_select.c recorder/instr_select.h \
	recorder/instr_sets.c recorder/instr_sets.h \
	recorder/instr_shadow.c recorder/instr_shadow.h \
	recorder/instr_shed.c recorder/instr_shed.h \
	recorder/instr_start.c \
	recorder/instr_state.h \
	recorder/instr_stats.c \
	recorder/instr_table.c recorder/instr_table.h \
	recorder/instr_tlv.c \
	recorder/instr_tlv_move.c \
	recorder/instr_told.c recorder/instr_told.h \
	recorder/instr_undo.c recorder/instr_undo.h \
	recorder/instr_watch.c recorder/instr_watch.h \
	recorder/listener.c recorder/listener.h \
	recorder/lldp.c recorder/lldp.h \
	recorder/log_watch.c recorder/log_watch.h \
	recorder/mono_clock.h \
	recorder/of_ask.c recorder/of_ask.h \
	recorder/of_conn.c recorder/of_conn.h \
	recorder/of_framing.c recorder/of_framing.h \
	recorder/of_hello.c recorder/of_hello.h \
	recorder/of_records.c recorder/of_records.h \
	recorder/of_wire.c recorder/of_wire.h \
	recorder/metrics.c recorder/metrics.h \
	recorder/mgmt_socket.c recorder/mgmt_socket.h \
	recorder/options.c recorder/options.h \
	recorder/options_help.c \
	recorder/ovsdb.c recorder/ovsdb.h \
	recorder/ovsdb_paths.c recorder/ovsdb_paths.h \
	recorder/ovsdb_table.c recorder/ovsdb_table.h \
	recorder/own_cookie.h \
	recorder/past_why.c \
	recorder/past_worker.c recorder/past_worker.h \
	recorder/port_choice.c recorder/port_choice.h \
	recorder/port_removal.c recorder/port_removal.h \
	recorder/postcard_port.c recorder/postcard_port.h \
	recorder/postcard_ports.c recorder/postcard_ports.h \
	recorder/postcard_rate.c recorder/postcard_rate.h \
	recorder/recorder.c recorder/recorder.h \
	recorder/recorder_config.h \
	recorder/recorder_tls.c \
	recorder/selection.c recorder/selection.h \
	recorder/selection_line.c recorder/selection_line.h \
	recorder/session.c recorder/session.h \
	recorder/session_attach.c \
	recorder/session_run.c \
	recorder/session_serve.c \
	recorder/session_setup.c \
	recorder/session_state.h \
	recorder/session_stats.c \
	recorder/shadow_edges.c recorder/shadow_edges.h \
	recorder/serve.c recorder/serve.h \
	recorder/siphash.c recorder/siphash.h \
	recorder/standby.c recorder/standby.h \
	recorder/status.c recorder/status.h \
	recorder/strip.c recorder/strip.h \
	recorder/strip_plan.c recorder/strip_plan.h \
	recorder/strip_port.c recorder/strip_port.h \
	recorder/strip_switch.c recorder/strip_switch.h \
	recorder/tree.c recorder/tree.h \
	recorder/xid_map.c recorder/xid_map.h

# The door to libopenvswitch: these files and what they need of the library
# become one object, in which every name but of_* is local, because the library
# exports thousands of names, some of which other libraries use too.
noinst_LIBRARIES += recorder/libofdoor.a
recorder_libofdoor_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(OVS_PREFIX)/include
# The library's headers are not as strict as we are; names cannot be made local
# in code that is kept for the linker to optimise.
recorder_libofdoor_a_CFLAGS = $(AM_CFLAGS) -fno-lto -Wno-sign-compare -Wno-shadow \
	-Wno-switch-enum -Wno-pointer-arith -Wno-undef -Wno-cast-align
recorder_libofdoor_a_SOURCES = \
	recorder/of_acts.c recorder/of_acts.h \
	recorder/of_card.c recorder/of_card.h \
	recorder/of_flow.c recorder/of_flow.h \
	recorder/of_flow_stats.c \
	recorder/of_group.c recorder/of_group.h \
	recorder/of_inject.c recorder/of_inject.h \
	recorder/of_inject_miss.c \
	recorder/of_match.c recorder/of_match.h \
	recorder/of_match_text.c recorder/of_match_text.h \
	recorder/of_meter.c recorder/of_meter.h \
	recorder/of_monitor.c recorder/of_monitor.h \
	recorder/of_msg.c recorder/of_msg.h \
	recorder/of_ovs.h \
	recorder/of_packet_out.c recorder/of_packet_out.h \
	recorder/of_steps.c recorder/of_steps.h \
	recorder/of_trace.c recorder/of_trace.h \
	recorder/of_text.c recorder/of_text.h \
	recorder/of_why.c recorder/of_why.h \
	recorder/of_why_act.c \
	recorder/of_why_edit.c \
	recorder/of_why_lookup.c \
	recorder/of_why_packet.c \
	recorder/of_why_state.h \
	recorder/of_why_table.c

recorder/of_door.o: recorder/libofdoor.a $(OVS_PREFIX)/lib/libopenvswitch.a
	$(AM_V_GEN)$(LD_R) -r -o $@.tmp --whole-archive recorder/libofdoor.a \
		--no-whole-archive $(OVS_PREFIX)/lib/libopenvswitch.a && \
	$(OBJCOPY) --wildcard --keep-global-symbol='of_*' $@.tmp $@ && \
	rm -f $@.tmp
CLEANFILES += recorder/of_door.o recorder/of_door.o.tmp

# What a program with the recorder's parts links, in this order.
RECORDER_LIBS = recorder/of_door.o recorder/librecorder.a $(LIB_LIBS) \
	$(TLS_LIBS) \
	$(OVS_LIBS) -lpthread

bin_PROGRAMS += bin/lasthop-recorder
bin_lasthop_recorder_SOURCES = recorder/main.c
bin_lasthop_recorder_LDADD = $(RECORDER_LIBS)
man8_MANS += docs/man/lasthop-recorder.8
