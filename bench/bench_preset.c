/* SPDX-License-Identifier: Apache-2.0 */
/* bench_preset - the made-up postcards that benchmarks run over. */
#include <config.h>
#include "bench/bench_preset.h"

#include <stdio.h>
#include <stdlib.h>

const char *
bench_preset(struct gen_config *config, char **path)
{
    const char *srcdir = getenv("srcdir"), *data = getenv("LASTHOP_DATA");
    struct lh_error error;
    char beside[4096];

    snprintf(beside, sizeof beside, "%s/../shared/data",
             srcdir ? srcdir : ".");
    gen_config_init(config);
    if (!gen_config_preset(config, "mix", data ? data : beside, path,
                           &error)) {
        return "mix";
    }
    gen_config_init(config);
    config->n_hops = 5;
    config->is_micro = true;
    return "synthetic";
}
