# SPDX-License-Identifier: Apache-2.0
# lib/: the nouns every other part shares.

noinst_LIBRARIES += lib/liblasthop.a
lib_liblasthop_a_SOURCES = \
	lib/agent_batch.c lib/agent_batch.h lib/agent_batch_impl.h \
	lib/agent_batch_reader.c \
	lib/agent_frame.c lib/agent_frame.h \
	lib/agent_sections.c lib/agent_sections.h \
	lib/api_access.c lib/api_access.h \
	lib/api_client.c lib/api_client.h \
	lib/api_code.c lib/api_code.h \
	lib/api_door.c lib/api_door.h \
	lib/api_line.c lib/api_line.h \
	lib/api_link.c lib/api_link.h \
	lib/api_peer.c lib/api_peer.h \
	lib/api_peer_owner.h \
	lib/api_server.c lib/api_server.h \
	lib/api_service.c lib/api_service.h \
	lib/api_socket.c lib/api_socket.h \
	lib/archive_block.c lib/archive_block.h \
	lib/archive_check.c lib/archive_check.h \
	lib/archive_commit.c lib/archive_commit.h \
	lib/archive_cut.c lib/archive_cut.h \
	lib/archive_damages.c lib/archive_damages.h \
	lib/archive_dir.c lib/archive_dir.h \
	lib/archive_merge.c lib/archive_merge.h \
	lib/archive_merger.c lib/archive_merger.h \
	lib/archive_old.c lib/archive_old.h \
	lib/archive_fetch.c lib/archive_fetch.h \
	lib/archive_reader.c lib/archive_reader.h \
	lib/archive_reader_notes.c \
	lib/archive_scan.c lib/archive_scan.h \
	lib/archive_shards.c lib/archive_shards.h \
	lib/archive_span.c lib/archive_span.h \
	lib/archive_stock.c lib/archive_stock.h \
	lib/archive_sums.c lib/archive_sums.h \
	lib/archive_sums_make.c \
	lib/archive_part.c lib/archive_part.h \
	lib/archive_writer.c lib/archive_writer.h \
	lib/archive_writer_impl.h \
	lib/archive_writer_merge.c \
	lib/archive_writer_open.c \
	lib/bit_reader.h \
	lib/block_index.c lib/block_index.h \
	lib/block_index_impl.h \
	lib/block_index_maker.c \
	lib/block_sums.c lib/block_sums.h \
	lib/bus.c lib/bus.h \
	lib/bus_answer.c lib/bus_answer.h \
	lib/bus_kv.c lib/bus_kv.h \
	lib/bus_kv_watch.c \
	lib/bus_pull.c lib/bus_pull.h \
	lib/bus_stream.c lib/bus_stream.h \
	lib/bus_sweep.c lib/bus_sweep.h \
	lib/bus_urls.c lib/bus_urls.h \
	lib/bus_message.c lib/bus_message.h \
	lib/bus_retired.h lib/bus_threads.h lib/bus_wire.c lib/bus_wire.h \
	lib/bus_wire_impl.h lib/bus_wire_options.c lib/bus_wire_options.h \
	lib/bus_wire_subs.c \
	lib/byte_buf.c lib/byte_buf.h \
	lib/bytes.c lib/bytes.h \
	lib/card_batch.c lib/card_batch.h lib/card_batch_impl.h \
	lib/card_batch_reader.c lib/card_edit.c lib/card_edit.h \
	lib/card_flows.c lib/card_flows.h lib/card_flow_list.c \
	lib/card_marks.c lib/card_marks.h \
	lib/batch_sections.c lib/batch_sections.h \
	lib/card_sections.c lib/card_sections.h \
	lib/client.c lib/client_impl.h \
	lib/client_answer.c \
	lib/client_conn.c \
	lib/client_history.c \
	lib/client_json.h \
	lib/client_request.c \
	lib/collector_address.c lib/collector_address.h \
	lib/column_dictionary.c lib/column_dictionary.h \
	lib/column_lengths.c lib/column_lengths.h \
	lib/column_reader.c lib/column_reader.h \
	lib/column_flows.c lib/column_flows.h \
	lib/column_shapes.c lib/column_shapes.h \
	lib/column_sums.c lib/column_sums.h \
	lib/column_writer.c lib/column_writer.h \
	lib/compress.c lib/compress.h \
	lib/copy_gate.c lib/copy_gate.h \
	lib/dpid.c lib/dpid.h \
	lib/hdr.c lib/hdr.h \
	lib/hdr_diff.c \
	lib/hdr_inner.c \
	lib/hdr_text.c \
	lib/hop_template.c lib/hop_template.h \
	lib/header_split.c lib/header_split.h \
	lib/history.c lib/history.h \
	lib/history_batch.c lib/history_batch.h \
	lib/history_batch_reader.c \
	lib/history_codec.c lib/history_codec.h \
	lib/history_codec_format.h \
	lib/history_codec_key.c \
	lib/history_codec_read.c \
	lib/history_columns.c lib/history_columns.h \
	lib/history_columns_memory.c \
	lib/history_columns_read.c lib/history_columns_read_impl.h \
	lib/history_columns_row.c \
	lib/history_frame.c lib/history_frame.h \
	lib/history_json.c \
	lib/history_text.c \
	lib/hop_time.c lib/hop_time.h \
	lib/host_port.c lib/host_port.h \
	lib/crew.c lib/crew.h \
	lib/db.c lib/db.h \
	lib/file_map.c lib/file_map.h \
	lib/flow_log.c lib/flow_log.h \
	lib/flow_log_db.c lib/flow_log_db.h \
	lib/flow_log_query.c \
	lib/flow_log_build.c \
	lib/flow_log_clock.c \
	lib/flow_log_migrate.c \
	lib/flow_log_note.c \
	lib/flow_log_queue.c \
	lib/flow_log_record.c \
	lib/flow_log_snapshot.c \
	lib/flow_log_store.c \
	lib/flow_log_switch.c \
	lib/flow_log_table.c \
	lib/flow_log_timeline.c \
	lib/flow_log_trim.c \
	lib/flow_log_version.c \
	lib/flow_log_view.c \
	lib/flow_log_writer.c \
	lib/flow_sums.c lib/flow_sums.h \
	lib/flow_words.h \
	lib/flow_sums_impl.h \
	lib/flow_sums_read.c \
	lib/hop_traffic.c lib/hop_traffic.h \
	lib/huge_alloc.c lib/huge_alloc.h \
	lib/inet_sum.c lib/inet_sum.h \
	lib/keyed_hash.c lib/keyed_hash.h \
	lib/jmember.c lib/jmember.h \
	lib/lh_alloc.c lib/lh_alloc.h \
	lib/lh_error.c lib/lh_error.h \
	lib/line_reader.c lib/line_reader.h \
	lib/name_miss.c lib/name_miss.h \
	lib/nearest.c lib/nearest.h \
	lib/metrics_http.c lib/metrics_http.h \
	lib/monotonic.h \
	lib/of_port.c lib/of_port.h \
	lib/packet_id.c lib/packet_id.h \
	lib/packet_id_inner.c \
	lib/packet_row.h \
	lib/packet_who.c lib/packet_who.h \
	lib/past.h \
	lib/past_changes.c \
	lib/past_diff.c \
	lib/past_group.c \
	lib/past_moment.c \
	lib/past_table.c \
	lib/pcapng.c lib/pcapng.h \
	lib/postcard.c lib/postcard.h \
	lib/postcard_geneve.c lib/postcard_geneve.h \
	lib/postcard_mac.c lib/postcard_mac.h \
	lib/process_memory.c lib/process_memory.h \
	lib/random64.c lib/random64.h \
	lib/rendezvous.c lib/rendezvous.h \
	lib/ring.c lib/ring.h \
	lib/rule.c lib/rule.h \
	lib/rule_slab.c lib/rule_slab.h \
	lib/rule_apply.c \
	lib/rule_json.c \
	lib/rule_text.c \
	lib/say.c lib/say.h \
	lib/sample_tally.c lib/sample_tally.h \
	lib/section_list.c lib/section_list.h \
	lib/shape_memo.c lib/shape_memo.h \
	lib/trajectory_memo.c lib/trajectory_memo.h \
	lib/text_line.c lib/text_line.h \
	lib/text_number.c lib/text_number.h \
	lib/time_spec.c lib/time_spec.h \
	lib/text_buf.c lib/text_buf.h \
	lib/tls.c lib/tls.h \
	lib/topology.c lib/topology.h \
	lib/topology_json.c \
	lib/trajectory.c lib/trajectory.h \
	lib/trajectory_pen.c lib/trajectory_pen.h \
	lib/trajectory_path.c lib/trajectory_path.h \
	lib/trajectory_path_brief.c lib/trajectory_path_brief.h \
	lib/trajectory_path_impl.h \
	lib/trajectory_path_kind.c \
	lib/trajectory_path_widen.c \
	lib/trajectory_shape.c lib/trajectory_shape.h \
	lib/trajectory_shape_impl.h \
	lib/way_table.c lib/way_table.h \
	lib/trajectory_skim.c lib/trajectory_skim.h

