# SPDX-License-Identifier: Apache-2.0
# tests/net/: tests on real networks, run by pytest as root and not by
# `make check`: /usr/bin/python3 -m pytest tests/net, or ./quickstart check.

EXTRA_DIST += \
	tests/net/api.py \
	tests/net/cluster.py \
	tests/net/cluster_campaign.py \
	tests/net/cluster_net.py \
	tests/net/conftest.py \
	tests/net/frames.py \
	tests/net/jumping_clock.c \
	tests/net/kill_campaign.py \
	tests/net/lab.py \
	tests/net/many_controllers.py \
	tests/net/numbered.py \
	tests/net/nats_credentials.py \
	tests/net/openflow.py \
	tests/net/osken_script.py \
	tests/net/ovn.py \
	tests/net/pair.py \
	tests/net/process.py \
	tests/net/random_openflow.py \
	tests/net/recorder.py \
	tests/net/schema.py \
	tests/net/rings.py \
	tests/net/scripted_controller.py \
	tests/net/scripted_switch.py \
	tests/net/stack.py \
	tests/net/stopped_clock.c \
	tests/net/tap.py \
	tests/net/test_agent.py \
	tests/net/test_api_schema.py \
	tests/net/test_attach.py \
	tests/net/test_bad_input.py \
	tests/net/test_bonds.py \
	tests/net/test_cluster.py \
	tests/net/test_cluster_agents.py \
	tests/net/test_cluster_copies.py \
	tests/net/test_cluster_faults.py \
	tests/net/test_cluster_profile.py \
	tests/net/test_cluster_retain.py \
	tests/net/test_cluster_whole.py \
	tests/net/test_collectors.py \
	tests/net/test_commands.py \
	tests/net/test_demo.py \
	tests/net/test_demo_network.py \
	tests/net/test_histories.py \
	tests/net/test_inband.py \
	tests/net/test_instr.py \
	tests/net/test_versions.py \
	tests/net/test_kills.py \
	tests/net/test_lab.py \
	tests/net/test_log_stalled.py \
	tests/net/test_loss.py \
	tests/net/test_nats_disk.py \
	tests/net/test_ndb.py \
	tests/net/test_netshark.py \
	tests/net/test_netwatch.py \
	tests/net/test_nprof.py \
	tests/net/test_readme.py \
	tests/net/test_ovn.py \
	tests/net/test_past.py \
	tests/net/test_patched_histories.py \
	tests/net/test_metrics_real.py \
	tests/net/test_monitor.py \
	tests/net/test_patched_rings.py \
	tests/net/test_pipelines.py \
	tests/net/test_recorder_agent.py \
	tests/net/test_recorder_gone.py \
	tests/net/test_recorder_links.py \
	tests/net/test_recorder_postcards.py \
	tests/net/test_recorder_proxy.py \
	tests/net/test_recorder_retry.py \
	tests/net/test_recorder_session.py \
	tests/net/test_recorder_slow.py \
	tests/net/test_recorder_timeline.py \
	tests/net/test_recorder_tls.py \
	tests/net/test_recorder_vanished.py \
	tests/net/test_retention.py \
	tests/net/test_rule_apply.py \
	tests/net/test_encapsulations.py \
	tests/net/test_select.py \
	tests/net/test_serve.py \
	tests/net/test_server_disk.py \
	tests/net/test_same_controllers.py \
	tests/net/test_same_osken.py \
	tests/net/test_same_random.py \
	tests/net/test_same_scripts.py \
	tests/net/test_strip.py \
	tests/net/test_same_recirculation.py \
	tests/net/test_why_trace.py \
	tests/net/test_tlv.py \
	tests/net/traffic.py \
	tests/net/twins.py

# What ./quickstart demo runs, and some of these tests too.
EXTRA_DIST += tests/demo
