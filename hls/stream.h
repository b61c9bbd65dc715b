/* Streams between the processes of a DATAFLOW region: arrays that one function puts in rising order and the next gets in the
 * same order, once each, so that HLS makes FIFOs of them. With -DHLS_CHECK every put and get is checked: the order, the depth,
 * that nothing is read before it is written or left behind. check.c keeps the first fault of a thread. */
#ifndef HLS_STREAM_H
#define HLS_STREAM_H

#ifdef HLS_CHECK

typedef struct hls_stream_check {
    const char *name;
    int depth, puts, gets;
} hls_stream_check;

/* The first fault since the last call on this thread, e.g. "results: get 3 before it was put", or NULL. */
const char *hls_check_fault(void);
void hls_check_put(hls_stream_check *s, int i);
void hls_check_get(hls_stream_check *s, int i);
void hls_check_end(hls_stream_check *s);

#define HLS_STREAM(type, name, depth) \
    type name[(depth)];               \
    hls_stream_check name##_check = {#name, depth, 0, 0}
#define HLS_STREAM_PARAM(type, name, depth) type name[depth], hls_stream_check *name##_check
#define HLS_STREAM_PASS(name) name, &name##_check   /* from the function that declared it */
#define HLS_STREAM_PASS_ON(name) name, name##_check /* from a function that got it */
#define HLS_PUT(name, i, value) (hls_check_put(name##_check, i), name[i] = (value))
#define HLS_GET(name, i) (hls_check_get(name##_check, i), name[i])
#define HLS_STREAM_END(name) hls_check_end(&name##_check)

#else

/* NOLINTBEGIN(bugprone-macro-parentheses): they declare */
#define HLS_STREAM(type, name, depth) type name[(depth)]
#define HLS_STREAM_PARAM(type, name, depth) type name[depth]
#define HLS_STREAM_PASS(name) name
#define HLS_STREAM_PASS_ON(name) name
#define HLS_PUT(name, i, value) (name[i] = (value))
#define HLS_GET(name, i) name[i]
/* NOLINTEND(bugprone-macro-parentheses) */
#define HLS_STREAM_END(name) (void)0

#endif

#endif
