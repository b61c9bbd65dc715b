/* libfathom: inference for DeepSeek-family models. One engine (fixed after opening), many sessions (changing).
 *
 *   fathom_engine *engine;                       fathom_session *s;
 *   fathom_engine_open(&engine, &options, &err)  fathom_session_open(engine, owner, &s, &err)
 *                                                fathom_session_prompt(s, ids, n, &sampling, &err)
 *   int busy = 1;
 *   while (busy && fathom_engine_step(engine, &busy, &err) == FATHOM_OK)
 *       while (fathom_session_next(s, &token)) ...
 *   fathom_session_finish(s), fathom_session_rest(s)
 *
 * Every fallible function returns a fathom_status and fills an error text. Nothing here exits or prints. One thread at a
 * time may use an engine and its sessions, but for fathom_session_cancel, which any thread may call; separate
 * engines are independent.
 *
 * A program runs with a later library than it was built with: structures only grow at their end, and the functions with _sized in their
 * names, which those without call, are told the `size` that the caller knows. What a caller does not know is zero going in and left out coming
 * back; a field that the library does not know must be zero (FATHOM_EINVAL). From other languages call the _sized ones. */
#ifndef FATHOM_H
#define FATHOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_API __attribute__((visibility("default")))

/* The same numbers as in host/base/status.h. */
typedef enum fathom_status {
    FATHOM_OK = 0,
    FATHOM_EINVAL,       /* a bad argument */
    FATHOM_EFORMAT,      /* a file, or messages, whose content is wrong */
    FATHOM_EIO,          /* the operating system refused a read, write or map */
    FATHOM_ENOMEM,       /* memory ran out */
    FATHOM_EUNSUPPORTED, /* valid, but not something this build, backend or model does */
    FATHOM_ELIMIT,       /* context, cache or sessions ran out */
    FATHOM_ECANCELLED,
    FATHOM_ENUMERIC, /* a NaN or an infinity where a number is needed */
    FATHOM_EDEVICE,  /* a device failed or was lost */
} fathom_status;

typedef struct fathom_error {
    fathom_status status;
    char text[512]; /* one line, without newline: what was wrong, and in which file, tensor or field */
} fathom_error;

enum { FATHOM_MOST_DRAFTS = 15 };

typedef struct fathom_engine fathom_engine;
typedef struct fathom_session fathom_session;
typedef struct fathom_picture fathom_picture;

/* Zeroed with only `model` set is good. Texts are borrowed during fathom_engine_open. */
typedef struct fathom_options {
    const char *model;    /* folder, .safetensors with config.json beside it, or .gguf */
    const char *backend;  /* "auto" (NULL), "cpu", "reference", "sim" (a simulated board), "sim:u280", "xrt:emu" */
    const char *board;    /* of "sim", "xrt": a name that `fathom boards` lists, or a .board file; NULL: "u55c" */
    const char *xclbin;   /* of a card ("xrt:0000:3b:00.1"): its image */
    const char *numerics; /* "auto" (NULL), "w8a8", "w8a16" */
    const char *cache;    /* "auto" (NULL): "f32"; "bf16" and "fp8" are smaller and round what they keep */
    int threads;          /* 0: all CPUs */
    int32_t context;      /* positions of one sequence; 0: the model's own, at most 8192 */
    int32_t sessions;     /* open at once; 0: 1 */
    int64_t cache_bytes;  /* of the page pool; 0: sessions * context */
    int32_t step_rows;    /* rows of one step, at least `sessions`; 0: 256 */
    bool logits_all;      /* fathom_logits may ask for every position */
    int32_t score_rows;   /* rows of one step that may give log-probabilities of prompts; 0: 32 */
    bool timeline;        /* keep what fathom_engine_timeline writes */
    bool mtp;             /* also load the multi-token-prediction layer, where the model has one */
    int32_t drafts; /* tokens guessed ahead in one step, 0 .. FATHOM_MOST_DRAFTS; 0: none. By the multi-token-prediction
                           * layer when it is loaded, else from what the text repeats. Never changes an answer. */
    /* A file that `fathom trace` wrote: a device with too little memory for the model holds the experts that it visits most. NULL: all
     * count as visited alike. */
    const char *experts_by;
    /* Called by fathom_engine_open in its own thread while the weights are taken: bytes so far, bytes in all. NULL: not. */
    void (*progress)(void *ctx, int64_t done, int64_t total);
    void *progress_ctx;
    /* Several processes (ranks) run the model together, started by mpirun (docs/cluster.md). NULL: one process. "expert": they divide the
     * routed experts and the rows of a step; "pipeline": the layers; "both", "both:STAGES": both. */
    const char *cluster;
    int32_t ranks;               /* 0: 2 */
    const char *cluster_launch;  /* what starts them, up to -n RANKS; NULL: mpirun on this machine */
    int32_t cluster_deadline_ms; /* how long a step may take before a rank counts as lost; 0: 60000 */
    const char *placement;       /* a file that spreads the model over several boards (`fathom plan --emit`) */
} fathom_options;

