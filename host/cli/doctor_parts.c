/* fathom doctor: the machine itself. The table of parts is at the end. */
#include <numa.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "host/backend/opencl/opencl.h"
#include "host/base/cpu.h"
#include "host/cli/common.h"
#include "host/cli/doctor.h"
#include "host/cli/shipped.h"
#include "host/cluster/cluster.h"

/* Descriptors: a checkpoint of R1 is 163 mapped files, and a server has one a connection. */
enum { FILES_WANTED = 4096 };

static void check_cpu(doctor_findings *f, const char *part) {
    char name[64];
    cpu_set_t set;
    fa_isa isa;
    fa_error e;
    fa_cpu_name(name, sizeof name);
    int cpus = sched_getaffinity(0, sizeof set, &set) ? 0 : CPU_COUNT(&set);
    if (fa_isa_select(&isa, &e)) {
        doctor_add(f, part, DOCTOR_MISSING, "%s", e.text);
        doctor_advise(f, "unset FATHOM_ISA, or set it to %s or less", fa_isa_name(fa_isa_best()));
        return;
    }
    doctor_add(f, part, isa == FA_ISA_PORTABLE ? DOCTOR_NOTE : DOCTOR_OK, "%s: %s, %d CPUs to use", name,
               fa_isa_name(isa), cpus);
    if (isa != FA_ISA_PORTABLE) return;
    if (fa_isa_best() == FA_ISA_PORTABLE)
        doctor_advise(f, "a CPU with AVX2 is several times faster; the results are the same");
    else
        doctor_advise(f, "FATHOM_ISA asks for this; %s is several times faster", fa_isa_name(fa_isa_best()));
}

static void check_numa(doctor_findings *f, const char *part) {
    int nodes = 0;
    if (numa_available() < 0) {
        doctor_add(f, part, DOCTOR_NOTE, "the kernel tells nothing of NUMA: one node is assumed");
        return;
    }
    for (int n = 0; n <= numa_max_node(); n++) nodes += numa_bitmask_isbitset(numa_all_nodes_ptr, (unsigned)n);
    doctor_add(f, part, DOCTOR_OK, "%d node%s", nodes, nodes == 1 ? "" : "s");
}

static void check_memory(doctor_findings *f, const char *part) {
    struct sysinfo s;
    if (sysinfo(&s)) {
        doctor_add(f, part, DOCTOR_MISSING, "the kernel does not tell: %m");
        return;
    }
    double unit = s.mem_unit, all = (double)s.totalram * unit * 1e-9,
           left = (double)(s.freeram + s.bufferram) * unit * 1e-9;
    doctor_add(f, part, all < 1 ? DOCTOR_MISSING : DOCTOR_OK, "%.1f GB, %.1f GB of them unused", all, left);
    doctor_advise(f, all < 1 ? "the smallest models take 1 GB" : "");
}

/* The word in brackets of "always [madvise] never". */
static void check_huge_pages(doctor_findings *f, const char *part) {
    char line[128] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file && !fgets(line, sizeof line, file)) *line = 0;
    if (file) fclose(file);
    if (strstr(line, "[always]") || strstr(line, "[madvise]")) {
        doctor_add(f, part, DOCTOR_OK, "transparent huge pages are given to those who ask, which fathom does");
        return;
    }
    doctor_add(f, part, DOCTOR_NOTE, "no transparent huge pages: weights are read a little slower");
    doctor_advise(f, "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
}

static void check_limits(doctor_findings *f, const char *part) {
    struct rlimit files, locked;
    if (getrlimit(RLIMIT_NOFILE, &files) || getrlimit(RLIMIT_MEMLOCK, &locked)) {
        doctor_add(f, part, DOCTOR_NOTE, "the kernel does not tell: %m");
        return;
    }
    bool few = files.rlim_cur < FILES_WANTED;
    doctor_add(f, part, few ? DOCTOR_NOTE : DOCTOR_OK, "%llu open files", (unsigned long long)files.rlim_cur);
    if (few)
        doctor_advise(f, "for a server with many connections: ulimit -n %d (LimitNOFILE= in a systemd unit)",
                      FILES_WANTED);
    if (locked.rlim_cur == RLIM_INFINITY)
        doctor_add(f, part, DOCTOR_OK, "locked memory without limit");
    else
        doctor_add(f, part, DOCTOR_OK, "%llu KiB of locked memory, of which fathom takes none",
                   (unsigned long long)locked.rlim_cur / 1024);
}

