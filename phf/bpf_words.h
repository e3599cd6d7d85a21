/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_words - finds the words of a BPF expression that libpcap would take for
 * the name of a host or network.
 *
 * Threads: pure functions. */
#ifndef PHF_BPF_WORDS_H
#define PHF_BPF_WORDS_H 1

#include <stdbool.h>
#include <stddef.h>

/* Whether the 'len' bytes at 'text' hold a word that is neither part of the
 * language nor a number, an address, or (after port, portrange, proto or
 * protochain) the name of a service or protocol, which are read from local
 * files.  Then '*ofs' and '*word_len' say where the first stands. */
bool bpf_words_has_name(const char *text, size_t len, size_t *ofs,
                        size_t *word_len);

#endif /* phf/bpf_words.h */
