#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "boards/xclbin.h"
#include "boards/xclbin_parts.h"
#include "host/base/file.h"

static const char *const section_names[FA_SECTION_KINDS] = {
    [0] = "BITSTREAM",
    [1] = "CLEARING_BITSTREAM",
    [2] = "EMBEDDED_METADATA",
    [3] = "FIRMWARE",
    [4] = "DEBUG_DATA",
    [5] = "SCHED_FIRMWARE",
    [6] = "MEM_TOPOLOGY",
    [7] = "CONNECTIVITY",
    [8] = "IP_LAYOUT",
    [9] = "DEBUG_IP_LAYOUT",
    [10] = "DESIGN_CHECK_POINT",
    [11] = "CLOCK_FREQ_TOPOLOGY",
    [12] = "MCS",
    [13] = "BMC",
    [14] = "BUILD_METADATA",
    [15] = "KEYVALUE_METADATA",
    [16] = "USER_METADATA",
    [17] = "DNA_CERTIFICATE",
    [18] = "PDI",
    [19] = "BITSTREAM_PARTIAL_PDI",
    [20] = "PARTITION_METADATA",
    [21] = "EMULATION_DATA",
    [22] = "SYSTEM_METADATA",
    [23] = "SOFT_KERNEL",
    [26] = "GROUP_TOPOLOGY",
    [27] = "GROUP_CONNECTIVITY",
};

const char *fa_xclbin_section_name(uint32_t kind, char text[24]) {
    if (kind < FA_SECTION_KINDS && section_names[kind]) return section_names[kind];
    snprintf(text, 24, "section %u", kind);
    return text;
}

void xclbin_clean(char *text) {
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7E) *text = '?';
}

/* A section's bytes in the mapped file; bytes 0 when it has none of this kind. */
typedef struct span {
    const char *data;
    size_t bytes;
} span;

static span find(const fa_xclbin *x, const fa_map *m, fa_section_kind kind) {
    for (int i = 0; i < x->n_sections; i++)
        if (x->section[i].kind == (uint32_t)kind)
            return (span){(const char *)m->data + x->section[i].offset, x->section[i].bytes};
    return (span){NULL, 0};
}

/* Copies `size` bytes entries behind a count of `count_bytes`, which begin at `at`. */
static fa_status copy_table(span s, const char *file, fa_section_kind kind, size_t count_bytes, size_t at, size_t size,
                            void **table, int *n, fa_error *e) {
    int32_t count = 0;
    char name[24];
    *n = 0;
    if (!s.bytes) return FA_OK;
    if (s.bytes < at) /* an empty table may end with its count */
        return s.bytes >= count_bytes ? FA_OK
                                      : fa_fail(e, FA_EFORMAT, "%s: %s: %zu bytes hold no count", file,
                                                fa_xclbin_section_name(kind, name), s.bytes);
    if (count_bytes == sizeof(int16_t)) {
        int16_t small;
        memcpy(&small, s.data, sizeof small);
        count = small;
    } else {
        memcpy(&count, s.data, sizeof count);
    }
    if (count < 0 || (size_t)count > (s.bytes - at) / size)
        return fa_fail(e, FA_EFORMAT, "%s: %s: %d entries of %zu bytes do not fit into its %zu bytes", file,
                       fa_xclbin_section_name(kind, name), count, size, s.bytes);
    *table = calloc((size_t)count + 1, size);
    if (!*table) return fa_fail(e, FA_ENOMEM, "%s: memory ran out", file);
    memcpy(*table, s.data + at, (size_t)count * size);
    *n = count;
    return FA_OK;
}

static fa_status read_head(fa_xclbin *x, const fa_map *m, const char *path, fa_error *e) {
    fa_axlf head;
    char name[24];
    if (m->bytes < sizeof head || memcmp(m->data, FA_AXLF_MAGIC, sizeof FA_AXLF_MAGIC) != 0)
        return fa_fail(e, FA_EFORMAT, "%s: not an xclbin file of version 2", path);
    memcpy(&head, m->data, sizeof head);
    if (head.length != m->bytes)
        return fa_fail(e, FA_EFORMAT, "%s: its header says %" PRIu64 " bytes, the file has %zu: was it cut?", path,
                       head.length, m->bytes);
    if (head.sections > FA_AXLF_MAX_SECTIONS || head.sections > (m->bytes - sizeof head) / sizeof(fa_axlf_section))
        return fa_fail(e, FA_EFORMAT, "%s: %u sections do not fit into the file", path, head.sections);
    x->mode = head.mode == FA_AXLF_SW_EMU                     ? FA_XCLBIN_SW_EMU
              : head.mode == FA_AXLF_HW_EMU || head.mode == 6 ? FA_XCLBIN_HW_EMU /* 6: of a partial region */
                                                              : FA_XCLBIN_HW;
    x->file_bytes = m->bytes;
    memcpy(x->platform, head.platform, sizeof x->platform - 1);
    xclbin_clean(x->platform);
    uuid_unparse_lower(head.uuid, x->uuid);
    x->n_sections = (int)head.sections;
    x->section = calloc(head.sections + 1, sizeof *x->section);
    if (!x->section) return fa_fail(e, FA_ENOMEM, "%s: memory ran out", path);
    memcpy(x->section, (const char *)m->data + sizeof head, head.sections * sizeof *x->section);
    for (int i = 0; i < x->n_sections; i++) {
        const fa_axlf_section *s = &x->section[i];
        if (s->offset > m->bytes || s->bytes > m->bytes - s->offset)
            return fa_fail(e, FA_EFORMAT, "%s: %s: bytes %" PRIu64 " to %" PRIu64 " lie outside the file", path,
                           fa_xclbin_section_name(s->kind, name), s->offset, s->offset + s->bytes);
    }
    return FA_OK;
}

