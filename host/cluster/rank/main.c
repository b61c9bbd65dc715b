/* fathom-rank SOCKET: one rank of a cluster, started N times by mpirun. Rank 0 connects to the engine that waits at SOCKET and passes on
 * what it asks; the others work for rank 0. Ends when the engine closes the socket. */
#include <mpi.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/cluster/rank/rank.h"

/* Longer messages over TCP wait for the receiver to ask for them: a way there and back, in which both must be inside of Open MPI. */
#define EAGER_BYTES "1048576"

typedef struct job {
    fa_link link;
    fa_rank *rank;
    int socket; /* rank 0 */
    int32_t *numbers;
    int64_t most_numbers;
    int32_t max_logit_rows;
    float *logits;           /* rank 0: [max_logit_rows, vocab] */
    fa_parcel *told;         /* rank 0: [size] */
    fa_cluster_hello *hello; /* [size]; others: one */
} job;

static bool engine_is_there(void *ctx) {
    const job *j = ctx;
    struct pollfd on = {.fd = j->socket};
    return poll(&on, 1, 0) == 0;
}

static fa_status connect_engine(job *j, const char *path, fa_error *e) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path) return fa_fail(e, FA_EINVAL, "cluster: %s is too long for a socket", path);
    memcpy(to.sun_path, path, strlen(path));
    j->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (j->socket >= 0 && connect(j->socket, (struct sockaddr *)&to, sizeof to) == 0) return FA_OK;
    return fa_fail(
        e, FA_EIO,
        "cluster: rank 0 finds no engine at %s: %m (rank 0 must run on the engine's machine: name it first among the "
        "hosts)",
        path);
}

/* ---- the handshake ---- */

static fa_status share_setup(job *j, fa_cluster_setup *setup, fa_error *e) {
    fa_link *l = &j->link;
    fa_parcel p = {0};
    int64_t bytes = 0;
    fa_status s = FA_OK;
    if (l->rank) {
        s = fa_link_receive(l, 0, FA_TAG_SETUP, setup, sizeof *setup, &p, e);
        if (!s) s = fa_link_idle(l, &p, &bytes, NULL, NULL, e);
        return s;
    }
    fa_frame head;
    s = fa_frame_receive(j->socket, &head, sizeof head, 0, e);
    if (!s && (head.kind != FA_FRAME_SETUP || head.bytes != sizeof *setup))
        s = fa_fail(e, FA_EINVAL,
                    "cluster: rank 0: the engine is of another version than fathom-rank: install both again");
    if (!s) s = fa_frame_receive(j->socket, setup, sizeof *setup, 0, e);
    for (int32_t rank = 1; rank < l->size && !s; rank++)
        s = fa_link_send(l, rank, FA_TAG_SETUP, setup, sizeof *setup, &j->told[rank], e);
    return s;
}

/* Rank 0: what all say, and whether they agree. */
static fa_status hear_hellos(job *j, fa_cluster_ready *ready, fa_error *e) {
    fa_link *l = &j->link;
    fa_status s = FA_OK;
    for (int32_t rank = 1; rank < l->size && !s; rank++) {
        fa_parcel p = {0};
        s = fa_link_receive(l, rank, FA_TAG_HELLO, &j->hello[rank], sizeof *j->hello, &p, e);
        if (!s) s = fa_link_idle(l, &p, NULL, engine_is_there, j, e);
    }
    for (int32_t rank = 0; rank < l->size && !s; rank++)
        if (j->hello[rank].status) s = fa_fail(e, (fa_status)j->hello[rank].status, "%s", j->hello[rank].why);
    if (!s) s = fa_cluster_agree(j->hello, l->size, e);
    *ready = (fa_cluster_ready){.ranks = l->size, .active = j->rank->grid.active, .stages = j->rank->grid.stages};
    snprintf(ready->detail, sizeof ready->detail, "%s", j->hello[0].detail);
    for (int32_t rank = 0; rank < l->size; rank++) {
        const fa_cluster_hello *h = &j->hello[rank];
        ready->weight_bytes += h->weight_bytes;
        if (h->weight_bytes > ready->most_weight_bytes) ready->most_weight_bytes = h->weight_bytes;
        if (h->memory_bytes > ready->memory_bytes) ready->memory_bytes = h->memory_bytes;
    }
    return s;
}

static fa_status prepare(job *j, const fa_cluster_setup *setup, fa_error *e) {
    j->most_numbers = fa_step_most(setup->max_rows, setup->max_positions);
    j->max_logit_rows = setup->max_logit_rows;
    j->numbers = calloc((size_t)j->most_numbers, sizeof *j->numbers);
    j->logits = calloc((size_t)setup->max_logit_rows, (size_t)j->rank->vocab * sizeof *j->logits);
    return j->numbers && j->logits ? FA_OK : fa_fail(e, FA_ENOMEM, "cluster: rank %d: out of memory", j->link.rank);
}

