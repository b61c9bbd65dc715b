/* What the engine and the ranks of a cluster say to each other. The engine speaks with rank 0 through a socket, in frames; rank 0
 * hands what it is told to the others. All numbers are as this machine has them: a job runs on machines of one kind. */
#ifndef FA_CLUSTER_WIRE_H
#define FA_CLUSTER_WIRE_H

#include <limits.h>

#include "host/model/model.h"

typedef enum fa_frame_kind {
    FA_FRAME_SETUP = 1, /* engine: fa_cluster_setup. Answered by READY or FAILED */
    FA_FRAME_STEP,      /* engine: fa_step_encode. Answered by LOGITS or FAILED */
    FA_FRAME_READY,     /* rank 0: fa_cluster_ready */
    FA_FRAME_LOGITS,    /* rank 0: FP32 [n_logits, vocab] */
    FA_FRAME_FAILED,    /* rank 0: a text; the job is of no use any more */
} fa_frame_kind;

typedef struct fa_frame {
    int32_t kind, status; /* status: of FAILED */
    int64_t bytes;        /* that follow */
} fa_frame;

enum { FA_CLUSTER_NAME = 64, FA_CLUSTER_HOST = 64 };

/* What every rank opens its part with. */
typedef struct fa_cluster_setup {
    char version[FA_CLUSTER_NAME];
    char mode[FA_CLUSTER_NAME];
    char model[PATH_MAX];
    char backend[FA_CLUSTER_NAME], board[PATH_MAX], xclbin[PATH_MAX], experts_by[PATH_MAX]; /* "": NULL */
    int32_t numerics, cache;
    int32_t max_rows, max_logit_rows, max_positions, pages;
    int32_t mtp;
    int32_t threads;     /* of a rank; 0: its share of the CPUs */
    int32_t deadline_ms; /* how long a rank waits for another in a step */
} fa_cluster_setup;

/* What a rank says of itself before the first step. */
typedef struct fa_cluster_hello {
    int32_t status; /* of opening its part; then `why` is the rest */
    char why[FA_ERROR_TEXT];
    char version[FA_CLUSTER_NAME], mode[FA_CLUSTER_NAME], host[FA_CLUSTER_HOST];
    char detail[160]; /* its backend and what that runs on */
    int32_t pid;
    uint64_t setup, model, placement;   /* hashes */
    int64_t weight_bytes, memory_bytes; /* of the model's files that it reads; buffers, cache and scratch */
    int32_t first_layer, end_layer, first_expert, end_expert;
} fa_cluster_hello;

typedef struct fa_cluster_ready {
    int32_t ranks, active, stages;
    int64_t weight_bytes, most_weight_bytes, memory_bytes; /* of all ranks; the most of one */
    char detail[160];                                      /* of rank 0 */
} fa_cluster_ready;

/* FA_EINVAL unless all ranks say what rank 0 says: names the rank, its host and the field. */
fa_status fa_cluster_agree(const fa_cluster_hello *all, int32_t n, fa_error *e);

/* Which pass a step is. */
typedef enum fa_pass { FA_PASS_STEP = 0, FA_PASS_MTP_AFTER_STEP, FA_PASS_MTP_AFTER_MTP } fa_pass;

/* A step as numbers: FA_STEP_HEADER of them, then for each row its token, position, page list and `from`, the rows of logits, where each
 * list begins, and the lists. Rows that come together and have one list share it. */
enum { FA_STEP_HEADER = 6 };
int64_t fa_step_most(int32_t max_rows, int32_t max_positions); /* numbers at most */
/* from: NULL for a row itself. Returns how many numbers it takes. */
int64_t fa_step_encode(const fa_step *step, fa_pass pass, const int32_t *from, int32_t *to);

/* Views into a message. */
typedef struct fa_step_message {
    fa_pass pass;
    int32_t rows, n_logits, n_lists;
    const int32_t *tokens, *positions, *lists, *from, *logit_rows, *list_first, *pages;
} fa_step_message;
/* FA_EFORMAT when the numbers contradict each other. */
fa_status fa_step_decode(fa_step_message *m, const int32_t *numbers, int64_t n, fa_error *e);

/* Reads and writes whole frames; FA_EIO with errno's text, or that the other side has closed. until_ms: of CLOCK_MONOTONIC, 0 for
 * never; FA_EDEVICE when it is over. */
fa_status fa_frame_send(int fd, fa_frame_kind kind, fa_status status, const void *data, int64_t bytes, int64_t until_ms,
                        fa_error *e);
fa_status fa_frame_receive(int fd, void *data, int64_t bytes, int64_t until_ms, fa_error *e);
int64_t fa_frame_now_ms(void);

#endif
