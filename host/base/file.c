#include "host/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

fa_status fa_map_open(fa_map *m, const char *path, fa_error *e) {
    *m = (fa_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would block */
    if (fd < 0) return fa_fail(e, FA_EIO, "%s: cannot open: %s", path, strerror(errno));
    struct stat st;
    fa_status s = FA_OK;
    if (fstat(fd, &st) != 0)
        s = fa_fail(e, FA_EIO, "%s: cannot stat: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        s = fa_fail(e, FA_EIO, "%s: not a regular file", path);
    else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            s = fa_fail(e, FA_EIO, "%s: cannot map: %s", path, strerror(errno));
        else
            *m = (fa_map){p, (size_t)st.st_size};
        if (m->data) madvise(p, m->bytes, MADV_HUGEPAGE); /* what is not cached yet is read and mapped 2 MB at a time */
    }
    close(fd);
    return s;
}

void fa_map_close(fa_map *m) {
    if (m->data) munmap((void *)m->data, m->bytes);
    *m = (fa_map){0};
}

fa_status fa_new_file_open(fa_new_file *f, const char *path, fa_error *e) {
    *f = (fa_new_file){0};
    char *copy = strdup(path), *temporary = NULL;
    if (!copy || asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        free(copy);
        return fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    FILE *stream = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!stream) {
        fa_status s = fa_fail(e, FA_EIO, "%s: cannot create: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
            unlink(temporary);
        }
        free(copy);
        free(temporary);
        return s;
    }
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(fd, 0666 & ~mask) != 0) { /* the file stays private to its owner: harmless */
    }
    f->stream = stream;
    f->path = copy;
    f->temporary = temporary;
    return FA_OK;
}

/* Makes the rename itself durable. */
static int sync_folder(const char *path) {
    char *copy = strdup(path);
    if (!copy) return -1;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (fd < 0) return -1;
    int r = fsync(fd);
    close(fd);
    return r;
}

fa_status fa_new_file_commit(fa_new_file *f, fa_error *e) {
    int ok = fflush(f->stream) == 0 && !ferror(f->stream) && fsync(fileno(f->stream)) == 0;
    int saved = errno;
    ok &= fclose(f->stream) == 0;
    f->stream = NULL;
    if (ok) {
        ok = rename(f->temporary, f->path) == 0 && sync_folder(f->path) == 0;
        saved = errno;
    }
    fa_status s = ok ? FA_OK : fa_fail(e, FA_EIO, "%s: cannot write: %s", f->path, strerror(saved));
    if (ok) {
        free(f->temporary);
        f->temporary = NULL;
    }
    fa_new_file_abandon(f);
    return s;
}

void fa_new_file_abandon(fa_new_file *f) {
    if (f->stream) fclose(f->stream);
    if (f->temporary) unlink(f->temporary);
    free(f->path);
    free(f->temporary);
    *f = (fa_new_file){0};
}

char *fa_path_join(const char *dir, const char *name) {
    char *p = NULL;
    return asprintf(&p, "%s/%s", dir, name) < 0 ? NULL : p;
}