static fa_status shake_hands(job *j, fa_error *e) {
    static fa_cluster_setup setup;
    fa_cluster_hello *mine = &j->hello[0];
    fa_cluster_ready ready;
    fa_status s = share_setup(j, &setup, e);
    if (s) return s;
    s = fa_rank_open(&j->rank, &j->link, &setup, mine, e);
    if (!s) s = prepare(j, &setup, e);
    mine->status = (int32_t)s;
    if (s) snprintf(mine->why, sizeof mine->why, "%s", e->text);
    if (j->link.rank) {
        fa_parcel p = {0};
        s = fa_link_send(&j->link, 0, FA_TAG_HELLO, mine, sizeof *mine, &p, e);
        return s ? s : fa_link_idle(&j->link, &p, NULL, NULL, NULL, e);
    }
    s = hear_hellos(j, &ready, e);
    return s ? s : fa_frame_send(j->socket, FA_FRAME_READY, FA_OK, &ready, sizeof ready, 0, e);
}

/* ---- passes ---- */

/* The next pass; *n 0: the engine has closed. */
static fa_status hear_pass(job *j, int64_t *n, fa_error *e) {
    fa_link *l = &j->link;
    fa_parcel p = {0};
    fa_frame head;
    fa_status s;
    *n = 0;
    if (l->rank) {
        int64_t bytes = 0;
        s = fa_link_receive(l, 0, FA_TAG_STEP, j->numbers, j->most_numbers * (int64_t)sizeof *j->numbers, &p, e);
        if (!s) s = fa_link_idle(l, &p, &bytes, NULL, NULL, e);
        *n = bytes / (int64_t)sizeof *j->numbers;
        return s;
    }
    fa_error ended;
    if (!fa_frame_receive(j->socket, &head, sizeof head, 0, &ended)) {
        if (head.kind != FA_FRAME_STEP || head.bytes <= 0 || head.bytes > j->most_numbers * (int64_t)sizeof *j->numbers)
            return fa_fail(e, FA_EFORMAT, "cluster: rank 0: a frame %d of %lld bytes", head.kind,
                           (long long)head.bytes);
        s = fa_frame_receive(j->socket, j->numbers, head.bytes, 0, e);
        if (s) return s;
        *n = head.bytes / (int64_t)sizeof *j->numbers;
    }
    for (int32_t rank = 1; rank < l->size; rank++) {
        s = fa_link_wait(l, &j->told[rank], NULL, e);
        if (!s) s = fa_link_send(l, rank, FA_TAG_STEP, j->numbers, *n * (int64_t)sizeof *j->numbers, &j->told[rank], e);
        if (s) return s;
    }
    return FA_OK;
}

static fa_status run_pass(job *j, int64_t n, fa_error *e) {
    fa_step_message m;
    fa_status s = fa_step_decode(&m, j->numbers, n, e);
    if (!s && m.n_logits > j->max_logit_rows)
        s = fa_fail(e, FA_EINVAL, "step: %d logit rows are not in 0..%d", m.n_logits, j->max_logit_rows);
    if (!s) s = fa_rank_step(j->rank, &m, j->logits, e);
    if (s || j->link.rank) return s;
    return fa_frame_send(j->socket, FA_FRAME_LOGITS, FA_OK, j->logits,
                         (int64_t)m.n_logits * j->rank->vocab * (int64_t)sizeof *j->logits, 0, e);
}

static fa_status work(job *j, fa_error *e) {
    for (;;) {
        int64_t n;
        fa_status s = hear_pass(j, &n, e);
        if (s || !n) return s;
        s = run_pass(j, n, e);
        if (s) return s;
    }
}

/* Rank 0 tells the engine, the others rank 0; who started the job ends it. */
static void give_up(job *j, fa_error *e) {
    fa_error ignored;
    char byte;
    if (!j->link.rank) {
        fa_link_find_cause(&j->link, e);
        fprintf(stderr, "fathom-rank: %s\n", e->text);
        if (j->socket >= 0) {
            fa_frame_send(j->socket, FA_FRAME_FAILED, e->status, e->text, (int64_t)strlen(e->text), 0, &ignored);
            fa_frame_receive(j->socket, &byte, 1, 0, &ignored);
        }
        MPI_Abort(j->link.comm, 1);
    }
    fa_link_raise(&j->link, e);
    for (;;) pause();
}

int main(int argc, char **argv) {
    job j = {.socket = -1};
    fa_error e = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    setenv("OMPI_MCA_btl_tcp_eager_limit", EAGER_BYTES, 0);
    if (MPI_Init(&argc, &argv)) return 1;
    enum { WAIT_MS = 60000 };
    fa_status s = fa_link_open(&j.link, MPI_COMM_WORLD, WAIT_MS, &e);
    size_t size = (size_t)j.link.size;
    j.hello = calloc(size, sizeof *j.hello);
    j.told = calloc(size, sizeof *j.told);
    if (!s && (!j.hello || !j.told)) s = fa_fail(&e, FA_ENOMEM, "cluster: rank %d: out of memory", j.link.rank);
    if (!s && !j.link.rank) s = connect_engine(&j, argc == 2 ? argv[1] : "", &e);
    if (!s) s = shake_hands(&j, &e);
    if (!s) s = work(&j, &e);
    if (s) give_up(&j, &e);
    fa_rank_close(j.rank);
    fa_link_close(&j.link);
    free(j.hello);
    free(j.told);
    free(j.numbers);
    free(j.logits);
    MPI_Finalize();
    return 0;
}
