/* All ranks together against one process: logits bit for bit, and the bytes that they sent against the formula of docs/cluster.md. One start
 * of mpirun a number of ranks, more ranks than CPUs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

#define MODES "expert,pipeline,both"
#define GOLDEN(name) "tests/golden/" name
#define MOE                                                                                                          \
    GOLDEN("deepseek-v3-tiny")                                                                                       \
    " " GOLDEN("deepseek-v3-tiny-fp8") " " GOLDEN("deepseek-v3-tiny-mtp") " " GOLDEN("deepseek-v2-tiny") " " GOLDEN( \
        "deepseek-v2-lite-tiny") " models/fathom-r1-mini"
#define DEVICES GOLDEN("deepseek-v3-tiny-fp8") " models/fathom-r1-mini"

typedef struct run {
    int ranks;
    const char *backends, *modes, *models;
} run;

static int count(const char *text, char c) {
    int n = 1;
    for (; *text; text++) n += *text == c;
    return n;
}

static const char *build_folder(void) {
    const char *build = getenv("FATHOM_BUILD");
    return build ? build : "build";
}

static void compare(void *arg) {
    const run *r = arg;
    char program[512];
    snprintf(program, sizeof program, "%s/tests/cluster/ranks", build_folder());
    if (access(program, X_OK)) check_skip("built without Open MPI (libopenmpi-dev)");
    if (system("command -v mpirun >/dev/null")) check_skip("there is no mpirun (openmpi-bin)");
    check_output o =
        check_command("OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe --bind-to none "
                      "-n %d %s %s %s %s",
                      r->ranks, program, r->backends, r->modes, r->models);
    int want = count(r->backends, ',') * count(r->modes, ',') * count(r->models, ' '), same = 0;
    for (const char *line = o.out; (line = strstr(line, "same ")); line++) same += line == o.out || line[-1] == '\n';
    CHECK(o.status == 0, "status %d: %s%s", o.status, o.out, o.err);
    CHECK(same == want, "%d of %d combinations: %s", same, want, o.out);
    check_output_free(&o);
}

/* Ranks on two "machines": network namespaces with a link between them that delays packets and loses some. */
static void compare_over_link(void *arg) {
    const char *link = arg;
    char program[512];
    enum { SKIP = 77, COMBINATIONS = 6 };
    snprintf(program, sizeof program, "%s/tests/cluster/ranks", build_folder());
    if (access(program, X_OK)) check_skip("built without Open MPI (libopenmpi-dev)");
    if (system("command -v mpirun nsenter ip >/dev/null")) check_skip("there is no mpirun, nsenter or ip");
    check_output o = check_command(
        "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 %s/tests/cluster/link %s mpirun --oversubscribe --bind-to none "
        "--mca plm_rsh_agent tests/cluster/agent.sh --mca pml ob1 --mca btl tcp,self --mca btl_tcp_if_include link0 "
        "--mca oob_tcp_if_include link0 -H 10.9.0.1:2,10.9.0.2:2 -n 4 $PWD/%s cpu " MODES " " DEVICES,
        build_folder(), link, program);
    if (o.status == SKIP) check_skip("%s", o.err);
    int same = 0;
    for (const char *line = o.out; (line = strstr(line, "same ")); line++) same += line == o.out || line[-1] == '\n';
    CHECK(o.status == 0 && same == COMBINATIONS, "status %d: %s%s", o.status, o.out, o.err);
    check_output_free(&o);
}

/* A golden model of each router on the CPU; devices, which start slowly in every rank, have an FP8 one and the model that ships. */
static run runs[] = {
    {1, "cpu", MODES, MOE},
    {2, "cpu", MODES, MOE},
    {3, "cpu", MODES, MOE},
    {4, "cpu", MODES ",both:1,both:2", MOE},
    {8, "cpu", MODES, MOE},
    {1, "sim,opencl", MODES, DEVICES},
    {2, "sim,opencl", MODES, DEVICES},
    {3, "sim,opencl", MODES, DEVICES},
    {4, "sim,opencl", MODES, DEVICES},
    {8, "sim,opencl", MODES, DEVICES},
    {3, "cpu", MODES, GOLDEN("r1-distill-qwen-tiny") " " GOLDEN("deepseek-coder-tiny")},
};

static const check_case cases[] = {
    {"1 rank gives the bits of one process (cpu)", compare, &runs[0]},
    {"2 ranks give the bits of one process (cpu)", compare, &runs[1]},
    {"3 ranks give the bits of one process (cpu)", compare, &runs[2]},
    {"4 ranks give the bits of one process (cpu, any number of stages)", compare, &runs[3]},
    {"8 ranks give the bits of one process (cpu, some without rows, experts or layers)", compare, &runs[4]},
    {"1 rank gives the bits of one process (sim, opencl)", compare, &runs[5]},
    {"2 ranks give the bits of one process (sim, opencl)", compare, &runs[6]},
    {"3 ranks give the bits of one process (sim, opencl)", compare, &runs[7]},
    {"4 ranks give the bits of one process (sim, opencl)", compare, &runs[8]},
    {"8 ranks give the bits of one process (sim, opencl)", compare, &runs[9]},
    {"models without experts, on 3 ranks", compare, &runs[10]},
    {"2 ms of delay between machines change no result", compare_over_link, "2000 0"},
    {"2 % of packets lost between machines change no result", compare_over_link, "300 20"},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