# What a program that links lib/liblasthop.a needs besides.
LIB_LIBS = lib/liblasthop.a $(JANSSON_LIBS) $(XXHASH_LIBS) $(SQLITE_LIBS) \
	$(ZSTD_LIBS) $(EVENT_LIBS) -lm -lpthread

# The same for one that is a client of a server (lib/client_impl.h, lib/tls.h).
CLIENT_LIBS = $(LIB_LIBS) $(TLS_LIBS)

# The same for one that uses the bus (lib/bus.h).
BUS_LIBS = $(LIB_LIBS) $(NATS_LIBS)

# liblasthop: the client for programs of others, <lasthop/client.h>.  It is made
# without libtool, which would be in every link of the tree for this one
# library; docs/decisions/api-shared-library.md.  LASTHOP_SO is raised when
# something that was there changes, LASTHOP_SO_MINOR when something is added.
LASTHOP_SO = 0
LASTHOP_SO_MINOR = 0
if SANITIZERS
NO_UNDEFINED =
else
NO_UNDEFINED = -Wl,-z,defs
endif
lasthoplibdir = $(libdir)
lasthoplib_PROGRAMS = lib/liblasthop.so
lib_liblasthop_so_SOURCES = \
	include/lasthop/client.h \
	lib/api_code.c \
	lib/api_line.c \
	lib/api_socket.c \
	lib/byte_buf.c \
	lib/bytes.c \
	lib/client.c \
	lib/client_answer.c \
	lib/client_conn.c \
	lib/client_history.c \
	lib/client_request.c \
	lib/dpid.c \
	lib/hdr.c \
	lib/hdr_diff.c \
	lib/hdr_inner.c \
	lib/hdr_text.c \
	lib/history.c \
	lib/history_codec.c \
	lib/history_codec_read.c \
	lib/history_frame.c \
	lib/history_json.c \
	lib/history_text.c \
	lib/hop_time.c lib/hop_time.h \
	lib/jmember.c \
	lib/lh_alloc.c \
	lib/lh_error.c \
	lib/of_port.c \
	lib/text_buf.c \
	lib/text_line.c \
	lib/text_number.c \
	lib/time_spec.c \
	lib/tls.c \
	lib/topology.c \
	lib/topology_json.c
