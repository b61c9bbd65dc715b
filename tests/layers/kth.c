/* Stands before the C library (LD_PRELOAD) and lets one call fail: FAULT_CALL names it, FAULT_AT says which of them, counted from 1 over all
 * threads once main runs. FAULT_COUNT=FILE: nothing fails; the number of calls is written there in the end. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;
static long fail_at;
static char call_name[32], count_file[256];
static bool ready;

/* Before main the loader and constructors of libraries run, which no program can answer for. */
__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAULT_CALL"), *at = getenv("FAULT_AT"), *count = getenv("FAULT_COUNT");
    snprintf(call_name, sizeof call_name, "%s", name ? name : "");
    snprintf(count_file, sizeof count_file, "%s", count ? count : "");
    fail_at = at ? atol(at) : 0;
    unsetenv("LD_PRELOAD"); /* what the program starts is another program */
    atomic_store(&calls, 0);
    ready = true;
}

__attribute__((destructor)) static void end(void) {
    if (!*count_file) return;
    ready = false;
    FILE *f = fopen(count_file, "w");
    if (!f) return;
    fprintf(f, "%ld\n", atomic_load(&calls));
    fclose(f);
}

static bool fails(const char *name) {
    return ready && !strcmp(name, call_name) && atomic_fetch_add(&calls, 1) + 1 == fail_at;
}

static void *next(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

/* dlsym allocates, so memory goes to glibc's own names */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t m);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t to, size_t n);

#define VISIBLE __attribute__((visibility("default")))
#define FAIL(name, error, value) \
    do {                         \
        if (fails(name)) {       \
            errno = (error);     \
            return (value);      \
        }                        \
    } while (0)

VISIBLE void *malloc(size_t n) {
    FAIL("malloc", ENOMEM, NULL);
    return __libc_malloc(n);
}

VISIBLE void *calloc(size_t n, size_t m) {
    FAIL("malloc", ENOMEM, NULL);
    return __libc_calloc(n, m);
}

VISIBLE void *realloc(void *p, size_t n) {
    FAIL("malloc", ENOMEM, NULL);
    return __libc_realloc(p, n);
}

VISIBLE void *aligned_alloc(size_t to, size_t n) {
    FAIL("malloc", ENOMEM, NULL);
    return __libc_memalign(to, n);
}

VISIBLE int posix_memalign(void **out, size_t to, size_t n) {
    if (fails("malloc")) return ENOMEM;
    return (*out = __libc_memalign(to, n)) ? 0 : ENOMEM;
}

#define NEXT(type, name, ...) ((type(*)(__VA_ARGS__))next(#name))

VISIBLE void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset) {
    FAIL("mmap", ENOMEM, MAP_FAILED);
    return NEXT(void *, mmap, void *, size_t, int, int, int, off_t)(at, n, prot, flags, fd, offset);
}

VISIBLE ssize_t read(int fd, void *p, size_t n) {
    FAIL("read", EIO, -1);
    return NEXT(ssize_t, read, int, void *, size_t)(fd, p, n);
}

VISIBLE ssize_t pread64(int fd, void *p, size_t n, off_t at) {
    FAIL("read", EIO, -1);
    return NEXT(ssize_t, pread64, int, void *, size_t, off_t)(fd, p, n, at);
}

VISIBLE size_t fread(void *p, size_t size, size_t n, FILE *f) {
    if (fails("read")) {
        f->_flags |= 0x20; /* glibc's mark of a stream that had an error */
        errno = EIO;
        return 0;
    }
    return NEXT(size_t, fread, void *, size_t, size_t, FILE *)(p, size, n, f);
}

VISIBLE ssize_t write(int fd, const void *p, size_t n) {
    FAIL("write", ENOSPC, -1);
    return NEXT(ssize_t, write, int, const void *, size_t)(fd, p, n);
}

VISIBLE ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) {
    FAIL("write", ENOSPC, -1);
    return NEXT(ssize_t, pwrite64, int, const void *, size_t, off_t)(fd, p, n, at);
}

VISIBLE size_t fwrite(const void *p, size_t size, size_t n, FILE *f) {
    if (fails("write")) {
        f->_flags |= 0x20; /* glibc's mark of a stream that had an error, as a full disk leaves it */
        errno = ENOSPC;
        return 0;
    }
    return NEXT(size_t, fwrite, const void *, size_t, size_t, FILE *)(p, size, n, f);
}

VISIBLE int fsync(int fd) {
    FAIL("fsync", EIO, -1);
    return NEXT(int, fsync, int)(fd);
}

VISIBLE int fdatasync(int fd) {
    FAIL("fsync", EIO, -1);
    return NEXT(int, fdatasync, int)(fd);
}

VISIBLE int rename(const char *from, const char *to) {
    FAIL("rename", EIO, -1);
    return NEXT(int, rename, const char *, const char *)(from, to);
}

VISIBLE int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    FAIL("open", EMFILE, -1);
    return NEXT(int, open, const char *, int, ...)(path, flags, mode);
}

VISIBLE FILE *fopen(const char *path, const char *how) {
    FAIL("open", EMFILE, NULL);
    return NEXT(FILE *, fopen, const char *, const char *)(path, how);
}

VISIBLE int pthread_create(pthread_t *thread, const pthread_attr_t *a, void *(*run)(void *), void *arg) {
    if (fails("thread")) return EAGAIN;
    return NEXT(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)(thread, a, run,
                                                                                                     arg);
}
