#include "quant/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/json.h"

/* FA_OK when there is nothing at `path`, or an empty folder. */
static fa_status check_free(const char *path, fa_error *e) {
    DIR *dir = opendir(path);
    if (!dir && errno == ENOENT) return FA_OK;
    if (!dir) return fa_fail(e, FA_EINVAL, "%s: cannot be the destination: %s", path, strerror(errno));
    fa_status s = FA_OK;
    for (struct dirent *d; !s && (d = readdir(dir));)
        if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
            s = fa_fail(e, FA_EINVAL, "%s: the folder is not empty", path);
    closedir(dir);
    return s;
}

fa_status fa_new_folder_open(fa_new_folder *f, const char *path, fa_error *e) {
    *f = (fa_new_folder){0};
    fa_status s = check_free(path, e);
    if (s) return s;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    f->path = strndup(path, length);
    if (!f->path || asprintf(&f->temporary, "%s.XXXXXX", f->path) < 0) {
        f->temporary = NULL;
        s = fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
    } else if (!mkdtemp(f->temporary)) {
        s = fa_fail(e, FA_EIO, "%s: cannot create: %s", f->temporary, strerror(errno));
        free(f->temporary);
        f->temporary = NULL;
    } else {
        mode_t mask = umask(0);
        umask(mask);
        if (chmod(f->temporary, 0777 & ~mask) != 0) s = fa_fail(e, FA_EIO, "%s: %s", f->temporary, strerror(errno));
    }
    if (s) fa_new_folder_abandon(f);
    return s;
}

fa_status fa_new_folder_commit(fa_new_folder *f, fa_error *e) {
    int fd = open(f->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    ok = ok && rename(f->temporary, f->path) == 0; /* replaces an empty folder */
    fa_status s = ok ? FA_OK : fa_fail(e, FA_EIO, "%s: cannot write: %s", f->path, strerror(errno));
    if (ok) {
        free(f->temporary);
        f->temporary = NULL;
    }
    fa_new_folder_abandon(f);
    return s;
}

void fa_new_folder_abandon(fa_new_folder *f) {
    DIR *dir = f->temporary ? opendir(f->temporary) : NULL;
    if (dir) {
        for (struct dirent *d; (d = readdir(dir));) unlinkat(dirfd(dir), d->d_name, 0); /* refuses . and .. */
        closedir(dir);
        rmdir(f->temporary);
    }
    free(f->path);
    free(f->temporary);
    *f = (fa_new_folder){0};
}

fa_status fa_new_folder_json(const fa_new_folder *f, const char *name, json_t *root, fa_error *e) {
    fa_new_file file = {0};
    char *path = fa_path_join(f->temporary, name);
    bool whole = root && path && !fa_json_starved();
    fa_status s = whole ? fa_new_file_open(&file, path, e) : fa_fail(e, FA_ENOMEM, "%s: out of memory", name);
    /* 15 digits give every short decimal back as it was written */
    if (!s && (json_dumpf(root, file.stream, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) || fputc('\n', file.stream) < 0))
        s = fa_fail(e, FA_EIO, "%s: cannot write", path);
    if (!s) s = fa_new_file_commit(&file, e);
    fa_new_file_abandon(&file);
    json_decref(root);
    free(path);
    return s;
}

fa_status fa_new_folder_copy(const fa_new_folder *f, const char *from, const char *name, fa_error *e) {
    char *source = fa_path_join(from, name), *path = fa_path_join(f->temporary, name);
    fa_new_file file = {0};
    fa_map m = {0};
    fa_status s = FA_OK;
    if (!source || !path)
        s = fa_fail(e, FA_ENOMEM, "%s: out of memory", name);
    else if (access(source, F_OK) == 0) {
        s = fa_map_open(&m, source, e);
        if (!s) s = fa_new_file_open(&file, path, e);
        if (!s && fwrite(m.data, 1, m.bytes, file.stream) != m.bytes)
            s = fa_fail(e, FA_EIO, "%s: cannot write: %s", path, strerror(errno));
        if (!s) s = fa_new_file_commit(&file, e);
    }
    fa_new_file_abandon(&file);
    fa_map_close(&m);
    free(source), free(path);
    return s;
}
