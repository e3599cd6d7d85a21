/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_code - the fields of an instruction's code of the BPF machine (McCanne,
 * Jacobson 1993), for those who read programs without libpcap's header.
 *
 * Threads: constants. */
#ifndef PHF_BPF_CODE_H
#define PHF_BPF_CODE_H 1

#define BPF_N_MEMORY 16 /* Words that a program may store. */

/* Bits 0-2. */
enum {
    BPF_CLASS_LD,
    BPF_CLASS_LDX,
    BPF_CLASS_ST,
    BPF_CLASS_STX,
    BPF_CLASS_ALU,
    BPF_CLASS_JMP,
    BPF_CLASS_RET,
    BPF_CLASS_MISC
};

/* Bits 5-7, of loads. */
enum {
    BPF_MODE_IMM,
    BPF_MODE_ABS,
    BPF_MODE_IND,
    BPF_MODE_MEM,
    BPF_MODE_LEN,
    BPF_MODE_MSH
};

#endif /* phf/bpf_code.h */
