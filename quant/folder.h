/* A folder of files that appears when all of them are written. Private to quant. */
#ifndef FA_QUANT_FOLDER_H
#define FA_QUANT_FOLDER_H

#include "host/base/json.h"

typedef struct fa_new_folder {
    char *path, *temporary; /* write into `temporary` */
} fa_new_folder;

/* FA_EINVAL when `path` is a file or a folder with something in it. */
fa_status fa_new_folder_open(fa_new_folder *f, const char *path, fa_error *e);
fa_status fa_new_folder_commit(fa_new_folder *f, fa_error *e);

/* Deletes the files written so far; a zeroed or committed one is allowed. */
void fa_new_folder_abandon(fa_new_folder *f);

/* Writes temporary/name as indented JSON; takes the reference of `root`, which may be NULL (FA_ENOMEM). */
fa_status fa_new_folder_json(const fa_new_folder *f, const char *name, json_t *root, fa_error *e);

/* Copies from/name if it exists. */
fa_status fa_new_folder_copy(const fa_new_folder *f, const char *from, const char *name, fa_error *e);

#endif
