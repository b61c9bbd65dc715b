/* A private folder that is removed: by its owner, or after the owner's death by the next one that is made. */
#ifndef FA_BACKEND_XRT_FOLDER_H
#define FA_BACKEND_XRT_FOLDER_H

#include "host/base/status.h"

/* XRT's emulation looks for its socket in /tmp/$USER/ and nowhere else (unix_socket.cxx), and a socket's path has 107 bytes: so
 * the folder is there, TMPDIR or not, and its name is the user's. */
#define FA_XRT_FOLDER "/tmp/fathom-xrt."

typedef struct fa_xrt_folder {
    char path[32];
    int lock; /* open and locked while the owner lives */
} fa_xrt_folder;

/* Makes one, after removing those whose owners are dead. FA_EIO. */
fa_status fa_xrt_folder_open(fa_xrt_folder *f, fa_error *e);
void fa_xrt_folder_close(fa_xrt_folder *f);

/* Removes what is in it and itself. */
void fa_xrt_folder_remove(const char *path);

/* Makes a folder in it with all folders above: "a/b". */
fa_status fa_xrt_folder_make(const char *path, const char *below, fa_error *e);

/* Writes a short file whole. FA_EIO names it. */
fa_status fa_xrt_folder_write(const char *path, const char *name, const char *text, int mode, fa_error *e);

#endif
