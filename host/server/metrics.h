/* Counters of the running service, and their text for Prometheus. Numbers only. */
#ifndef FA_SERVER_METRICS_H
#define FA_SERVER_METRICS_H

#include <pthread.h>
#include <stdint.h>

enum { FA_METRIC_ROUTES = 24, FA_METRIC_STATUS = 20, FA_METRIC_BUCKETS = 14 };

/* Seconds, in buckets that double from 1 ms on. */
typedef struct fa_histogram {
    int64_t bucket[FA_METRIC_BUCKETS + 1]; /* the last: longer than all */
    double sum;
} fa_histogram;

typedef struct fa_metrics {
    pthread_mutex_t lock; /* of all below */
    struct {
        const char *route; /* static */
        int status;
        int64_t count;
    } requests[FA_METRIC_ROUTES * FA_METRIC_STATUS];
    int n_requests;
    fa_histogram request, first_token, step;
    int64_t prompt_tokens, cached_tokens, completion_tokens, disconnects, engine_errors;
} fa_metrics;

void fa_metrics_open(fa_metrics *m);
void fa_metrics_close(fa_metrics *m);

void fa_metrics_request(fa_metrics *m, const char *route, int status, double seconds);
void fa_metrics_step(fa_metrics *m, double seconds);
void fa_metrics_first_token(fa_metrics *m, double seconds);
void fa_metrics_tokens(fa_metrics *m, int64_t prompt, int64_t cached, int64_t completion);
void fa_metrics_disconnect(fa_metrics *m);
void fa_metrics_engine_error(fa_metrics *m);

#endif
