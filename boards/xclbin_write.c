#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "boards/xclbin_parts.h"
#include "host/base/file.h"

/* ---- sections ---- */

static void put_memory(const xclbin_plan *p, int index, FILE *to) {
    const fa_xclbin_memory *m = &p->memory[index];
    const fa_board *b = p->board;
    const fa_bank_kind *kind = &b->bank[m->banks.first >= b->bank[0].count];
    fa_axlf_mem out = {.used = m->used, .kib = m->bytes / 1024, .base = m->base};
    char tag[48];
    out.type = !strcmp(kind->name, "HBM") ? FA_MEM_HBM : !strcmp(kind->name, "DDR") ? FA_MEM_DDR4 : FA_MEM_DRAM;
    if (index < p->n_banks)
        fa_board_bank_tag(b, m->banks.first, tag);
    else /* xclbinutil's name of a group; the emulation of XRT knows groups by these letters */
        snprintf(tag, sizeof tag, "MBG[%d:%d]", m->banks.first, m->banks.first + m->banks.count - 1);
    snprintf(out.tag, sizeof out.tag, "%.15s", tag);
    fwrite(&out, sizeof out, 1, to);
}

static void put_count(int32_t n, size_t entries_at, FILE *to) {
    static const char zero[8];
    fwrite(&n, sizeof n, 1, to);
    fwrite(zero, entries_at - sizeof n, 1, to);
}

static void put_topology(const xclbin_plan *p, FILE *to) {
    put_count(p->n_banks, FA_AXLF_MEMS_AT, to);
    for (int i = 0; i < p->n_banks; i++) put_memory(p, i, to);
}

static void put_groups(const xclbin_plan *p, FILE *to) {
    put_count(p->n_memories, FA_AXLF_MEMS_AT, to);
    for (int i = 0; i < p->n_memories; i++) put_memory(p, i, to);
}

/* The connections of one argument; returns how many. `to` may be NULL. */
static int put_connection(const xclbin_plan *p, int kernel, int32_t unit, int arg, bool groups, FILE *to) {
    const char *bundle = p->kernels[kernel].args[arg].bundle;
    if (!bundle) return 0;
    fa_bank_range r = fa_image_banks(p->board, unit, bundle);
    int n = 0;
    for (int m = 0; m < (groups ? p->n_memories : p->n_banks); m++) {
        fa_bank_range have = p->memory[m].banks;
        bool bank = m < p->n_banks && have.first >= r.first && have.first < r.first + r.count;
        bool group = m >= p->n_banks && have.first == r.first && have.count == r.count;
        if (!bank && !group) continue;
        fa_axlf_connection c = {arg, xclbin_unit_ip(p, kernel, unit), m};
        if (to) fwrite(&c, sizeof c, 1, to);
        n++;
    }
    return n;
}

static int put_all_connections(const xclbin_plan *p, bool groups, FILE *to) {
    int n = 0;
    for (int k = 0; k < p->n_kernels; k++)
        for (int32_t u = 0; u < p->board->build.units; u++)
            for (int i = 0; i < p->kernels[k].n_args; i++) n += put_connection(p, k, u, i, groups, to);
    return n;
}

static void put_connectivity(const xclbin_plan *p, FILE *to) {
    put_count(put_all_connections(p, false, NULL), FA_AXLF_CONNECTIONS_AT, to);
    put_all_connections(p, false, to);
}

/* Every bank besides the group: XRT takes the last memory of an argument when asked where its buffer belongs, and accepts all. */
static void put_group_connectivity(const xclbin_plan *p, FILE *to) {
    put_count(put_all_connections(p, true, NULL), FA_AXLF_CONNECTIONS_AT, to);
    put_all_connections(p, true, to);
}

static void put_ips(const xclbin_plan *p, FILE *to) {
    char unit[64];
    put_count(p->n_kernels * p->board->build.units, FA_AXLF_IPS_AT, to);
    for (int k = 0; k < p->n_kernels; k++)
        for (int32_t u = 0; u < p->board->build.units; u++) {
            fa_axlf_ip ip = {.type = FA_IP_KERNEL, .base = xclbin_unit_base(p, k, u)};
            ip.properties = FA_IP_INTERRUPT | (uint32_t)xclbin_unit_ip(p, k, u) << FA_IP_INTERRUPT_SHIFT |
                            (uint32_t)p->options->control << FA_IP_CONTROL_SHIFT;
            char name[160];
            snprintf(name, sizeof name, "%s:%s", p->kernels[k].name, fa_image_unit_name(&p->kernels[k], u, unit));
            snprintf(ip.name, sizeof ip.name, "%.63s", name);
            fwrite(&ip, sizeof ip, 1, to);
        }
}

