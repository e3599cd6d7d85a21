/* SPDX-License-Identifier: Apache-2.0 */
/* gen_output - the files that lasthop-gen writes.
 *
 *     postcards.pcap  the frames (or standard output)
 *     topology.json   docs/formats/topology.md
 *     rules.jsonl     docs/formats/rule.md, one to a line
 *     truth.jsonl     docs/formats/history.md, one to a line
 *
 * Threads: one at a time. */
#ifndef GEN_GEN_OUTPUT_H
#define GEN_GEN_OUTPUT_H 1

#include "gen/gen.h"

struct gen_output;

/* Makes the directory if it is not there, and the files of postcards and
 * histories.  Returns 0, or an errno with the reason. */
int gen_output_create(const char *dir, bool wants_stdout, bool has_truth,
                      bool is_micro, struct gen_output **, struct lh_error *);
void gen_output_frame(struct gen_output *, const struct gen_frame *);
/* 'h' stays the caller's. */
void gen_output_truth(struct gen_output *, const struct history *h,
                      const struct topology *);
/* Writes topology and rules. */
int gen_output_network(struct gen_output *, struct gen_net *,
                       struct lh_error *);
/* Writes what is buffered; returns 0, or the errno of the first write that
 * failed. */
int gen_output_close(struct gen_output *, struct lh_error *);

#endif /* gen/gen_output.h */