/* FATHOM_ENOMEM names the sum, before it is taken, when cache and tables exceed this machine's memory. */
FATHOM_API fathom_status fathom_engine_open_sized(fathom_engine **out, const fathom_options *options, size_t size,
                                                  fathom_error *e);
static inline fathom_status fathom_engine_open(fathom_engine **out, const fathom_options *options, fathom_error *e) {
    return fathom_engine_open_sized(out, options, sizeof *options, e);
}
/* Closes its sessions too; NULL allowed. */
FATHOM_API void fathom_engine_close(fathom_engine *engine);

/* Texts live as long as the engine. */
typedef struct fathom_info {
    const char *architecture, *model_name, *backend, *backend_detail, *numerics, *cache;
    const char *chat_family; /* or NULL */
    int32_t vocabulary, context, layers, hidden;
    int32_t
        picture_rows; /* positions that a picture takes beside begin and end; 0: the model does not look at pictures */
    int64_t parameters;
    int64_t file_bytes, cache_bytes, cache_bytes_per_token, other_bytes;
    int32_t drawing_side, drawing_codes; /* pixels along a side of a picture that it draws, codes of one; 0: none */
} fathom_info;
FATHOM_API void fathom_engine_info_sized(const fathom_engine *engine, fathom_info *info, size_t size);
static inline void fathom_engine_info(const fathom_engine *engine, fathom_info *info) {
    fathom_engine_info_sized(engine, info, sizeof *info);
}

/* What the board of the engine's backend did since opening: by its own clock, which a simulator models. */
typedef struct fathom_device {
    const char *board; /* "u55c" */
    bool simulated;
    double seconds, joules;
    double unit_cycles; /* cycles of the kernel clock in which a compute unit worked, summed over units */
    double bank_bytes;  /* read and written by kernels */
    double to_card_bytes, from_card_bytes;
    int64_t launches, transfers;
    int64_t card_used_bytes, card_bytes;
} fathom_device;
/* False where the backend has no board. */
FATHOM_API bool fathom_engine_device_sized(const fathom_engine *engine, fathom_device *device, size_t size);
static inline bool fathom_engine_device(const fathom_engine *engine, fathom_device *device) {
    return fathom_engine_device_sized(engine, device, sizeof *device);
}
/* Writes what the board did so far as a Chrome trace-event file. FATHOM_EUNSUPPORTED without a board, FATHOM_EINVAL unless the
 * engine was opened with `timeline`, FATHOM_EIO. */
FATHOM_API fathom_status fathom_engine_timeline(fathom_engine *engine, const char *path, fathom_error *e);

/* Text to ids and back. Returned memory is the caller's, released with fathom_free. FATHOM_EUNSUPPORTED when the model
 * brings no tokenizer. `prefix`: put the ids in front that the model's texts begin with (begin of sentence). Special tokens
 * written in `text` are recognised, so what a user typed belongs into fathom_encode_chat. The decoded text is UTF-8 and
 * terminated. */
FATHOM_API fathom_status fathom_encode(fathom_engine *engine, const char *text, size_t bytes, bool prefix,
                                       int32_t **ids, size_t *n, fathom_error *e);
FATHOM_API fathom_status fathom_decode(fathom_engine *engine, const int32_t *ids, size_t n, bool skip_special,
                                       char **text, size_t *bytes, fathom_error *e);
/* `messages_json`: an array of {"role": ..., "content": ...}; user text never becomes a special token. Where the model looks at pictures a
 * user's content may be an array of {"type": "text", "text": ...} and {"type": "image"}. The
 * prompt ends where the assistant's answer begins. family NULL: the model's. */
FATHOM_API fathom_status fathom_encode_chat(fathom_engine *engine, const char *family, const char *messages_json,
                                            int32_t **ids, size_t *n, fathom_error *e);
/* A prompt for what belongs between two texts, in both of which nothing becomes a special token. FATHOM_EUNSUPPORTED where the model has no
 * tokens for fill-in-the-middle. */
FATHOM_API fathom_status fathom_encode_fim(fathom_engine *engine, const char *prefix, size_t prefix_bytes,
                                           const char *suffix, size_t suffix_bytes, int32_t **ids, size_t *n,
                                           fathom_error *e);
FATHOM_API void fathom_free(void *p);

/* How a session chooses tokens. Zeroed is greedy without penalties. Order: repetition penalty, frequency and presence
 * penalties, temperature, top-k, top-p, min-p, draw (host/engine/sampler.h defines each). */
