/* What the readers of safetensors, GGUF and PyTorch's checkpoints share: filling an fa_tensors. Private to host/format. */
#ifndef FA_FORMAT_CONTAINER_H
#define FA_FORMAT_CONTAINER_H

#include "host/base/arena.h"
#include "host/base/file.h"
#include "host/format/gguf.h"
#include "host/format/tensor.h"

struct fa_tensors {
    fa_arena arena; /* names, paths, the GGUF index, tensors that had to be realigned */
    fa_map *maps;
    int64_t n_maps, map_capacity;
    fa_tensor *list; /* in file order */
    int64_t count, capacity;
    int64_t *by_name; /* [count] indices into list, sorted by name; made by fa_tensors_finish */
    fa_gguf *gguf;
};

/* Maps `path` and keeps it open with `ts`. `*kept` is the path in ts's arena. */
fa_status fa_tensors_map(fa_tensors *ts, const char *path, fa_map *map, const char **kept, fa_error *e);

/* Adds one tensor of a file whose data section is [data, data + data_bytes): `t` has name (kept in the
 * arena), file, type, n_dims and shape; the rest is computed. `begin` is the offset of its data, `claimed`
 * the size the file gives, or -1 where the format leaves it to shape and type. */
fa_status fa_tensors_add(fa_tensors *ts, fa_tensor t, const uint8_t *data, uint64_t data_bytes, uint64_t begin,
                         int64_t claimed, fa_error *e);

/* FA_EFORMAT when two of the tensors added since number `first` share bytes. Then realigns those whose data
 * does not lie at a multiple of their element size. */
fa_status fa_tensors_check_file(fa_tensors *ts, int64_t first, fa_error *e);

/* The latter alone. */
fa_status fa_tensors_realign(fa_tensors *ts, int64_t first, fa_error *e);

/* Adds all tensors of one file. */
fa_status fa_safetensors_read(fa_tensors *ts, const char *path, fa_error *e);
fa_status fa_gguf_read(fa_tensors *ts, const char *path, fa_error *e);
fa_status fa_pytorch_read(fa_tensors *ts, const char *path, fa_error *e);

/* The same for a file of any of these kinds, which its first bytes tell. */
fa_status fa_tensors_read_file(fa_tensors *ts, const char *path, fa_error *e);

/* Adds the tensors of all shards of an index file, safetensors or PyTorch's. */
fa_status fa_tensors_read_index(fa_tensors *ts, const char *dir, const char *index, fa_error *e);

/* Makes the names added so far searchable; may be called again. FA_EFORMAT for a name that came twice. */
fa_status fa_tensors_finish(fa_tensors *ts, fa_error *e);

#endif
