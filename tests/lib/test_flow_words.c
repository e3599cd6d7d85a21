/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/flow_words. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_words.h"
#include "lib/trajectory.h"
#include "tests/lib/frame.h"
#include "tests/lib/way.h"

/* Whether two headers have the same words, which are as many. */
static bool
has_same_words(const uint8_t *a, const uint8_t *b,
               const struct header_split *split)
{
    uint64_t words[2][FLOW_WORDS_MAX(TRAJECTORY_MAX_CONSTANT)];
    unsigned int n = flow_words_get(a, split, words[0]);

    ck_assert_uint_le(n, FLOW_WORDS_MAX(split->l3_ofs));
    ck_assert_uint_eq(flow_words_get(b, split, words[1]), n);
    return !memcmp(words[0], words[1], n * sizeof words[0][0]);
}

static bool
has_same_constants(const uint8_t *a, const uint8_t *b,
                   const struct header_split *split)
{
    uint8_t bytes[2][TRAJECTORY_MAX_CONSTANT];

    header_split_constant(a, split, bytes[0]);
    header_split_constant(b, split, bytes[1]);
    return !memcmp(bytes[0], bytes[1], split->tail_ofs);
}

/* Another packet of the flow, and one of which any byte is another. */
START_TEST(words_are_those_of_the_constant_bytes)
{
    const struct way_shape *shape = &way_shapes[_i];
    uint64_t seed = (uint64_t) _i + 1;
    struct frame f = way_frame(shape, &seed);
    struct header_split split;

    for (uint16_t n_tags = 0; n_tags < 3; n_tags++) {
        size_t n_same = 0;

        ck_assert(header_split(f.data, f.len, &split));
        for (size_t i = 0; i < split.tail_ofs; i++) {
            struct frame other = f;

            other.data[i] ^= 0x20;
            ck_assert(has_same_words(f.data, other.data, &split) ==
                      has_same_constants(f.data, other.data, &split));
            n_same += has_same_words(f.data, other.data, &split);
        }
        ck_assert_uint_ge(n_same, 2); /* Length, and more of IPv4 and L4. */
        ck_assert_uint_le(n_same, 26);
        frame_push_tag(&f, 0x8100, n_tags);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("flow_words");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, words_are_those_of_the_constant_bytes, 0,
                        WAY_N_SHAPES);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
