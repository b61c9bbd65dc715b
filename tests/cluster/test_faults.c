/* A service whose ranks die and stall: requests end with 503 and a cause, or with the right answer, in time, and the next one is answered.
 * FATHOM_KILLS says how many ranks are killed. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/cluster/mpi.h"
#include "tests/lib/command.h"
#include "tests/lib/http.h"
#include "tests/lib/processes.h"

enum { KILLS = 4, RANKS = 3, MOST_SECONDS = 10, ANSWER = 48 };

#define OPTIONS "--cluster both --ranks 3 --threads 1 --parallel 4 --ctx 512 --cluster-deadline 3"
#define BODY \
    "{\"model\":\"fathom-r1-mini\",\"prompt\":\"What is 47 * 68?\",\"max_tokens\":48,\"temperature\":1,\"seed\":7,\"ignore_eos\":true}"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void need_rank(void) {
    char path[512];
    check_mpi();
    snprintf(path, sizeof path, "%s/fathom-rank", check_build());
    if (access(path, X_OK)) check_skip("built without Open MPI (libopenmpi-dev)");
}

/* The ranks that run now, those of mpirun that the service has started; how many. */
static int ranks_of(const check_server *s, pid_t *ranks, int most) {
    pid_t children[8];
    int n = check_children(s->child, children, 8), found = 0;
    for (int i = 0; i < n && !found; i++) found = check_children(children[i], ranks, most);
    return found;
}

