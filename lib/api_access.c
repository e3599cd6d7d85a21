/* SPDX-License-Identifier: Apache-2.0 */
/* api_access - who may do what over TLS. */
#include <config.h>
#include "lib/api_access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/api_peer.h"
#include "lib/lh_alloc.h"

#define BLANKS " \t\r\n"

struct entry {
    char *name; /* Owned. */
    unsigned int rights;
};

struct api_access {
    size_t n, allocated;
    struct entry *entries; /* Owned. */
};

static const struct entry *
find(const struct api_access *access, const char *name)
{
    for (size_t i = 0; i < access->n; i++) {
        if (!strcmp(access->entries[i].name, name)) {
            return &access->entries[i];
        }
    }
    return NULL;
}

/* Adds the rights of 'word' to '*rights'. */
static int
read_right(const char *word, unsigned int *rights, struct lh_error *error)
{
    static const struct {
        const char *word;
        unsigned int rights;
    } known[] = {
        {"bytes", API_RIGHT_BYTES},     {"triggers", API_RIGHT_TRIGGERS},
        {"control", API_RIGHT_CONTROL}, {"all", API_RIGHT_ALL},
        {"none", API_RIGHT_NONE},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strcmp(known[i].word, word)) {
            *rights |= known[i].rights;
            return 0;
        }
    }
    lh_error_set(error,
                 "\"%s\" is no right; there are bytes, triggers, control, all "
                 "and none",
                 word);
    return EINVAL;
}

static int
read_line(struct api_access *access, char *line, struct lh_error *error)
{
    char *rest, *name, *word;
    struct entry entry = {NULL, 0};
    int retval = 0;

    line[strcspn(line, "#")] = '\0';
    name = strtok_r(line, BLANKS, &rest);
    if (!name) {
        return 0;
    }
    word = strtok_r(NULL, BLANKS, &rest);
    if (!word) {
        lh_error_set(error, "%s: its rights are missing (or none)", name);
        return EINVAL;
    }
    if (find(access, name)) {
        lh_error_set(error, "%s: is there twice", name);
        return EINVAL;
    }
    for (; word && !retval; word = strtok_r(NULL, BLANKS, &rest)) {
        retval = read_right(word, &entry.rights, error);
    }
    if (!retval) {
        entry.name = lh_strdup(name);
        access->entries =
            lh_alloc_grow(access->entries, access->n, &access->allocated,
                          sizeof *access->entries);
        access->entries[access->n++] = entry;
    }
    return retval;
}

int
api_access_load(const char *path, struct api_access **accessp,
                struct lh_error *error)
{
    struct api_access *access = lh_alloc_zero(sizeof *access);
    FILE *file = fopen(path, "re");
    int number = 0, retval = 0;
    char *line = NULL;
    size_t size = 0;

    *accessp = NULL;
    if (!file) {
        retval = errno;
        lh_error_set(error, "%s: %s", path, strerror(retval));
    }
    while (!retval && getline(&line, &size, file) > 0) {
        number++;
        retval = read_line(access, line, error);
        if (retval) {
            lh_error_prefix(error, "%s:%d", path, number);
        }
    }
    if (!retval && ferror(file)) {
        retval = EIO;
        lh_error_set(error, "%s: cannot be read", path);
    }
    if (file) {
        fclose(file);
    }
    free(line);
    if (retval) {
        api_access_destroy(access);
    } else {
        *accessp = access;
    }
    return retval;
}

void
api_access_destroy(struct api_access *access)
{
    if (access) {
        for (size_t i = 0; i < access->n; i++) {
            free(access->entries[i].name);
        }
        free(access->entries);
        free(access);
    }
}

bool
api_access_find(const struct api_access *access, const char *name,
                unsigned int *rights)
{
    const struct entry *entry = find(access, name);

    /* No certificate stands for everybody. */
    if (!entry || !strcmp(name, "*")) {
        entry = find(access, "*");
    }
    *rights = entry ? entry->rights : 0;
    return entry != NULL;
}
