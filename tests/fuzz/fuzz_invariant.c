/* SPDX-License-Identifier: Apache-2.0 */
/* Files of invariants.  What is none says why and where; the filters of what
 * is one compile. */
#include <config.h>
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "apps/invariant_file.h"
#include "phf/phf.h"

static void
check_errors(const struct invariant_file *file)
{
    size_t len = strlen(file->text);

    for (size_t i = 0; i < file->n_errors; i++) {
        const struct lh_error *error = &file->errors[i];
        unsigned int line, column;
        char *underlined;

        if (!error->text[0] || error->pos < 0 ||
            ((size_t) error->pos > len && len)) {
            abort();
        }
        underlined = phf_underline(file->text, error);
        if (!underlined) {
            abort();
        }
        free(underlined);
        invariant_file_place(file, error->pos, &line, &column);
    }
}

static void
check_filters(const struct invariant *inv)
{
    for (size_t i = 0; i < inv->n_filters; i++) {
        struct phf *phf;

        if (phf_compile(inv->filters[i].phf, NULL, &phf, NULL)) {
            abort();
        }
        phf_destroy(phf);
    }
    if (!inv->n_filters || !inv->name[0] || !inv->text[0]) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct invariant_file *file;
    int retval = invariant_file_parse((const char *) data, size, NULL, &file);

    if ((retval != 0) != (file->n_errors != 0)) {
        abort();
    }
    check_errors(file);
    for (size_t i = 0; i < file->n; i++) {
        check_filters(&file->invariants[i]);
    }
    invariant_file_destroy(file);
    return 0;
}