lib_liblasthop_so_CFLAGS = $(AM_CFLAGS) -fPIC
lib_liblasthop_so_LDFLAGS = $(AM_LDFLAGS) -shared \
	$(NO_UNDEFINED) -Wl,-soname,liblasthop.so.$(LASTHOP_SO) \
	-Wl,--version-script=$(srcdir)/lib/liblasthop.map
lib_liblasthop_so_LDADD = $(JANSSON_LIBS) $(EVENT_LIBS) $(TLS_LIBS)
EXTRA_lib_liblasthop_so_DEPENDENCIES = lib/liblasthop.map
EXTRA_DIST += lib/liblasthop.map

lasthopincludedir = $(includedir)/lasthop
lasthopinclude_HEADERS = include/lasthop/client.h
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = lib/lasthop.pc
man3_MANS += docs/man/liblasthop.3

# Programs find it by its soname; beside the build's own too.
all-local: lib/liblasthop.so.$(LASTHOP_SO)
lib/liblasthop.so.$(LASTHOP_SO): lib/liblasthop.so
	$(AM_V_GEN)ln -sf liblasthop.so $@
CLEANFILES += lib/liblasthop.so.$(LASTHOP_SO)

# What is installed is liblasthop.so.0.0, with the other two names for it.
install-data-hook:
	cd $(DESTDIR)$(libdir) && \
	mv -f liblasthop.so liblasthop.so.$(LASTHOP_SO).$(LASTHOP_SO_MINOR) && \
	ln -sf liblasthop.so.$(LASTHOP_SO).$(LASTHOP_SO_MINOR) \
		liblasthop.so.$(LASTHOP_SO) && \
	ln -sf liblasthop.so.$(LASTHOP_SO) liblasthop.so && \
	chmod 644 liblasthop.so.$(LASTHOP_SO).$(LASTHOP_SO_MINOR)
uninstall-hook:
	cd $(DESTDIR)$(libdir) && rm -f liblasthop.so.$(LASTHOP_SO) \
		liblasthop.so.$(LASTHOP_SO).$(LASTHOP_SO_MINOR)
