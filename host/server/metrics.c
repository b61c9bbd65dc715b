#include "host/server/metrics.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "host/server/internal.h"
#include "host/server/routes.h"

void fa_metrics_open(fa_metrics *m) {
    memset(m, 0, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
}

void fa_metrics_close(fa_metrics *m) {
    pthread_mutex_destroy(&m->lock);
}

static void observe(fa_histogram *h, double seconds) {
    int b = 0;
    for (double limit = 0.001; b < FA_METRIC_BUCKETS && seconds > limit; limit *= 2) b++;
    h->bucket[b]++;
    h->sum += seconds;
}

void fa_metrics_request(fa_metrics *m, const char *route, int status, double seconds) {
    pthread_mutex_lock(&m->lock);
    int i = 0;
    while (i < m->n_requests && (m->requests[i].route != route || m->requests[i].status != status)) i++;
    if (i == m->n_requests && i < FA_METRIC_ROUTES * FA_METRIC_STATUS) {
        m->requests[i].route = route;
        m->requests[i].status = status;
        m->n_requests++;
    }
    if (i < m->n_requests) m->requests[i].count++;
    observe(&m->request, seconds);
    pthread_mutex_unlock(&m->lock);
}

void fa_metrics_step(fa_metrics *m, double seconds) {
    pthread_mutex_lock(&m->lock);
    observe(&m->step, seconds);
    pthread_mutex_unlock(&m->lock);
}

void fa_metrics_first_token(fa_metrics *m, double seconds) {
    pthread_mutex_lock(&m->lock);
    observe(&m->first_token, seconds);
    pthread_mutex_unlock(&m->lock);
}

void fa_metrics_tokens(fa_metrics *m, int64_t prompt, int64_t cached, int64_t completion) {
    pthread_mutex_lock(&m->lock);
    m->prompt_tokens += prompt;
    m->cached_tokens += cached;
    m->completion_tokens += completion;
    pthread_mutex_unlock(&m->lock);
}

void fa_metrics_disconnect(fa_metrics *m) {
    pthread_mutex_lock(&m->lock);
    m->disconnects++;
    pthread_mutex_unlock(&m->lock);
}

void fa_metrics_engine_error(fa_metrics *m) {
    pthread_mutex_lock(&m->lock);
    m->engine_errors++;
    pthread_mutex_unlock(&m->lock);
}

/* --- text for Prometheus (exposition format 0.0.4) ---------------------------------------------------------------------- */

static void print_one(FILE *f, const char *name, const char *type, const char *help, int64_t value) {
    fprintf(f, "# HELP fathom_%s %s\n# TYPE fathom_%s %s\nfathom_%s %lld\n", name, help, name, type, name,
            (long long)value);
}

static void print_histogram(FILE *f, const char *name, const char *help, const fa_histogram *h) {
    int64_t sum = 0;
    double limit = 0.001;
    fprintf(f, "# HELP fathom_%s %s\n# TYPE fathom_%s histogram\n", name, help, name);
    for (int b = 0; b < FA_METRIC_BUCKETS; b++, limit *= 2) {
        sum += h->bucket[b];
        fprintf(f, "fathom_%s_bucket{le=\"%g\"} %lld\n", name, limit, (long long)sum);
    }
    sum += h->bucket[FA_METRIC_BUCKETS];
    fprintf(f, "fathom_%s_bucket{le=\"+Inf\"} %lld\nfathom_%s_sum %.9g\nfathom_%s_count %lld\n", name, (long long)sum,
            name, h->sum, name, (long long)sum);
}

static void print_counters(FILE *f, const fa_metrics *m) {
    fputs("# HELP fathom_requests_total Requests by route and status\n# TYPE fathom_requests_total counter\n", f);
    for (int i = 0; i < m->n_requests; i++)
        fprintf(f, "fathom_requests_total{route=\"%s\",status=\"%d\"} %lld\n", m->requests[i].route,
                m->requests[i].status, (long long)m->requests[i].count);
    print_one(f, "prompt_tokens_total", "counter", "Tokens of prompts", m->prompt_tokens);
    print_one(f, "cached_tokens_total", "counter", "Those of them that the cache had", m->cached_tokens);
    print_one(f, "completion_tokens_total", "counter", "Tokens of answers", m->completion_tokens);
    print_one(f, "disconnects_total", "counter", "Clients that left before their answer ended", m->disconnects);
    print_one(f, "engine_errors_total", "counter", "Steps of the engine that failed", m->engine_errors);
    print_histogram(f, "request_seconds", "From a request's headers to the end of its response", &m->request);
    print_histogram(f, "first_token_seconds", "From a request's headers to its first token", &m->first_token);
    print_histogram(f, "step_seconds", "One step of the engine", &m->step);
}

static void print_accounts(FILE *f, fa_accounts *a) {
    fa_accounts_view v = fa_accounts_look(a);
    print_one(f, "running", "gauge", "Requests that run", v.admission.running);
    print_one(f, "waiting", "gauge", "Requests that wait", v.admission.waiting);
    print_one(f, "newcomers_running", "gauge", "Those that run of keys without a history",
              v.admission.newcomers_running);
    print_one(f, "newcomers_waiting", "gauge", "Those that wait of keys without a history",
              v.admission.newcomers_waiting);
    print_one(f, "overloaded", "gauge", "1 during an overload", v.admission.overloaded);
    print_one(f, "keys", "gauge", "Keys that are not revoked", (int64_t)v.keys);
    print_one(f, "usage_rows_total", "counter", "Usage rows on the disk", v.rows_written);
    print_one(f, "usage_rows_waiting", "gauge", "Usage rows on their way there", (int64_t)v.rows_waiting);
    print_one(f, "usage_write_errors_total", "counter", "Failed writes of usage rows", v.write_errors);
    fputs("# HELP fathom_refused_total Requests refused, by reason\n# TYPE fathom_refused_total counter\n", f);
    for (int r = FA_REFUSE_NONE + 1; r < FA_REFUSAL_COUNT; r++)
        fprintf(f, "fathom_refused_total{code=\"%s\",status=\"%d\",reason=\"%d\"} %lld\n",
                fa_refusal_code((fa_refusal)r), fa_refusal_status((fa_refusal)r), r, (long long)v.admission.refused[r]);
}

bool fa_handle_metrics(fa_exchange *x) {
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (f) {
        fa_metrics *m = &x->server->metrics;
        pthread_mutex_lock(&m->lock);
        print_counters(f, m);
        pthread_mutex_unlock(&m->lock);
        print_accounts(f, x->server->accounts);
        pthread_mutex_lock(&x->server->peers.lock);
        print_one(f, "connections", "gauge", "Open connections", x->server->peers.count);
        pthread_mutex_unlock(&x->server->peers.lock);
        fclose(f);
    }
    fa_exchange_answer(x, text ? 200 : 500, "text/plain; version=0.0.4; charset=utf-8", text, n);
    return false;
}