typedef struct table_kind {
    fa_section_kind kind, instead; /* read when there is none of the first */
    size_t count_bytes, at, size;
    size_t table, n; /* members of fa_xclbin */
} table_kind;

static const table_kind tables[] = {
    {FA_SECTION_GROUP_TOPOLOGY, FA_SECTION_MEM_TOPOLOGY, 4, FA_AXLF_MEMS_AT, sizeof(fa_axlf_mem),
     offsetof(fa_xclbin, mem), offsetof(fa_xclbin, n_mems)},
    {FA_SECTION_GROUP_CONNECTIVITY, FA_SECTION_CONNECTIVITY, 4, FA_AXLF_CONNECTIONS_AT, sizeof(fa_axlf_connection),
     offsetof(fa_xclbin, connection), offsetof(fa_xclbin, n_connections)},
    {FA_SECTION_IP_LAYOUT, FA_SECTION_IP_LAYOUT, 4, FA_AXLF_IPS_AT, sizeof(fa_axlf_ip), offsetof(fa_xclbin, ip),
     offsetof(fa_xclbin, n_ips)},
    {FA_SECTION_CLOCK_FREQ_TOPOLOGY, FA_SECTION_CLOCK_FREQ_TOPOLOGY, 2, FA_AXLF_CLOCKS_AT, sizeof(fa_axlf_clock),
     offsetof(fa_xclbin, clock), offsetof(fa_xclbin, n_clocks)},
};

/* A text that fills its field has no NUL. */
static void end_text(char *text, size_t size) {
    text[size - 1] = 0;
    xclbin_clean(text);
}

static fa_status read_tables(fa_xclbin *x, const fa_map *m, const char *path, fa_error *e) {
    fa_status s = FA_OK;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && !s; i++) {
        const table_kind *t = &tables[i];
        fa_section_kind kind = find(x, m, t->kind).bytes ? t->kind : t->instead;
        s = copy_table(find(x, m, kind), path, kind, t->count_bytes, t->at, t->size, (void **)((char *)x + t->table),
                       (int *)((char *)x + t->n), e);
    }
    for (int i = 0; i < x->n_mems; i++) end_text(x->mem[i].tag, sizeof x->mem[i].tag);
    for (int i = 0; i < x->n_ips; i++) end_text(x->ip[i].name, sizeof x->ip[i].name);
    for (int i = 0; i < x->n_clocks; i++) end_text(x->clock[i].name, sizeof x->clock[i].name);
    for (int i = 0; i < x->n_connections && !s; i++) {
        const fa_axlf_connection *c = &x->connection[i];
        if (c->ip < 0 || c->ip >= x->n_ips || c->mem < 0 || c->mem >= x->n_mems || c->arg < 0)
            s = fa_fail(
                e, FA_EFORMAT,
                "%s: connection %d joins argument %d of unit %d with memory %d; there are %d units, %d memories", path,
                i, c->arg, c->ip, c->mem, x->n_ips, x->n_mems);
    }
    return s;
}

fa_status fa_xclbin_read(fa_xclbin *x, const char *path, fa_error *e) {
    fa_map m;
    *x = (fa_xclbin){0};
    fa_status s = fa_map_open(&m, path, e);
    if (s) return s;
    s = read_head(x, &m, path, e);
    if (!s) s = read_tables(x, &m, path, e);
    if (!s) {
        span xml = find(x, &m, FA_SECTION_EMBEDDED_METADATA);
        if (xml.bytes) s = xclbin_read_xml(x, xml.data, xml.bytes, path, e);
    }
    fa_map_close(&m);
    return s;
}

void fa_xclbin_free(fa_xclbin *x) {
    free(x->section);
    free(x->mem);
    free(x->ip);
    free(x->connection);
    free(x->clock);
    free(x->kernel);
    free(x->arg);
    *x = (fa_xclbin){0};
}

bool fa_xclbin_is(const char *path) {
    fa_map m;
    if (fa_map_open(&m, path, NULL)) return false;
    bool is = m.bytes >= sizeof FA_AXLF_MAGIC && !memcmp(m.data, FA_AXLF_MAGIC, sizeof FA_AXLF_MAGIC);
    fa_map_close(&m);
    return is;
}