static void check_model(doctor_findings *f, const char *part) {
    char path[4096];
    bool found = cli_shipped_model(path, sizeof path);
    if (found) {
        doctor_add(f, part, DOCTOR_OK, "%s", path);
        return;
    }
    doctor_add(f, part, DOCTOR_MISSING, "%s, which ships with fathom, is not beside the program", CLI_SHIPPED_MODEL);
    doctor_advise(f, "make install puts it under PREFIX/share/fathom/models; or give commands --model");
}

static void check_opencl(doctor_findings *f, const char *part) {
    static fa_opencl_device all[FA_OPENCL_DEVICES];
    int n;
    fa_error e;
    if (fa_opencl_list(all, FA_OPENCL_DEVICES, &n, &e)) {
        doctor_add(f, part, DOCTOR_MISSING, "%s", e.text);
        doctor_advise(f, "install the driver of your GPU, or pocl-opencl-icd for the CPU");
        return;
    }
    for (int i = 0; i < n; i++)
        doctor_add(f, part, DOCTOR_OK, "opencl:%d.%d: %s, %s", all[i].platform, all[i].device, all[i].name,
                   all[i].platform_name);
    if (n) return;
    doctor_add(f, part, DOCTOR_MISSING, "the installed platforms have no device");
    doctor_advise(f, "is the driver loaded, and may this user open its device (groups render, video)?");
}

/* The first mpirun in PATH. */
static bool find_mpirun(char path[PATH_MAX]) {
    const char *folders = getenv("PATH");
    for (size_t n; folders && *folders; folders += n + (folders[n] == ':')) {
        n = strcspn(folders, ":");
        snprintf(path, PATH_MAX, "%.*s/mpirun", (int)n, folders);
        if (!access(path, X_OK)) return true;
    }
    return false;
}

static void check_mpi(doctor_findings *f, const char *part) {
    char program[PATH_MAX], mpirun[PATH_MAX];
    fa_error e;
    if (fa_cluster_program(program, &e)) {
        doctor_add(f, part, DOCTOR_MISSING, "%s", e.text);
        doctor_advise(f, "install libopenmpi-dev and openmpi-bin, then build again");
        return;
    }
    bool there = find_mpirun(mpirun);
    doctor_add(f, part, there ? DOCTOR_OK : DOCTOR_MISSING, "%s, started by %s", program,
               there ? mpirun : "mpirun, which is not in PATH");
    doctor_advise(f, there ? "" : "install openmpi-bin, or say by --cluster-launch what starts ranks here");
}

const doctor_part doctor_parts[] = {
    {"cpu", "instruction set, CPUs", 1, check_cpu},
    {"numa", "memory nodes", 0, check_numa},
    {"memory", "how much of it", 1, check_memory},
    {"huge-pages", "whether weights may lie in large pages", 0, check_huge_pages},
    {"limits", "of this process: open files, locked memory", 0, check_limits},
    {"model", "the one that ships with fathom", 1, check_model},
    {"opencl", "platforms and devices for --backend opencl", 0, check_opencl},
    {"mpi", "Open MPI, for --cluster", 0, check_mpi},
    {"xrt", "the Xilinx runtime, for boards and their emulation", 0, doctor_check_xrt},
    {"boards", "accelerator cards, their drivers and shells", 0, doctor_check_boards},
    {"emulation", "--backend xrt:emu: the runtime against a device model", 0, doctor_check_emulation},
    {"vitis", "v++, which makes the image of a board", 0, doctor_check_vitis},
    {NULL, NULL, 0, NULL},
};