static void put_clocks(const xclbin_plan *p, FILE *to) {
    static const struct {
        fa_clock_type type;
        const char *name;
    } clocks[] = {{FA_CLOCK_DATA, "DATA_CLK"}, {FA_CLOCK_KERNEL, "KERNEL_CLK"}};
    int16_t n = sizeof clocks / sizeof *clocks;
    fwrite(&n, sizeof n, 1, to);
    for (int i = 0; i < n; i++) {
        fa_axlf_clock c = {.mhz = (uint16_t)lround(p->board->build.clock_hz * 1e-6), .type = (uint8_t)clocks[i].type};
        snprintf(c.name, sizeof c.name, "%s", clocks[i].name);
        fwrite(&c, sizeof c, 1, to);
    }
}

static void put_build(const xclbin_plan *p, FILE *to) {
    const fa_board_build *d = &p->board->build;
    fprintf(to,
            "{\"build_metadata\": {\"schema_version\": {\"major\": \"1\", \"minor\": \"0\", \"patch\": \"0\"}, "
            "\"xclbin\": {\"generated_by\": {\"name\": \"fathom\", \"version\": \"" FATHOM_VERSION "\"}, "
            "\"board\": \"%s\", \"units\": \"%d\", \"ports\": \"%d\", \"port_bytes\": \"%d\", \"rows\": \"%d\", "
            "\"lanes_fp32\": \"%d\"}}}\n",
            p->board->name, d->units, d->ports, d->port_bytes, d->rows, d->lanes_fp32);
}

static void put_bitstream(const xclbin_plan *p, FILE *to) {
    fwrite(p->options->bitstream, p->options->bitstream_bytes, 1, to);
}

static const struct {
    fa_section_kind kind;
    void (*put)(const xclbin_plan *p, FILE *to);
} sections[] = {
    {FA_SECTION_BITSTREAM, put_bitstream},
    {FA_SECTION_EMBEDDED_METADATA, xclbin_put_xml},
    {FA_SECTION_MEM_TOPOLOGY, put_topology},
    {FA_SECTION_CONNECTIVITY, put_connectivity},
    {FA_SECTION_IP_LAYOUT, put_ips},
    {FA_SECTION_CLOCK_FREQ_TOPOLOGY, put_clocks},
    {FA_SECTION_BUILD_METADATA, put_build},
    {FA_SECTION_GROUP_TOPOLOGY, put_groups},
    {FA_SECTION_GROUP_CONNECTIVITY, put_group_connectivity},
};
enum { SECTIONS = sizeof sections / sizeof *sections };

/* ---- the file ---- */

static void pad(FILE *to) {
    while (ftell(to) % FA_AXLF_ALIGN) fputc(0, to);
}

/* Sections behind room for the headers, whose offsets are then known. False when memory ran out. */
static bool put_file(const xclbin_plan *p, char **bytes, size_t *n) {
    fa_axlf_section at[SECTIONS] = {{0}};
    FILE *to = open_memstream(bytes, n);
    if (!to) return false;
    fa_axlf head = {.magic = FA_AXLF_MAGIC, .signature_length = -1, .version_major = 2, .version_minor = 1};
    memset(head.reserved, 0xFF, sizeof head.reserved);
    memset(head.key_block, 0xFF, sizeof head.key_block);
    head.mode = p->options->mode == FA_XCLBIN_SW_EMU ? FA_AXLF_SW_EMU : FA_AXLF_HW_EMU;
    head.sections = SECTIONS;
    memcpy(head.platform, p->platform, sizeof head.platform);
    fwrite(&head, sizeof head, 1, to);
    fwrite(at, sizeof at, 1, to);
    for (int i = 0; i < SECTIONS; i++) {
        pad(to);
        at[i].kind = sections[i].kind;
        at[i].offset = (uint64_t)ftell(to);
        sections[i].put(p, to);
        at[i].bytes = (uint64_t)ftell(to) - at[i].offset;
    }
    pad(to);
    bool ok = !ferror(to);
    ok &= fclose(to) == 0;
    if (!ok) return false;
    head.length = *n;
    memcpy(*bytes, &head, sizeof head);
    memcpy(*bytes + sizeof head, at, sizeof at);
    return true;
}

