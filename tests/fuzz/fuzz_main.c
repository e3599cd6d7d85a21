/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_main - runs a fuzz target once over each file that is named, or that
 * is in a directory that is named, where there is no libFuzzer to do it.
 *
 * usage: fuzz_NAME [-IGNORED]... FILE|DIRECTORY...
 *
 * Each input is in an allocation of its very size, so that the address
 * sanitizer and valgrind see a read past its end.  Exit status 1 when nothing
 * was run or something could not be read. */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

/* Reads 'path' whole into '*datap' (the caller's to free) and '*sizep'.
 * Returns 0, or an errno value and then NULL and 0 in those. */
static int
read_file(const char *path, uint8_t **datap, size_t *sizep)
{
    uint8_t *data = NULL;
    struct stat st;
    int error = 0;

    *datap = NULL;
    *sizep = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &st) != 0) {
        error = errno;
        goto out;
    }
    size_t size = (size_t) st.st_size;
    data = malloc(size > 0 ? size : 1);
    if (data == NULL) {
        error = ENOMEM;
        goto out;
    }
    if (fread(data, 1, size, file) != size) {
        error = EIO;
        goto out;
    }
    *datap = data;
    *sizep = size;
    data = NULL;
out:
    free(data);
    if (file != NULL) {
        fclose(file);
    }
    return error;
}

/* Runs the target over the file 'path'.  Returns false, having said why, when
 * it cannot be read. */
static bool
run_file(const char *path)
{
    uint8_t *data;
    size_t size;

    int error = read_file(path, &data, &size);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(error));
        return false;
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return true;
}

/* Runs the target over every file in the directory 'path' and adds their
 * number to '*n_inputs'.  Returns false, having said why, when one of them
 * cannot be read. */
static bool
run_directory(const char *path, size_t *n_inputs)
{
    struct dirent **entries;

    int n = scandir(path, &entries, NULL, alphasort);
    if (n < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }

    bool ok = true;
    for (int i = 0; i < n; i++) {
        char name[4096];
        if (entries[i]->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
            ok = run_file(name) && ok;
            (*n_inputs)++;
        }
        free(entries[i]);
    }
    free(entries);
    return ok;
}

int
main(int argc, char *argv[])
{
    size_t n_inputs = 0;
    bool ok = true;

    for (int i = 1; i < argc; i++) {
        struct stat st;

        if (argv[i][0] == '-') {
            continue;
        }
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            ok = run_directory(argv[i], &n_inputs) && ok;
        } else {
            ok = run_file(argv[i]) && ok;
            n_inputs++;
        }
    }
    printf("%zu inputs\n", n_inputs);
    return ok && n_inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
