/* The 512-bit word of all wide ports, and the maxima that bound every loop and buffer of the kernels. */
#ifndef HLS_WORD_H
#define HLS_WORD_H

#include <stdint.h>

/* 64 bytes: 16 FP32 values, 32 BF16 values or 64 codes. Element 16 s + k is in lane k: its bits from 16 s (BF16) or 8 s (codes)
 * up, so that the k-th of 16 operators reads lane k whatever the type. */
typedef struct hls_word {
    uint32_t lane[16];
} __attribute__((aligned(64))) hls_word;

/* The host refuses an op that exceeds one of these (FA_ELIMIT), so that a kernel never sees it. */
enum {
    HLS_MAX_COLS =
        32768, /* inputs of a weight; hidden and inner of experts; n of fathom_rowwise; heads * (nope + rope), heads * v */
    HLS_MAX_OUTPUTS = 1 << 18, /* of a matmul */
    HLS_MAX_ROWS = 1 << 16,    /* of a launch */
    HLS_MAX_HEADS = 128,       /* of fathom_mla; of one kv head of fathom_gqa */
    HLS_MAX_KEY = 640,         /* rank + rope of fathom_mla */
    HLS_MAX_RANK = 512,        /* rank of fathom_mla */
    HLS_MAX_HEAD = 640,        /* nope, v of fathom_mla each; head_dim of fathom_gqa */
    HLS_MAX_POSITIONS = 1 << 20,
    HLS_PAGE = 64,  /* positions of a page */
    HLS_BLOCK = 128 /* codes that share a scale */
};

#endif