/* A name-based UUID (RFC 4122, version 5) of the whole file, in which it is still zero. */
static void sign(char *bytes, size_t n) {
    uuid_t space, id;
    uuid_parse("9a0b7c62-5f0e-4a3c-8f5e-fa7806c1b1e5", space);
    uuid_generate_sha1(id, space, bytes, n);
    fa_axlf *head = (fa_axlf *)bytes;
    memcpy(head->uuid, id, sizeof head->uuid);
    memcpy(&head->unique_id, id, sizeof head->unique_id);
}

static fa_status plan(xclbin_plan *p, const fa_board *b, const fa_xclbin_options *o, fa_error *e) {
    *p = (xclbin_plan){.board = b, .options = o};
    fa_status s = o->attention ? fa_image_attention(o->attention, e) : FA_OK;
    if (!s && o->mode != FA_XCLBIN_SW_EMU && o->mode != FA_XCLBIN_HW_EMU)
        s = fa_fail(e, FA_EINVAL,
                    "%s: v++ makes the xclbin of a board (make xclbin BOARD=%s); here are those for emulation", b->name,
                    b->name);
    if (!s && (!o->bitstream || !o->bitstream_bytes))
        s = fa_fail(e, FA_EINVAL, "%s: an xclbin needs a bitstream of at least one byte", b->name);
    if (s) return s;
    if (*b->platform)
        memcpy(p->platform, b->platform, sizeof p->platform);
    else
        snprintf(p->platform, sizeof p->platform, "fathom_%s", b->name);
    p->n_kernels = fa_image_kernels(b, o->attention, p->kernels);
    for (int k = 0; k < b->n_bank_kinds; k++) p->n_banks += b->bank[k].count;
    int ips = p->n_kernels * b->build.units;
    if (ips > FA_IP_INTERRUPTS)
        return fa_fail(e, FA_ELIMIT, "%s: %d compute units, an xclbin has %d interrupts; build fewer units", b->name,
                       ips, FA_IP_INTERRUPTS);
    for (int k = 0; k < p->n_kernels; k++)
        if (fa_image_register(&p->kernels[k], p->kernels[k].n_args) > FA_XCLBIN_UNIT_RANGE)
            return fa_fail(e, FA_ELIMIT, "%s: the arguments take more than %d bytes of registers", p->kernels[k].name,
                           FA_XCLBIN_UNIT_RANGE);
    return fa_xclbin_memories(b, p->memory, XCLBIN_MEMORIES, &p->n_memories, e);
}

fa_status fa_xclbin_make(const fa_board *b, const fa_xclbin_options *o, void **bytes, size_t *n, fa_error *e) {
    *bytes = NULL;
    *n = 0;
    xclbin_plan *p = malloc(sizeof *p);
    if (!p) return fa_fail(e, FA_ENOMEM, "%s: memory ran out", b->name);
    char *text = NULL;
    fa_status s = plan(p, b, o, e);
    if (!s && !put_file(p, &text, n)) s = fa_fail(e, FA_ENOMEM, "%s: memory ran out for the xclbin", b->name);
    free(p);
    if (s) {
        free(text);
        return s;
    }
    sign(text, *n);
    *bytes = text;
    return FA_OK;
}

fa_status fa_xclbin_write(const fa_board *b, const fa_xclbin_options *o, const char *path, fa_error *e) {
    fa_new_file f = {0};
    void *bytes;
    size_t n;
    fa_status s = fa_xclbin_make(b, o, &bytes, &n, e);
    if (!s) s = fa_new_file_open(&f, path, e);
    if (!s) {
        fwrite(bytes, n, 1, f.stream);
        s = fa_new_file_commit(&f, e);
    }
    fa_new_file_abandon(&f);
    free(bytes);
    return s;
}