typedef struct fathom_sampling {
    float temperature;        /* 0: greedy, the lowest id of equal logits */
    int32_t top_k;            /* 0: off */
    float top_p;              /* 0 or 1: off */
    float min_p;              /* 0: off */
    float repetition_penalty; /* 0 or 1: off; logits of tokens in prompt and answer are divided (if > 0)
                               * or multiplied by it */
    float presence_penalty;   /* 0: off; subtracted once from every token of the answer so far */
    float frequency_penalty;  /* 0: off; subtracted times its count */
    uint64_t seed;            /* same prompt and seed, same text, on any machine */
    int32_t max_tokens;       /* 0: until the context is full */
    const char *const *stop;  /* [n_stop] texts in UTF-8 that end the answer; they do not come out */
    int32_t n_stop;
    const int32_t *stop_ids; /* end the answer as end-of-sequence does */
    int32_t n_stop_ids;
    bool ignore_eos;
    int32_t top_logprobs; /* report this many alternatives of each token, 0..20 */
    /* Log-probabilities of the prompt's tokens from this index on come out of fathom_session_scored; those before it may come from the
     * cache. 1: all that have one. 0: none */
    int32_t score_from;
    bool prompt_only; /* no answer: the session ends (FATHOM_LENGTH) when its prompt is computed */
    /* What the answer must be. Tokens that would break it are not chosen; its end comes by itself. Cut short by max_tokens or a
     * stop text it is only a beginning. Texts are JSON. What is supported of schemas: host/grammar/README.md. */
    const char *json_schema; /* NULL: any text; "" or "{}": a JSON object; else a schema that the answer fits */
    const char *tools;  /* NULL: none; [{"type": "function", "function": {"name", "parameters": schema}}]: calls in the
                              * markup of the model's chat family have these names and arguments. Alone: any text, then
                              * perhaps calls; beside json_schema: a value that fits, or calls */
    const char *tool;   /* NULL: any of `tools`; else the name of the one to call */
    bool tool_required; /* nothing but calls, at least one */
    bool single_call;   /* at most one call */
    const char *prefix; /* NULL: none; else the text that the answer begins with; not together with the others */
    bool thinking;      /* the answer begins inside <think>; the above, and stop texts, hold from behind </think> */
} fathom_sampling;

/* Why a session ended. */
typedef enum fathom_finish {
    FATHOM_RUNNING = 0,
    FATHOM_STOP,    /* end-of-sequence token, stop id or stop text; also before the first prompt */
    FATHOM_LENGTH,  /* max_tokens */
    FATHOM_CONTEXT, /* the context is full */
    FATHOM_CANCELLED,
    FATHOM_FAILED, /* fathom_session_error says why */
} fathom_finish;

/* `owner`: sessions of one owner share cached prefixes. FATHOM_ELIMIT when all are open. NULL may be closed. */
FATHOM_API fathom_status fathom_session_open(fathom_engine *engine, uint64_t owner, fathom_session **out,
                                             fathom_error *e);
FATHOM_API void fathom_session_close(fathom_session *s);

/* Starts an answer to the whole prompt `ids`; what the cache already holds of it is not computed again. An answer in progress
 * is abandoned. Everything is copied; sampling NULL: greedy. FATHOM_EINVAL names the id or field that is out of range,
 * FATHOM_ELIMIT says that the prompt is longer than the context; after an error the session is as it was. */
FATHOM_API fathom_status fathom_session_prompt_sized(fathom_session *s, const int32_t *ids, size_t n,
                                                     const fathom_sampling *sampling, size_t size, fathom_error *e);
static inline fathom_status fathom_session_prompt(fathom_session *s, const int32_t *ids, size_t n,
                                                  const fathom_sampling *sampling, fathom_error *e) {
    return fathom_session_prompt_sized(s, ids, n, sampling, sizeof *sampling, e);
}

/* A picture from the bytes of a PNG, JPEG or WebP file; `name` is for error texts. May be called in any thread while the engine is open, and so may
 * closing it; it stays while sessions use it. FATHOM_EUNSUPPORTED: the model does not look at pictures. FATHOM_EFORMAT, FATHOM_ELIMIT:
 * damaged, or larger than is read. NULL may be closed. */
FATHOM_API fathom_status fathom_picture_open(fathom_engine *engine, const void *bytes, size_t n, const char *name,
                                             fathom_picture **out, fathom_error *e);
FATHOM_API void fathom_picture_close(fathom_picture *picture);
/* The pictures of the next prompt, in the order of their placeholders, of which each takes picture_rows in a row (fathom_encode_chat makes them).
 * Without this call, or with n = 0, placeholders are tokens like any other. The prompt fails with FATHOM_EINVAL when the numbers differ. */
FATHOM_API fathom_status fathom_session_show(fathom_session *s, fathom_picture *const *pictures, size_t n,
                                             fathom_error *e);

