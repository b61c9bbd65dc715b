#include "host/backend/xrt/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK "/lock"

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)st, (void)type, (void)where;
    remove(path); /* what cannot be removed now is left to the next one */
    return 0;
}

void fa_xrt_folder_remove(const char *path) {
    if (strncmp(path, FA_XRT_FOLDER, strlen(FA_XRT_FOLDER)) == 0) nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A folder without a lock file is just being made, or just being removed. */
static void remove_dead(void) {
    glob_t found;
    if (glob(FA_XRT_FOLDER "*" LOCK, GLOB_NOSORT, NULL, &found)) return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;
        if (fd < 0) continue;
        bool dead = !fstat(fd, &st) && st.st_uid == geteuid() && !flock(fd, LOCK_EX | LOCK_NB);
        if (dead) {
            found.gl_pathv[i][strlen(found.gl_pathv[i]) - strlen(LOCK)] = 0;
            fa_xrt_folder_remove(found.gl_pathv[i]);
        }
        close(fd);
    }
    globfree(&found);
}

/* The lock file appears under its name only when it is locked. */
static fa_status lock(fa_xrt_folder *f, fa_error *e) {
    char made[PATH_MAX], path[PATH_MAX];
    snprintf(made, sizeof made, "%s/making", f->path);
    snprintf(path, sizeof path, "%s" LOCK, f->path);
    f->lock = open(made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (f->lock >= 0 && !flock(f->lock, LOCK_EX | LOCK_NB) && !rename(made, path)) return FA_OK;
    return fa_fail(e, FA_EIO, "%s: %s", path, strerror(errno));
}

fa_status fa_xrt_folder_open(fa_xrt_folder *f, fa_error *e) {
    *f = (fa_xrt_folder){.path = FA_XRT_FOLDER "XXXXXX", .lock = -1};
    remove_dead();
    if (!mkdtemp(f->path)) {
        f->path[0] = 0;
        return fa_fail(e, FA_EIO, FA_XRT_FOLDER "XXXXXX: %s", strerror(errno));
    }
    fa_status s = lock(f, e);
    if (s) fa_xrt_folder_close(f);
    return s;
}

void fa_xrt_folder_close(fa_xrt_folder *f) {
    if (!f->path[0]) return;
    fa_xrt_folder_remove(f->path);
    if (f->lock >= 0) close(f->lock);
    *f = (fa_xrt_folder){.lock = -1};
}

fa_status fa_xrt_folder_make(const char *path, const char *below, fa_error *e) {
    char whole[PATH_MAX];
    size_t n = strlen(path);
    snprintf(whole, sizeof whole, "%s/%s/", path, below);
    for (char *slash = whole + n + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        if (mkdir(whole, 0700) && errno != EEXIST) return fa_fail(e, FA_EIO, "%s: %s", whole, strerror(errno));
        *slash = '/';
    }
    return FA_OK;
}

fa_status fa_xrt_folder_write(const char *path, const char *name, const char *text, int mode, fa_error *e) {
    char whole[PATH_MAX];
    snprintf(whole, sizeof whole, "%s/%s", path, name);
    int fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    size_t n = strlen(text);
    bool wrote = fd >= 0 && write(fd, text, n) == (ssize_t)n;
    int why = errno;
    if (fd >= 0 && close(fd)) wrote = false;
    return wrote ? FA_OK : fa_fail(e, FA_EIO, "%s: %s", whole, strerror(why));
}
