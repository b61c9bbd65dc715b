/* Files: read-only maps, and writes that either finish or leave nothing behind. */
#ifndef FA_BASE_FILE_H
#define FA_BASE_FILE_H

#include <stddef.h>
#include <stdio.h>

#include "host/base/status.h"

typedef struct fa_map {
    const void *data; /* NULL for an empty file */
    size_t bytes;
} fa_map;

/* Maps the whole file read-only. FA_EIO names the path. Free with fa_map_close. */
fa_status fa_map_open(fa_map *m, const char *path, fa_error *e);
void fa_map_close(fa_map *m);

/* A new file that appears under `path` only when committed: written beside it, fsynced, renamed. */
typedef struct fa_new_file {
    FILE *stream; /* write here */
    char *path, *temporary;
} fa_new_file;

fa_status fa_new_file_open(fa_new_file *f, const char *path, fa_error *e);
fa_status fa_new_file_commit(fa_new_file *f, fa_error *e);

/* Drops the file if it was not committed; a zeroed or committed one is allowed. */
void fa_new_file_abandon(fa_new_file *f);

/* dir + "/" + name in a malloc'd text that the caller frees; NULL when memory ran out. */
char *fa_path_join(const char *dir, const char *name);

#endif