/* Drawing, by models whose drawing_side is not 0. The prompt that asks for a picture of what `text` says; as fathom_encode_chat. */
FATHOM_API fathom_status fathom_encode_drawing(fathom_engine *engine, const char *text, size_t bytes, int32_t **ids,
                                               size_t *n, fathom_error *e);
/* Starts a picture in the place of an answer. Of `sampling`, temperature, top_k, top_p, min_p and seed count. Each code is chosen by
 * without + guidance * (with - without) of its logits with the prompt and without it: 1 is the prompt alone, 5 is usual. Codes come out of
 * fathom_session_next, without text; then the picture is decoded, and the session ends with FATHOM_STOP. The session holds two sequences in the cache.
 * Errors as of fathom_session_prompt; FATHOM_EUNSUPPORTED: the model does not draw. */
FATHOM_API fathom_status fathom_session_draw(fathom_session *s, const int32_t *ids, size_t n,
                                             const fathom_sampling *sampling, float guidance, fathom_error *e);
/* Codes and layers of the decoder that are done, and in all; 0 and 0 while the session does not draw. */
FATHOM_API void fathom_session_drawing_progress(const fathom_session *s, int32_t *done, int32_t *total);
/* True when the picture is whole: *rgb [side, side, 3], a view until the next prompt. */
FATHOM_API bool fathom_session_drawn(const fathom_session *s, const uint8_t **rgb, int32_t *side);

/* One step of the engine over all sessions that have work: cuts long prompts into chunks, one new token for each session that
 * is past its prompt, and one more for each draft that proves right. A session whose tokens have not all been taken with
 * fathom_session_next waits. *busy (or NULL) =
 * sessions whose answer goes on. An error here is the engine's (no session moved on); a session's own error ends that
 * session alone. Takes no memory. */
FATHOM_API fathom_status fathom_engine_step(fathom_engine *engine, int *busy, fathom_error *e);

typedef struct fathom_token {
    int32_t id;
    /* What became whole with it and is no part of a stop text: UTF-8, a view until the next step; may be "". */
    const char *text;
    size_t bytes;
    float logprob; /* of the token under the unmodified distribution */
    int32_t n_top;
    int32_t top_ids[20];
    float top_logprobs[20];
} fathom_token;

/* The next token that the session has made and the caller has not seen; false when there is none at the moment. The token
 * that ends an answer (end-of-sequence, stop id) comes too, without text. */
FATHOM_API bool fathom_session_next_sized(fathom_session *s, fathom_token *token, size_t size);
static inline bool fathom_session_next(fathom_session *s, fathom_token *token) {
    return fathom_session_next_sized(s, token, sizeof *token);
}
/* The next of the prompt's tokens that were asked for by score_from, with its log-probability and alternatives, without text; false
 * when there is none at the moment. They come in the prompt's order, before the answer; a session whose caller leaves them waits. */
FATHOM_API bool fathom_session_scored_sized(fathom_session *s, fathom_token *token, size_t size);
static inline bool fathom_session_scored(fathom_session *s, fathom_token *token) {
    return fathom_session_scored_sized(s, token, sizeof *token);
}
FATHOM_API fathom_finish fathom_session_finish(const fathom_session *s);
/* After the end: text that was held back for a stop text or an unfinished character, to be shown after the last token; a view,
 * until the next prompt; may be "". */
FATHOM_API const char *fathom_session_rest(fathom_session *s);
FATHOM_API const char *fathom_session_error(const fathom_session *s);
/* From any thread; ends the answer before the next step computes. */
FATHOM_API void fathom_session_cancel(fathom_session *s);

typedef struct fathom_usage {
    int32_t prompt_tokens, cached_tokens, new_tokens;
    int32_t draft_tokens, accepted_tokens; /* guessed ahead; of these, those that proved right */
    int64_t prompt_ns, new_ns;             /* time spent in steps that held its prompt rows; its later rows */
} fathom_usage;
FATHOM_API void fathom_session_usage_sized(const fathom_session *s, fathom_usage *usage, size_t size);
static inline fathom_usage fathom_session_usage(const fathom_session *s) {
    fathom_usage usage;
    fathom_session_usage_sized(s, &usage, sizeof usage);
    return usage;
}

/* Logits of a prompt, without a session: writes [n, vocabulary] when `all` (for engines opened with logits_all), else those of
 * the last position, [1, vocabulary]. FATHOM_ENUMERIC names the position where a number is not finite. */
FATHOM_API fathom_status fathom_logits(fathom_engine *engine, const int32_t *ids, size_t n, bool all, float *logits,
                                       fathom_error *e);

FATHOM_API const char *fathom_version(void);

#ifdef __cplusplus
}
#endif

#endif
