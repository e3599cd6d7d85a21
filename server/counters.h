/* SPDX-License-Identifier: Apache-2.0 */
/* counters - everything the server counts, in one list.
 *
 * The list is what `stats` answers and docs/counters.md explains; a test holds
 * them together.  Each part of the server counts for itself; counters are
 * collected when somebody asks.
 *
 * What comes in is what goes out, is dropped, or is held:
 *
 *     received = datagrams + frames + agent_postcards
 *     received = postcards + foreign + other + truncated + malformed +
 *                no_option + unknown_format + unknown_index
 *     postcards = assembled + duplicates + ambiguous + dropped_busy +
 *                 dropped_full + dropped_memory + sampled_out +
 *                 open_postcards
 *     postcards = cluster_acknowledged + cluster_waiting + cluster_lost
 *                                                 (in a cluster)
 *     histories = archived + archive_lost + archive_refused + archive_held
 *                                                 (with an archive)
 *
 * Threads: plain data. */
#ifndef SERVER_COUNTERS_H
#define SERVER_COUNTERS_H 1

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

/* Sources, reception, postcards, assembly, histories, archive, clients, the
 * recorder. */
#define COUNTERS(C)                                                           \
    C(datagrams)                                                              \
    C(frames)                                                                 \
    C(cut_datagrams)                                                          \
    C(kernel_drops)                                                           \
    C(source_errors)                                                          \
    C(agents)                                                                 \
    C(agent_connections)                                                      \
    C(agents_refused)                                                         \
    C(agent_garbage)                                                          \
    C(agent_batches)                                                          \
    C(agent_postcards)                                                        \
    C(agent_bytes)                                                            \
    C(agent_duplicates)                                                       \
    C(agent_bad_batches)                                                      \
    C(agent_gaps)                                                             \
    C(agent_stalls)                                                           \
    C(agent_lost_ring)                                                        \
    C(agent_lost_spool)                                                       \
    C(agent_lost_memory)                                                      \
    C(agent_lost_capture)                                                     \
    C(sample_threshold)                                                       \
    C(received)                                                               \
    C(foreign)                                                                \
    C(other)                                                                  \
    C(truncated)                                                              \
    C(malformed)                                                              \
    C(no_option)                                                              \
    C(unknown_format)                                                         \
    C(unknown_index)                                                          \
    C(postcards)                                                              \
    C(short_headers)                                                          \
    C(no_l3)                                                                  \
    C(unknown_switch)                                                         \
    C(dropped_busy)                                                           \
    C(assembled)                                                              \
    C(duplicates)                                                             \
    C(ambiguous)                                                              \
    C(dropped_full)                                                           \
    C(dropped_memory)                                                         \
    C(sampled_out)                                                            \
    C(open_postcards)                                                         \
    C(without_id)                                                             \
    C(late)                                                                   \
    C(open_groups)                                                            \
    C(closed_groups)                                                          \
    C(odd_times)                                                              \
    C(topologies_forgotten)                                                   \
    C(closed_early)                                                           \
    C(closed_settle)                                                          \
    C(closed_window)                                                          \
    C(closed_size)                                                            \
    C(histories)                                                              \
    C(recognised)                                                             \
    C(unforeseen)                                                             \
    C(known_paths)                                                            \
    C(known_flows)                                                            \
    C(delivered)                                                              \
    C(controller)                                                             \
    C(open)                                                                   \
    C(lost)                                                                   \
    C(dropped)                                                                \
    C(looped)                                                                 \
    C(no_verdict)                                                             \
    C(awaiting_counters)                                                      \
    C(missing_min)                                                            \
    C(missing_max)                                                            \
    C(archived)                                                               \
    C(archived_hops)                                                          \
    C(archive_lost)                                                           \
    C(archive_refused)                                                        \
    C(archive_held)                                                           \
    C(archive_blocks)                                                         \
    C(archive_bytes)                                                          \
    C(archive_raw_bytes)                                                      \
    C(archive_errors)                                                         \
    C(archive_removed)                                                        \
    C(archive_merges)                                                         \
    C(archive_merge_bytes)                                                    \
    C(archive_merge_errors)                                                   \
    C(archive_sums)                                                           \
    C(archive_size)                                                           \
    C(cluster_acknowledged)                                                   \
    C(cluster_waiting)                                                        \
    C(cluster_lost)                                                           \
    C(cluster_bytes)                                                          \
    C(cluster_sent_again)                                                     \
    C(cluster_full)                                                           \
    C(cluster_missing)                                                        \
    C(cluster_mended)                                                         \
    C(cluster_restored)                                                       \
    C(cluster_again)                                                          \
    C(cluster_doubled)                                                        \
    C(cluster_late)                                                           \
    C(cluster_broken)                                                         \
    C(cluster_fenced)                                                         \
    C(cluster_copied)                                                         \
    C(cluster_fetched)                                                        \
    C(cluster_cancelled)                                                      \
    C(cluster_silent)                                                         \
    C(cluster_shards)                                                         \
    C(cluster_stores)                                                         \
    C(cluster_servers)                                                        \
    C(triggers)                                                               \
    C(trigger_hits)                                                           \
    C(trigger_missed)                                                         \
    C(trigger_limits)                                                         \
    C(trigger_histories)                                                      \
    C(trigger_runs)                                                           \
    C(trigger_skipped)                                                        \
    C(trigger_paths)                                                          \
    C(trigger_flows)                                                          \
    C(trigger_written)                                                        \
    C(queries)                                                                \
    C(queries_running)                                                        \
    C(query_scanned)                                                          \
    C(query_given)                                                            \
    C(query_damaged)                                                          \
    C(clients)                                                                \
    C(clients_now)                                                            \
    C(clients_refused)                                                        \
    C(clients_slow)                                                           \
    C(requests)                                                               \
    C(refusals)                                                               \
    C(events)                                                                 \
    C(events_missed)                                                          \
    C(rules)                                                                  \
    C(rules_asked)                                                            \
    C(rules_denied)                                                           \
    C(rules_evicted)                                                          \
    C(versions_guessed)                                                       \
    C(recorder_connects)                                                      \
    C(recorder_topologies)                                                    \
    C(recorder_rules)                                                         \
    C(recorder_rounds)                                                        \
    C(recorder_garbage)                                                       \
    C(recorder_timeouts)

struct counters {
#define C(NAME) uint64_t NAME;
    COUNTERS(C)
#undef C
};

/* The list as names; n_counters of them. */
extern const char *const counter_names[];
extern const size_t n_counters;

/* The value of the counter with that index. */
uint64_t counters_get(const struct counters *, size_t i);
/* Adds all of 'more' to '*counters'. */
void counters_add(struct counters *counters, const struct counters *more);
/* A new object with a member per counter. */
json_t *counters_to_json(const struct counters *);

#endif /* server/counters.h */
