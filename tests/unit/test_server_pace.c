/* How newcomers are held to a share of the work, on machines that are lines: a step takes base + row * rows. */
#include "host/server/pace.h"
#include "tests/lib/check.h"

#define MS INT64_C(1000000)

typedef struct machine {
    double base, row; /* ns */
    double least;     /* of the work, that newcomers have at least */
} machine;

/* 9 million parameters on two cores, 700 billion that are streamed for each step, and something where a row takes longer than a step should */
static const machine machines[] = {{0.7e6, 0.085e6, 0.1}, {200e6, 2e6, 0.1}, {0, 400e6, 0.03}};

static int64_t took(const machine *m, int32_t rows) {
    return (int64_t)(m->base + m->row * rows);
}

/* Rows of established keys in step i: prompts of 200 tokens and answers of four. */
static int32_t established_rows(int i) {
    return i % 16 == 0 ? 203 : 4;
}

/* What newcomers took of `steps` steps, and what the others would have taken without them; `hungry`: newcomers take all they may. */
static void run(fa_pace *p, const machine *m, int steps, double share, double *theirs, double *others) {
    *theirs = *others = 0;
    for (int i = 0; i < steps; i++) {
        int32_t rows = established_rows(i), more = fa_pace_newcomers(p, 4, share);
        CHECK(more >= 0 && m->row * more <= (m->base + m->row * rows) * 1.1, "step %d: %d rows beside %d", i, more,
              rows);
        fa_pace_step(p, rows + more, more, took(m, rows + more), share);
        *theirs += m->row * more;
        *others += m->base + m->row * rows;
    }
}

static void newcomers_have_their_share_and_no_more(void *arg) {
    const machine *m = arg;
    fa_pace p = {0};
    double theirs, others;
    for (int i = 0; i < 300; i++)
        fa_pace_step(&p, established_rows(i), 0, took(m, established_rows(i)), 1); /* before the crowd came */
    run(&p, m, 4000, 0.125, &theirs, &others);
    CHECK(theirs < 0.14 * others, "%.3f of the work", theirs / others);
    CHECK(theirs > m->least * others, "%.3f of the work", theirs / others);
}

static void they_have_it_too_where_nothing_was_known(void *arg) {
    const machine *m = arg;
    fa_pace p = {0};
    double theirs, others;
    run(&p, m, 4000, 0.125, &theirs, &others);
    CHECK(theirs < 0.14 * others && theirs > m->least * others, "%.3f of the work", theirs / others);
}

/* Steps of one size: no line can be laid, and a row is taken to cost its part of the step. */
static void steps_of_one_size_are_no_reason_to_give_more(void *arg) {
    const machine *m = arg;
    fa_pace p = {0};
    for (int i = 0; i < 500; i++) fa_pace_step(&p, 4, 0, took(m, 4), 0.125);
    int32_t rows = fa_pace_newcomers(&p, 4, 0.125);
    CHECK(rows <= 4, "%d rows beside 4", rows);
}

static void alone_they_leave_room_for_who_comes_next(void *arg) {
    const machine *m = arg;
    fa_pace p = {0};
    for (int i = 0; i < 500; i++) fa_pace_step(&p, established_rows(i), 0, took(m, established_rows(i)), 1);
    int32_t rows = fa_pace_newcomers(&p, 0, 0.125);
    double ns = m->row * rows, most = m->base > 5.0 * MS ? m->base : 5.0 * MS;
    CHECK(rows >= 1 && (rows == 1 || ns <= 1.1 * most), "%d rows, %.1f ms", rows, ns / MS);
}

static void nobody_is_held_without_a_crowd(void *arg) {
    fa_pace p = {0};
    (void)arg;
    CHECK(fa_pace_newcomers(&p, 4, 1) == INT32_MAX);
    for (int i = 0; i < 100; i++) fa_pace_step(&p, 4, 0, MS, 0.5);
    CHECK(p.credit_ns > 0 && fa_pace_newcomers(&p, 4, 1) == INT32_MAX);
    fa_pace_step(&p, 4, 0, MS, 1);
    CHECK(p.credit_ns == 0, "credit of the last crowd");
    CHECK(fa_pace_newcomers(&(fa_pace){0}, 4, 0.125) == 1, "the first step of a crowd");
}

/* A clock that jumps (other programs had the CPU) must not make rows free or forbidden for good. */
static void noise_moves_the_share_little(void *arg) {
    const machine *m = &machines[0];
    fa_pace p = {0};
    check_rng r = {7};
    double theirs = 0, others = 0;
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        int32_t rows = established_rows(i), more = fa_pace_newcomers(&p, 4, 0.125);
        int64_t late = check_u64(&r) % 50 == 0 ? (int64_t)(check_u64(&r) % (20 * MS)) : 0;
        fa_pace_step(&p, rows + more, more, took(m, rows + more) + late, 0.125);
        theirs += m->row * more;
        others += m->base + m->row * rows;
    }
    CHECK(theirs > 0.06 * others && theirs < 0.25 * others, "%.3f of the work", theirs / others);
}

static const check_case cases[] = {
    {"newcomers have their share and no more", newcomers_have_their_share_and_no_more, (void *)&machines[0]},
    {"also where weights are streamed", newcomers_have_their_share_and_no_more, (void *)&machines[1]},
    {"also where a row takes longer than a step should", newcomers_have_their_share_and_no_more, (void *)&machines[2]},
    {"they have it too where nothing was known", they_have_it_too_where_nothing_was_known, (void *)&machines[0]},
    {"also where weights are streamed and nothing was known", they_have_it_too_where_nothing_was_known,
     (void *)&machines[1]},
    {"steps of one size are no reason to give more", steps_of_one_size_are_no_reason_to_give_more,
     (void *)&machines[1]},
    {"alone they leave room for who comes next", alone_they_leave_room_for_who_comes_next, (void *)&machines[0]},
    {"alone beside a large base too", alone_they_leave_room_for_who_comes_next, (void *)&machines[1]},
    {"alone they always have a row", alone_they_leave_room_for_who_comes_next, (void *)&machines[2]},
    {"nobody is held without a crowd", nobody_is_held_without_a_crowd, NULL},
    {"noise moves the share little", noise_moves_the_share_little, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
