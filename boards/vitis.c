#include "boards/vitis.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "boards/image.h"
#include "host/base/file.h"

/* BANK_PORTS: UG1393 and UG1700, Mapping Kernel Ports to Memory: at most 15 interfaces on a bank. */
enum { MAX_UNITS = 64, MAX_SLRS = 8, BANK_PORTS = 15, NOWHERE = -1 };

static void write_head(const fa_board *b, FILE *to) {
    fprintf(to,
            "# %s. Made by `fathom boards --vitis' from the board's file and the table of kernels: do not edit.\n"
            "platform=%s\n"
            "kernel_frequency=%.0f\n",
            b->title, b->platform, b->build.clock_hz * 1e-6);
}

static void write_compile(const fa_board *b, const char *attention, FILE *to) {
    (void)attention;
    const fa_board_build *d = &b->build;
    write_head(b, to);
    fprintf(to,
            "include=.\n"
            "define=HLS_PORTS=%d\n"
            "define=HLS_PORT_BYTES=%d\n"
            "define=HLS_ROWS=%d\n"
            "define=HLS_LANES_FP32=%d\n",
            d->ports, d->port_bytes, d->rows, d->lanes_fp32);
}

/* ---- nk, sp, slr ---- */

/* "HBM[0:31]" where the tag has the form NAME[#], else the first bank. */
static void write_range(const fa_board *b, fa_bank_range banks, FILE *to) {
    char from[24], last[24];
    fa_board_bank_tag(b, banks.first, from);
    fa_board_bank_tag(b, banks.first + banks.count - 1, last);
    char *open = strchr(from, '['), *of_last = strchr(last, '[');
    if (banks.count > 1 && open && of_last)
        fprintf(to, "%.*s:%s\n", (int)strcspn(from, "]"), from, of_last + 1);
    else
        fprintf(to, "%s\n", from);
}

static void write_ports(const fa_board *b, const hls_kernel *k, int32_t unit, FILE *to) {
    char name[64];
    for (int i = 0; i < k->n_args; i++) {
        if (!fa_image_begins_port(k, i)) continue;
        fprintf(to, "sp=%s.m_axi_%s:", fa_image_unit_name(k, unit, name), k->args[i].bundle);
        write_range(b, fa_image_banks(b, unit, k->args[i].bundle), to);
    }
}

/* The most ports that meet at a bank: those of io where its memory is, and the weight ports that read it. */
static int ports_at_a_bank(const fa_board *b, const char *attention) {
    hls_kernel image[FA_IMAGE_KERNELS];
    int io = 0, weights = 0, n = fa_image_kernels(b, attention, image);
    for (const hls_kernel *k = image; k < image + n; k++)
        for (int i = 0; i < k->n_args; i++) {
            io += fa_image_begins_port(k, i) && k->args[i].bundle[0] != 'w';
            weights += fa_image_begins_port(k, i) && !strcmp(k->args[i].bundle, "w0");
        }
    int32_t ports = b->build.units * b->build.ports, on_one = (ports + b->bank[0].count - 1) / b->bank[0].count;
    io *= b->build.units;
    weights *= on_one;
    return !b->build.io_kind ? io + weights : io > weights ? io : weights;
}

/* Puts kernels, the largest first, on the region with the least in it; NOWHERE for one that fits none: v++ spreads it. */
static void place(const fa_board *b, const hls_kernel *kernels, int n_kernels,
                  int32_t slr[FA_IMAGE_KERNELS][MAX_UNITS]) {
    double share = 1.0 / b->slrs, load[MAX_SLRS] = {0}, need[FA_IMAGE_KERNELS];
    fa_resources n[FA_IMAGE_KERNELS];
    for (int k = 0; k < n_kernels; k++) {
        fa_board_kernel_needs(b, &b->build, kernels[k].name, &n[k]);
        need[k] = fmax(n[k].lut / (b->usable.lut * fa_board_fill.lut), n[k].dsp / (b->usable.dsp * fa_board_fill.dsp));
        need[k] = fmax(need[k], n[k].bram / (b->usable.bram * fa_board_fill.bram));
    }
    bool done[FA_IMAGE_KERNELS] = {false};
    for (int round = 0; round < n_kernels; round++) {
        int k = 0;
        while (done[k]) k++;
        for (int i = k; i < n_kernels; i++)
            if (!done[i] && need[i] > need[k]) k = i;
        done[k] = true;
        for (int32_t u = 0; u < b->build.units; u++) {
            int best = 0;
            for (int s = 1; s < b->slrs; s++)
                if (load[s] < load[best]) best = s;
            bool fits = load[best] + need[k] <= share;
            slr[k][u] = fits ? best : NOWHERE;
            if (fits) load[best] += need[k];
        }
    }
}

