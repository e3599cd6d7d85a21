/* SPDX-License-Identifier: Apache-2.0 */
/* api_socket - the Unix sockets that lasthop's programs meet at. */
#include <config.h>
#include "lib/api_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/lh_alloc.h"

#define RUNDIR  "/run/lasthop"
#define BACKLOG 64

/* How long one waits for others that make a socket in the same directory. */
#define LOCK_TRIES  200
#define LOCK_TRY_NS 10000000

char *
api_socket_path(const char *name)
{
    const char *dir = getenv("LASTHOP_RUNDIR");

    return lh_asprintf("%s/%s", dir && *dir ? dir : RUNDIR, name);
}

/* Sets '*error' to "PATH: DOING: reason" and returns 'error_number'. */
static int
fail(int error_number, const char *path, const char *doing,
     struct lh_error *error)
{
    lh_error_set(error, "%s: %s: %s", path, doing, strerror(error_number));
    return error_number;
}

/* Makes a non-blocking socket and the address of 'path'. */
static int
open_socket(const char *path, struct sockaddr_un *address, int *fdp,
            struct lh_error *error)
{
    *fdp = -1;
    if (strlen(path) >= sizeof address->sun_path) {
        lh_error_set(error,
                     "%s: the path of a socket has at most %zu bytes, "
                     "not %zu",
                     path, sizeof address->sun_path - 1, strlen(path));
        return ENAMETOOLONG;
    }
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(address->sun_path, path);
    *fdp = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return *fdp < 0 ? fail(errno, path, "cannot make a socket", error) : 0;
}

/* Connects without waiting. */
static int
try_connect(const char *path, int *fdp, struct lh_error *error)
{
    struct sockaddr_un address;
    int retval = open_socket(path, &address, fdp, error);

    if (retval) {
        return retval;
    }
    if (connect(*fdp, (struct sockaddr *) &address, sizeof address)) {
        retval = fail(errno, path, "cannot connect", error);
        close(*fdp);
        *fdp = -1;
    }
    return retval;
}

int
api_socket_connect(const char *path, int *fdp, struct lh_error *error)
{
    int retval = try_connect(path, fdp, error);

    if (retval == ENOENT || retval == ECONNREFUSED) {
        lh_error_set(error, "%s: nobody listens there", path);
    }
    return retval;
}

/* Makes way at 'path': removes a socket file that nobody answers at. */
static int
remove_stale(const char *path, struct lh_error *error)
{
    struct stat st;
    int retval, fd;

    if (lstat(path, &st)) {
        return errno == ENOENT ? 0
                               : fail(errno, path, "cannot look there", error);
    }
    if (!S_ISSOCK(st.st_mode)) {
        lh_error_set(error, "%s: is there and is not a socket", path);
        return EEXIST;
    }
    retval = try_connect(path, &fd, error);
    if (retval == ECONNREFUSED) {
        return unlink(path) && errno != ENOENT
                   ? fail(errno, path, "cannot remove the old socket", error)
                   : 0;
    }
    if (!retval || retval == EAGAIN) {
        if (fd >= 0) {
            close(fd);
        }
        lh_error_set(error, "%s: another process listens there already", path);
        return EADDRINUSE;
    }
    return retval;
}

/* The directory that 'path' is in, for free(). */
static char *
directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == path ? lh_strdup("/")
           : slash       ? lh_asprintf("%.*s", (int) (slash - path), path)
                         : lh_strdup(".");
}

/* Makes 'dir', if its own parent is there, and locks it until '*fdp' is
 * closed: of several processes that find the same stale socket one alone may
 * remove it, and none may remove what another has just made in its place. */
static int
lock_directory(const char *dir, int *fdp, struct lh_error *error)
{
    const struct timespec pause = {.tv_nsec = LOCK_TRY_NS};
    int retval;

    *fdp = -1;
    if (mkdir(dir, 0755) && errno != EEXIST) {
        return fail(errno, dir, "cannot make the directory", error);
    }
    *fdp = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fdp < 0) {
        return fail(errno, dir, "cannot open the directory", error);
    }
    retval = flock(*fdp, LOCK_EX | LOCK_NB) ? errno : 0;
    for (int i = 0; retval == EWOULDBLOCK && i < LOCK_TRIES; i++) {
        nanosleep(&pause, NULL);
        retval = flock(*fdp, LOCK_EX | LOCK_NB) ? errno : 0;
    }
    if (retval) {
        fail(retval, dir, "cannot lock the directory", error);
        close(*fdp);
        *fdp = -1;
    }
    return retval;
}

/* Makes the socket and its file; the directory is locked. */
static int
listen_at(const char *path, mode_t mode, gid_t group, int *fdp,
          struct lh_error *error)
{
    struct sockaddr_un address;
    int fd, retval = remove_stale(path, error);

    if (!retval) {
        retval = open_socket(path, &address, &fd, error);
    }
    if (retval) {
        return retval;
    }
    /* Linux gives the file the mode that the socket had; so it is never open
     * to more than it should be, and chmod() then lifts what umask took. */
    if (fchmod(fd, group == (gid_t) -1 ? mode : mode & 0700) ||
        bind(fd, (struct sockaddr *) &address, sizeof address)) {
        retval = fail(errno, path, "cannot make the socket", error);
    } else if ((group != (gid_t) -1 && lchown(path, (uid_t) -1, group)) ||
               chmod(path, mode) || listen(fd, BACKLOG)) {
        retval = fail(errno, path, "cannot listen", error);
        unlink(path);
    }
    if (retval) {
        close(fd);
    } else {
        *fdp = fd;
    }
    return retval;
}

int
api_socket_listen(const char *path, int *fdp, struct lh_error *error)
{
    return api_socket_listen_as(path, 0660, (gid_t) -1, fdp, error);
}

int
api_socket_listen_as(const char *path, mode_t mode, gid_t group, int *fdp,
                     struct lh_error *error)
{
    char *dir = directory_of(path);
    int lock, retval = lock_directory(dir, &lock, error);

    *fdp = -1;
    if (!retval) {
        retval = listen_at(path, mode, group, fdp, error);
        close(lock);
    }
    free(dir);
    return retval;
}