static int begin(const check_server *s) {
    char request[1024];
    int n = snprintf(request, sizeof request,
                     "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(BODY), BODY);
    int fd = check_connect(s);
    check_send(fd, request, (size_t)n);
    return fd;
}

static char *text_of(const check_response *r) {
    json_t *j = check_response_json(r);
    const char *text = json_string_value(json_object_get(json_array_get(json_object_get(j, "choices"), 0), "text"));
    char *copy = text ? strdup(text) : NULL;
    json_decref(j);
    CHECK(copy, "no text: %s", r->body);
    return copy;
}

/* 200 with the right text, or 503 with a cause; whether it was 200. */
static bool judge(const char *when, const check_response *r, const char *want, double seconds) {
    CHECK(seconds < MOST_SECONDS, "%s: %.1f s", when, seconds);
    if (r->status == 200) {
        char *text = text_of(r);
        CHECK(!strcmp(text, want), "%s: '%s' is not '%s'", when, text, want);
        free(text);
        return true;
    }
    CHECK(r->status == 503, "%s: status %d: %s", when, r->status, r->body);
    CHECK(strstr(r->body, "\"code\":\"device_lost\"") && strstr(r->body, "cluster: "), "%s: %s", when, r->body);
    return false;
}

static bool ask(const check_server *s, const char *when, const char *want) {
    double start = now();
    check_response r = check_receive(begin(s), MOST_SECONDS);
    bool ok = judge(when, &r, want, now() - start);
    check_response_free(&r);
    return ok;
}

/* The answer without faults, and how long it takes. */
static char *first_answer(const check_server *s, double *seconds) {
    double start = now();
    check_response r = check_receive(begin(s), 60);
    CHECK(r.status == 200, "status %d: %s", r.status, r.body);
    *seconds = now() - start;
    char *text = text_of(&r);
    check_response_free(&r);
    return text;
}

static void kills_end_requests_by_503_and_the_service_goes_on(void *arg) {
    (void)arg;
    need_rank();
    const char *wanted = getenv("FATHOM_KILLS");
    int kills = wanted ? atoi(wanted) : KILLS, lost = 0;
    check_server s;
    check_rng rng = {11};
    double seconds, longest = 0;
    check_server_start(&s, OPTIONS);
    char *want = first_answer(&s, &seconds);
    for (int k = 0; k < kills; k++) {
        char when[64];
        pid_t ranks[8] = {0};
        int fd = begin(&s), victim = (int)(check_u64(&rng) % RANKS), n;
        double start = now();
        usleep((useconds_t)(1e6 * seconds * 1.3 * check_uniform(&rng)));
        n = ranks_of(&s, ranks, 8);
        snprintf(when, sizeof when, "kill %d", k);
        if (n) kill(ranks[victim % n], SIGKILL);
        check_response r = check_receive(fd, MOST_SECONDS);
        lost += !judge(when, &r, want, now() - start);
        check_response_free(&r);
        snprintf(when, sizeof when, "after kill %d", k);
        /* at most one request more meets the job while mpirun ends it */
        double again = now();
        if (!ask(&s, when, want)) CHECK(ask(&s, when, want), "%s: lost twice", when);
        longest = now() - again > longest ? now() - again : longest;
    }
    printf("%d kills, %d requests lost, the next answer within %.1f s\n", kills, lost, longest);
    CHECK(check_server_stop(&s) == 0);
    free(want);
}

static void a_stalled_rank_is_named(void *arg) {
    (void)arg;
    need_rank();
    check_server s;
    double seconds;
    check_server_start(&s, OPTIONS);
    char *want = first_answer(&s, &seconds);
    for (int victim = 0; victim < RANKS; victim++) {
        pid_t ranks[8];
        char says[64];
        int n = ranks_of(&s, ranks, 8);
        CHECK(n == RANKS, "%d ranks", n);
        kill(ranks[victim], SIGSTOP);
        double start = now();
        check_response r = check_receive(begin(&s), MOST_SECONDS);
        CHECK(!judge("stalled", &r, want, now() - start));
        snprintf(says, sizeof says, "rank %d does not answer", victim);
        CHECK(strstr(r.body, says), "%s: %s", says, r.body);
        check_response_free(&r);
        CHECK(ask(&s, "after a stall", want));
    }
    CHECK(check_server_stop(&s) == 0);
    free(want);
}

static void nothing_is_left_behind(void *arg) {
    (void)arg;
    need_rank();
    check_server s;
    pid_t ranks[8];
    check_server_start(&s, OPTIONS);
    int n = ranks_of(&s, ranks, 8);
    CHECK(n == RANKS);
    kill(s.child, SIGKILL);
    for (int i = 0; i < 500; i++) {
        int alive = 0;
        for (int k = 0; k < n; k++) alive += check_alive(ranks[k]);
        if (!alive) break;
        CHECK(i < 499, "%d ranks outlive the service", alive);
        usleep(10000);
    }
    check_server_stop(&s);
}

/* As Slurm starts it: the service is one of mpirun's processes. */
static void under_mpirun_the_job_ends_with_its_rank(void *arg) {
    (void)arg;
    need_rank();
    char *folder = check_folder();
    check_output o = check_command(
        "unset FATHOM_LIBEXEC; cd %s; B=$OLDPWD; mpirun --oversubscribe --bind-to none -n 3 \"$B/$FATHOM_BIN\" serve --model $B/models/fathom-r1-mini --port 0 "
        "--database db --cluster expert --threads 1 --ctx 512 --parallel 2 >out 2>err & M=$!; "
        "for i in $(seq 600); do grep -q listening out && break; sleep 0.1; done; U=$(sed 's/.* on //' out); "
        "curl -s -m 20 $U/v1/completions -H 'Content-Type: application/json' -d '" BODY "' >first; "
        "V=$(pgrep -P $M -x fathom-rank | head -1); kill -9 $V; "
        "S=$(date +%%s); wait $M; C=$?; echo status $C seconds $(($(date +%%s) - S)) victim $V; cat first",
        folder);
    int status = 0, seconds = 99, victim = 0;
    sscanf(o.out, "status %d seconds %d victim %d", &status, &seconds, &victim);
    CHECK(victim > 0 && status != 0 && seconds < MOST_SECONDS, "%s%s", o.out, o.err);
    CHECK(strstr(o.out, "\"choices\""), "%s", o.out);
    check_output_free(&o);
    check_folder_remove(folder);
}

/* Rank 1 finds another model at the same path: in a mount namespace of its own. */
static void another_model_is_refused(void *arg) {
    (void)arg;
    need_rank();
    if (system("unshare -m true 2>/dev/null")) check_skip("no mount namespaces here (not root)");
    char *folder = check_folder();
    check_output o = check_command(
        "unset FATHOM_LIBEXEC; cd %s; B=$OLDPWD; cp -r $B/tests/golden/deepseek-v3-tiny here; cp -r $B/tests/golden/deepseek-v3-tiny-fp8 other; "
        "cat >wrap <<'END'\n"
        "#!/bin/sh\n"
        "[ $OMPI_COMM_WORLD_RANK = 1 ] || exec \"$@\"\n"
        "exec unshare -m sh -c 'mount --bind other here && exec \"$@\"' sh \"$@\"\n"
        "END\n"
        "cat >launch <<'END'\n"
        "#!/bin/sh\n"
        "n=$2; shift 2\n"
        "exec mpirun --oversubscribe --bind-to none -n $n ./wrap \"$@\"\n"
        "END\n"
        "chmod +x wrap launch; \"$B/$FATHOM_BIN\" run --model here --ids 1,2,3 -n 2 --cluster expert --ranks 3 --threads 1 "
        "--cluster-launch ./launch",
        folder);
    CHECK(o.status == 1 && !*o.out, "status %d: %s", o.status, o.out);
    CHECK(strstr(o.err, "cluster: rank 1 on ") && strstr(o.err, ": the model is "), "%s", o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

/* ---- answers ---- */

static char *answer(const char *start, const char *options) {
    check_output o =
        check_command("%s \"$FATHOM_BIN\" run --temp 0 -n %d --threads 1 -q --print-ids %s 'What is 47 * 68?'", start,
                      ANSWER, options);
    CHECK(o.status == 0, "%s %s: %s", start, options, o.err);
    char *text = strdup(o.out);
    check_output_free(&o);
    return text;
}

static void run_answers_alike(void *arg) {
    (void)arg;
    need_rank();
    static const struct {
        const char *start, *options;
    } ways[] = {{"", "--cluster expert --ranks 2"},
                {"", "--cluster pipeline --ranks 2 --drafts 3"},
                {"mpirun --oversubscribe --bind-to none -n 3", "--cluster both --drafts 2"}};
    char *plain = answer("", ""), *json = answer("", "--json");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char *text = answer(ways[i].start, ways[i].options);
        CHECK(!strcmp(text, plain), "%s: '%s' is not '%s'", ways[i].options, text, plain);
        free(text);
    }
    char *text = answer("", "--json --cluster expert --ranks 2");
    CHECK(!strcmp(text, json), "'%s' is not '%s'", text, json);
    free(text);
    free(plain);
    free(json);
}

static void bad_uses_are_refused(void *arg) {
    (void)arg;
    need_rank();
    static const check_refusal uses[] = {
        {"run --ids 1 --ranks 2", "are for --cluster MODE", 2},
        {"run --ids 1 --cluster sideways --ranks 2", "'sideways' is not expert, pipeline, both", 1},
        {"run --ids 1 --cluster both:9 --ranks 2", "2 ranks and 4 layers make 1..2 stages", 1},
        {"run --ids 1 --cluster expert --cluster-launch /dev/null/x", "/dev/null/x: Not a directory", 1},
        {"run --ids 1 --cluster expert --cluster-launch false", "cluster: ", 1},
        {"run --ids 1 --cluster expert --backend nothing", "backend 'nothing' is unknown", 1},
        {"trace --ids 1,2 --cluster expert --ranks 2", "not by a cluster", 1},
    };
    check_refusals(uses, sizeof uses / sizeof *uses);
}

static const check_case cases[] = {
    {"run answers alike, with drafts and grammars, however ranks are started", run_answers_alike, NULL},
    {"bad uses are refused", bad_uses_are_refused, NULL},
    {"a rank with another model is refused at start, by rank and field", another_model_is_refused, NULL},
    {"ranks killed at random moments: 503 or the right answer in time, then answers again",
     kills_end_requests_by_503_and_the_service_goes_on, NULL},
    {"a rank that stalls is named by 503 at the deadline, then answers again", a_stalled_rank_is_named, NULL},
    {"no rank outlives a service that is killed", nothing_is_left_behind, NULL},
    {"under mpirun the job ends with an error when a rank dies", under_mpirun_the_job_ends_with_its_rank, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