void fa_vitis_link(const fa_board *b, const char *attention, FILE *to) {
    hls_kernel kernels[FA_IMAGE_KERNELS];
    int32_t slr[FA_IMAGE_KERNELS][MAX_UNITS];
    int n = fa_image_kernels(b, attention, kernels);
    write_head(b, to);
    fprintf(to, "\n[connectivity]\n");
    for (int k = 0; k < n; k++) fprintf(to, "nk=%s:%d\n", kernels[k].name, b->build.units);
    for (int32_t u = 0; u < b->build.units; u++) {
        fprintf(to, "\n# unit %d\n", u);
        for (int k = 0; k < n; k++) write_ports(b, &kernels[k], u, to);
    }
    if (b->slrs == 1) return;
    place(b, kernels, n, slr);
    fprintf(to, "\n# a kernel without a line is larger than what is left of a region\n");
    for (int32_t u = 0; u < b->build.units; u++)
        for (int k = 0; k < n; k++)
            if (slr[k][u] != NOWHERE) fprintf(to, "slr=%s_%d:SLR%d\n", kernels[k].name, u + 1, slr[k][u]);
}

static void write_make(const fa_board *b, const char *attention, FILE *to) {
    hls_kernel kernels[FA_IMAGE_KERNELS];
    int n = fa_image_kernels(b, attention, kernels);
    fprintf(to, "VITIS_PLATFORM := %s\nVITIS_KERNELS :=", b->platform);
    for (int k = 0; k < n; k++) fprintf(to, " %s", kernels[k].name);
    fprintf(to, "\nVITIS_PACKAGE := %s\nVITIS_RUNTIME := %s\n", b->packaged ? "yes" : "",
            fa_board_runtime_name(b->runtime));
}

/* ---- files ---- */

static fa_status write_file(const fa_board *b, const char *attention, const char *dir, const char *name,
                            void (*text)(const fa_board *, const char *, FILE *), fa_error *e) {
    char *path = fa_path_join(dir, name);
    if (!path) return fa_fail(e, FA_ENOMEM, "%s: memory ran out", dir);
    fa_new_file f = {0};
    fa_status s = fa_new_file_open(&f, path, e);
    if (!s) {
        text(b, attention, f.stream);
        s = fa_new_file_commit(&f, e);
    }
    fa_new_file_abandon(&f);
    free(path);
    return s;
}

static fa_status check_driven(const fa_board *b, fa_error *e) {
    if (b->runtime == FA_RUNTIME_AVED)
        return fa_fail(
            e, FA_EUNSUPPORTED,
            "%s: there is no XRT platform for this board: AVED with AMI, or SLASH, loads and starts kernels on it, "
            "and fathom drives neither yet. `fathom plan' knows the board",
            b->name);
    if (b->runtime == FA_RUNTIME_NONE)
        return fa_fail(
            e, FA_EUNSUPPORTED,
            "%s: no platform for Vitis is published for this board, so nothing starts kernels on it. `fathom "
            "plan' knows the board",
            b->name);
    return FA_OK;
}

fa_status fa_vitis_write(const fa_board *b, const char *attention, const char *dir, fa_error *e) {
    static const struct {
        const char *name;
        void (*text)(const fa_board *, const char *, FILE *);
    } files[] = {{"compile.cfg", write_compile}, {"link.cfg", fa_vitis_link}, {"board.mk", write_make}};
    fa_status s = fa_image_attention(attention, e);
    if (!s) s = check_driven(b, e);
    if (!s) s = fa_board_fits(b, &b->build, e);
    if (!s && ports_at_a_bank(b, attention) > BANK_PORTS)
        s = fa_fail(e, FA_ELIMIT, "%s: %d ports of kernels meet at a bank, v++ connects %d; build fewer units", b->name,
                    ports_at_a_bank(b, attention), BANK_PORTS);
    if (!s && mkdir(dir, 0777) && errno != EEXIST) s = fa_fail(e, FA_EIO, "%s: %s", dir, strerror(errno));
    for (size_t i = 0; i < sizeof files / sizeof *files && !s; i++)
        s = write_file(b, attention, dir, files[i].name, files[i].text, e);
    return s;
}
