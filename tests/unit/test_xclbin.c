/* The xclbin files that we write: read back by XRT's own reader (tests/xrt/reader.cpp), every line of which must be what the board's file
 * and the table of kernels say; the structures are those of XRT's header; the same image has the same bytes. */
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "boards/xclbin.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

#if __has_include(<xrt/xclbin.h>)
#include <xrt/xclbin.h>

/* Each member of ours is where XRT's header has it. */
#define SAME(ours, member, theirs, its)                                                          \
    _Static_assert(offsetof(ours, member) == offsetof(theirs, its), #ours "." #member " moved"); \
    _Static_assert(sizeof((ours){0}.member) == sizeof((theirs){0}.its), #ours "." #member " has another size")
SAME(fa_axlf, magic, struct axlf, m_magic);
SAME(fa_axlf, signature_length, struct axlf, m_signature_length);
SAME(fa_axlf, key_block, struct axlf, m_keyBlock);
SAME(fa_axlf, unique_id, struct axlf, m_uniqueId);
SAME(fa_axlf, length, struct axlf, m_header.m_length);
SAME(fa_axlf, time_stamp, struct axlf, m_header.m_timeStamp);
SAME(fa_axlf, version_major, struct axlf, m_header.m_versionMajor);
SAME(fa_axlf, mode, struct axlf, m_header.m_mode);
SAME(fa_axlf, rom_uuid, struct axlf, m_header.rom_uuid);
SAME(fa_axlf, platform, struct axlf, m_header.m_platformVBNV);
SAME(fa_axlf, uuid, struct axlf, m_header.uuid);
SAME(fa_axlf, debug_bin, struct axlf, m_header.m_debug_bin);
SAME(fa_axlf, sections, struct axlf, m_header.m_numSections);
_Static_assert(sizeof(fa_axlf) == offsetof(struct axlf, m_sections), "the headers of sections follow");
SAME(fa_axlf_section, kind, struct axlf_section_header, m_sectionKind);
SAME(fa_axlf_section, name, struct axlf_section_header, m_sectionName);
SAME(fa_axlf_section, offset, struct axlf_section_header, m_sectionOffset);
SAME(fa_axlf_section, bytes, struct axlf_section_header, m_sectionSize);
SAME(fa_axlf_mem, type, struct mem_data, m_type);
SAME(fa_axlf_mem, used, struct mem_data, m_used);
SAME(fa_axlf_mem, kib, struct mem_data, m_size);
SAME(fa_axlf_mem, base, struct mem_data, m_base_address);
SAME(fa_axlf_mem, tag, struct mem_data, m_tag);
SAME(fa_axlf_connection, arg, struct connection, arg_index);
SAME(fa_axlf_connection, ip, struct connection, m_ip_layout_index);
SAME(fa_axlf_connection, mem, struct connection, mem_data_index);
SAME(fa_axlf_ip, type, struct ip_data, m_type);
SAME(fa_axlf_ip, properties, struct ip_data, properties);
SAME(fa_axlf_ip, base, struct ip_data, m_base_address);
SAME(fa_axlf_ip, name, struct ip_data, m_name);
SAME(fa_axlf_clock, mhz, struct clock_freq, m_freq_Mhz);
SAME(fa_axlf_clock, type, struct clock_freq, m_type);
SAME(fa_axlf_clock, name, struct clock_freq, m_name);
_Static_assert(FA_AXLF_MEMS_AT == offsetof(struct mem_topology, m_mem_data), "mem_topology");
_Static_assert(FA_AXLF_CONNECTIONS_AT == offsetof(struct connectivity, m_connection), "connectivity");
_Static_assert(FA_AXLF_IPS_AT == offsetof(struct ip_layout, m_ip_data), "ip_layout");
_Static_assert(FA_AXLF_CLOCKS_AT == offsetof(struct clock_freq_topology, m_clock_freq), "clock_freq_topology");
_Static_assert(FA_SECTION_EMBEDDED_METADATA == (int)EMBEDDED_METADATA && FA_SECTION_MEM_TOPOLOGY == (int)MEM_TOPOLOGY &&
                   FA_SECTION_CONNECTIVITY == (int)CONNECTIVITY && FA_SECTION_IP_LAYOUT == (int)IP_LAYOUT &&
                   FA_SECTION_CLOCK_FREQ_TOPOLOGY == (int)CLOCK_FREQ_TOPOLOGY &&
                   FA_SECTION_BUILD_METADATA == (int)BUILD_METADATA &&
                   FA_SECTION_GROUP_TOPOLOGY == (int)ASK_GROUP_TOPOLOGY &&
                   FA_SECTION_GROUP_CONNECTIVITY == (int)ASK_GROUP_CONNECTIVITY,
               "kinds of sections");
_Static_assert(FA_AXLF_HW == (int)XCLBIN_PR && FA_AXLF_HW_EMU == (int)XCLBIN_HW_EMU &&
                   FA_AXLF_SW_EMU == (int)XCLBIN_SW_EMU,
               "modes");
_Static_assert(FA_MEM_DDR4 == (int)MEM_DDR4 && FA_MEM_DRAM == (int)MEM_DRAM && FA_MEM_HBM == (int)MEM_HBM, "memories");
_Static_assert(FA_IP_KERNEL == (int)IP_KERNEL && FA_AP_CTRL_CHAIN == (int)AP_CTRL_CHAIN, "units");
#endif

enum { MAX_LINES = 8192 };

static fa_board board(const char *name) {
    fa_board b;
    fa_error e;
    CHECK_OK(fa_board_find(&b, name, &e), &e);
    return b;
}

/* ---- XRT's reader against the tables ---- */

/* What the reader printed, and which lines were expected so far. */
typedef struct facts {
    char *line[MAX_LINES];
    bool seen[MAX_LINES];
    int n;
} facts;

static void expect(facts *f, const char *form, ...) __attribute__((format(printf, 2, 3)));
static void expect(facts *f, const char *form, ...) {
    char text[1024];
    va_list args;
    va_start(args, form);
    vsnprintf(text, sizeof text, form, args);
    va_end(args);
    size_t key = strcspn(text, " "); /* for the message: the nearest line of its kind that nobody expected */
    const char *near = "none";
    for (int i = f->n - 1; i >= 0; i--) {
        if (f->seen[i]) continue;
        if (!strcmp(f->line[i], text)) {
            f->seen[i] = true;
            return;
        }
        if (!strncmp(f->line[i], text, key + 1)) near = f->line[i];
    }
    CHECK(false, "XRT does not report '%s' but '%s'", text, near);
}

static void expect_memories(facts *f, const fa_board *b, const fa_xclbin_memory *m, int n) {
    char tag[24];
    int banks = 0;
    uint64_t base = 0;
    for (int k = 0; k < b->n_bank_kinds; k++)
        for (int32_t i = 0; i < b->bank[k].count; i++, banks++) {
            int type = !strcmp(b->bank[k].name, "HBM") ? 6 : 1;
            expect(f, "mem %d tag %s type %d used %d base 0x%llx kib %lld", banks, fa_board_bank_tag(b, banks, tag),
                   type, m[banks].used, (unsigned long long)base, (long long)b->bank[k].bank_bytes / 1024);
            base += (uint64_t)b->bank[k].bank_bytes;
        }
    expect(f, "topology %d", banks);
    for (int i = banks; i < n; i++) {
        fa_bank_range r = m[i].banks;
        CHECK(r.count > 1 && m[i].used);
        expect(f, "mem %d tag MBG[%d:%d] type %d used 1 base 0x%llx kib %llu", i, r.first, r.first + r.count - 1,
               !strcmp(b->bank[r.first >= b->bank[0].count].name, "HBM") ? 6 : 1, (unsigned long long)m[r.first].base,
               (unsigned long long)(m[r.first].bytes / 1024 * (uint64_t)r.count));
    }
}

/* A weight port reaches its banks and their group; an io or table port all banks of its kind. */
static void expect_argument(facts *f, const fa_board *b, const fa_xclbin_memory *m, int n, const char *unit_name,
                            const hls_kernel *k, int32_t unit, int i, uint32_t offset) {
    const hls_arg *a = &k->args[i];
    char mems[512] = "", port[32] = "S_AXI_CONTROL";
    int32_t first = 0, count = 0, weight;
    if (a->bundle && sscanf(a->bundle, "w%d", &weight) == 1) {
        first = fa_board_port_bank(b, &b->build, unit, weight);
        count = fa_board_port_banks(b, &b->build);
        snprintf(port, sizeof port, "M_AXI_W%d", weight);
    } else if (a->bundle) {
        bool all = strchr(b->bank[b->build.io_kind].tag, '[');
        first = all ? b->build.io_kind * b->bank[0].count : fa_board_port_bank(b, &b->build, unit, b->build.ports);
        count = all ? b->bank[b->build.io_kind].count : 1;
        snprintf(port, sizeof port, "M_AXI_%s", strcmp(a->bundle, "io") ? "TABLE" : "IO");
    }
    size_t at = 0;
    for (int j = 0; j < n; j++) {
        fa_bank_range r = m[j].banks;
        bool bank = r.count == 1 && r.first >= first && r.first < first + count;
        if (bank || (r.count > 1 && r.first == first && r.count == count))
            at += (size_t)snprintf(mems + at, sizeof mems - at, " %d", j);
    }
    CHECK(!a->bundle == !*mems, "%s %s reaches no memory", k->name, a->name);
    expect(f, "arg %s %d name %s port %s size %d offset 0x%x type %s mems%s", unit_name, i, a->name, port, a->bytes,
           offset,
           a->bundle       ? "void*"
           : a->bytes == 8 ? "ulong"
                           : "uint",
           mems);
}

static void expect_kernels(facts *f, const fa_board *b, const char *attention, fa_ip_control control,
                           const fa_xclbin_memory *m, int n) {
    const char *other = attention ? strcmp(attention, "mla") ? "fathom_mla" : "fathom_gqa" : "";
    int ip = 0, kernels = 0;
    for (const hls_kernel *k = hls_kernels(b->build.ports); k->name; k++) {
        if (!strcmp(k->name, other)) continue;
        kernels++;
        expect(f, "kernel %s args %d units %d", k->name, k->n_args, b->build.units);
        for (int32_t u = 0; u < b->build.units; u++, ip++) {
            char unit[96];
            uint32_t offset = 0x10; /* UG1399: 64-bit data takes 12 bytes with its reserved word, 32-bit data 8 */
            snprintf(unit, sizeof unit, "%s:%s_%d", k->name, k->name, u + 1);
            expect(f, "unit %s control %d base 0x%x size 4096 args %d", unit, control, 0x800000 + ip * 0x10000,
                   k->n_args);
            expect(f, "ip %s", unit);
            expect(f, "layout %d type 1 interrupt 1 id %d", ip, ip);
            for (int i = 0; i < k->n_args; i++) {
                expect_argument(f, b, m, n, unit, k, u, i, offset);
                offset += k->args[i].bytes == 8 ? 12 : 8;
            }
        }
    }
    expect(f, "c kernels %d units %d", kernels, kernels * b->build.units);
}

static void expect_build(const facts *f, const fa_board *b) {
    for (int i = 0; i < f->n; i++) {
        if (strncmp(f->line[i], "build ", 6)) continue;
        json_error_t je;
        const char *name = NULL, *by = NULL, *units = NULL;
        json_t *root = json_loads(f->line[i] + 6, 0, &je);
        CHECK(root, "%s", je.text);
        CHECK(!json_unpack(root, "{s:{s:{s:s, s:s, s:{s:s}}}}", "build_metadata", "xclbin", "board", &name, "units",
                           &units, "generated_by", "name", &by));
        CHECK(!strcmp(name, b->name) && !strcmp(by, "fathom") && atoi(units) == b->build.units);
        json_decref(root);
        ((facts *)f)->seen[i] = true;
    }
}

static facts read_by_xrt(const char *path, check_output *o) {
    const char *build = getenv("FATHOM_BUILD");
    char reader[256];
    snprintf(reader, sizeof reader, "%s/tests/xrt/reader", build ? build : "build");
    if (access(reader, X_OK)) check_skip("no XRT to read it with: install libxrt-dev and g++, then make tests");
    *o = check_command("%s %s", reader, path);
    CHECK(o->status == 0, "%s", o->err);
    facts f = {0};
    for (char *p = strtok(o->out, "\n"); p && f.n < MAX_LINES; p = strtok(NULL, "\n")) f.line[f.n++] = p;
    return f;
}

typedef struct image_case {
    const char *board, *attention;
    fa_xclbin_mode mode;
    fa_ip_control control;
} image_case;

static void xrt_reports_what_the_tables_say(void *arg) {
    const image_case *c = arg;
    fa_board b = board(c->board);
    fa_xclbin_options o = {c->mode, c->attention, c->control, "bits", 4};
    fa_xclbin_memory m[256];
    fa_error e;
    int n;
    char *dir = check_scratch(), path[256], id[37];
    snprintf(path, sizeof path, "%s/fathom.xclbin", dir);
    CHECK_OK(fa_xclbin_memories(&b, m, 256, &n, &e), &e);
    CHECK_OK(fa_xclbin_write(&b, &o, path, &e), &e);
    size_t bytes;
    uint8_t *raw = check_read(path, &bytes);
    uuid_unparse_lower(((fa_axlf *)raw)->uuid, id);
    free(raw);
    check_output out;
    facts f = read_by_xrt(path, &out);
    char platform[96];
    snprintf(platform, sizeof platform, "%s%s", *b.platform ? b.platform : "fathom_", *b.platform ? "" : b.name);
    expect(&f, "xsa %s", platform);
    expect(&f, "c xsa %s", platform);
    expect(&f, "uuid %s", id);
    expect(&f, "c uuid %s", id);
    expect(&f, "target %s", c->mode == FA_XCLBIN_SW_EMU ? "sw_emu" : "hw_emu");
    expect(&f, "device %s", b.part);
    expect(&f, "clock DATA_CLK type 1 mhz %.0f", b.build.clock_hz * 1e-6);
    expect(&f, "clock KERNEL_CLK type 2 mhz %.0f", b.build.clock_hz * 1e-6);
    expect_memories(&f, &b, m, n);
    expect_kernels(&f, &b, c->attention, c->control, m, n);
    expect_build(&f, &b);
    for (int i = 0; i < f.n; i++) CHECK(f.seen[i], "XRT reports '%s', which no table says", f.line[i]);
    check_output_free(&out);
    check_remove(dir);
    free(dir);
}

/* ---- the rest ---- */

static void same_image_same_bytes(void *arg) {
    (void)arg;
    fa_board b = board("u280"), other = board("u55c");
    fa_error e;
    void *x[4];
    size_t n[4];
    fa_xclbin_options o = {FA_XCLBIN_SW_EMU, "mla", FA_AP_CTRL_HS, "bits", 4};
    CHECK_OK(fa_xclbin_make(&b, &o, &x[0], &n[0], &e), &e);
    CHECK_OK(fa_xclbin_make(&b, &o, &x[1], &n[1], &e), &e);
    CHECK_OK(fa_xclbin_make(&other, &o, &x[2], &n[2], &e), &e);
    o.bitstream = "bitS";
    CHECK_OK(fa_xclbin_make(&b, &o, &x[3], &n[3], &e), &e);
    CHECK(n[0] == n[1] && !memcmp(x[0], x[1], n[0]), "the same image differs");
    for (int i = 2; i < 4; i++)
        CHECK(memcmp(((fa_axlf *)x[0])->uuid, ((fa_axlf *)x[i])->uuid, 16), "another image has the same UUID");
    for (int i = 0; i < 4; i++) free(x[i]);
}

/* fathom's own reader finds what was written. */
static void our_reader_agrees(void *arg) {
    fa_board b = board(arg);
    fa_xclbin_options o = {FA_XCLBIN_HW_EMU, "gqa", FA_AP_CTRL_CHAIN, "bits", 4};
    fa_xclbin_memory m[256];
    hls_kernel kernels[FA_IMAGE_KERNELS];
    fa_xclbin x;
    fa_error e;
    int n_memories, n = fa_image_kernels(&b, "gqa", kernels);
    char *dir = check_scratch(), path[256];
    snprintf(path, sizeof path, "%s/fathom.xclbin", dir);
    CHECK_OK(fa_xclbin_memories(&b, m, 256, &n_memories, &e), &e);
    CHECK_OK(fa_xclbin_write(&b, &o, path, &e), &e);
    CHECK(fa_xclbin_is(path) && !fa_xclbin_is(dir));
    CHECK_OK(fa_xclbin_read(&x, path, &e), &e);
    CHECK(x.mode == FA_XCLBIN_HW_EMU && x.n_kernels == n && x.n_ips == n * b.build.units && x.n_clocks == 2);
    CHECK(x.n_mems == n_memories && x.n_connections > 0);
    for (int k = 0; k < n; k++) {
        CHECK(!strcmp(x.kernel[k].name, kernels[k].name) && x.kernel[k].n_args == kernels[k].n_args);
        for (int i = 0; i < x.kernel[k].n_args; i++) {
            const fa_xclbin_arg *a = &x.arg[x.kernel[k].first_arg + i];
            CHECK(!strcmp(a->name, kernels[k].args[i].name) && a->id == i && a->pointer == !!kernels[k].args[i].bundle);
            CHECK(a->offset == fa_image_register(&kernels[k], i) && a->bytes == (uint64_t)kernels[k].args[i].bytes);
        }
    }
    fa_xclbin_free(&x);
    check_remove(dir);
    free(dir);
}

static void wrong_options_are_refused(void *arg) {
    (void)arg;
    fa_board b = board("u55c"), many = b;
    many.build.units = 64;
    const struct {
        const fa_board *board;
        fa_xclbin_options o;
        fa_status status;
        const char *says;
    } cases[] = {
        {&b, {FA_XCLBIN_HW, NULL, 0, "x", 1}, FA_EINVAL, "make xclbin BOARD=u55c"},
        {&b, {FA_XCLBIN_SW_EMU, "mha", 0, "x", 1}, FA_EINVAL, "attention 'mha'"},
        {&b, {FA_XCLBIN_SW_EMU, NULL, 0, NULL, 0}, FA_EINVAL, "at least one byte"},
        {&many, {FA_XCLBIN_SW_EMU, NULL, 0, "x", 1}, FA_ELIMIT, "compute units"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_error e = {0};
        void *bytes;
        size_t n;
        fa_status s = fa_xclbin_make(cases[i].board, &cases[i].o, &bytes, &n, &e);
        CHECK(s == cases[i].status && strstr(e.text, cases[i].says) && !bytes, "%zu: %s", i, e.text);
    }
    fa_error e;
    fa_xclbin_options o = {FA_XCLBIN_SW_EMU, NULL, 0, "x", 1};
    CHECK(fa_xclbin_write(&b, &o, "/dev/null/x", &e) == FA_EIO && strstr(e.text, "/dev/null/x"), "%s", e.text);
    CHECK(fa_emconfig_write(&b, 0, "/dev/null/x", &e) == FA_EINVAL, "%s", e.text);
}

/* emconfig.json lists every memory in order with a size that XRT knows, not below the memory's own. */
static void emconfig_lists_the_memories(void *arg) {
    fa_board b = board(arg);
    fa_xclbin_memory m[256];
    fa_error e;
    int n;
    char *dir = check_scratch(), path[256];
    snprintf(path, sizeof path, "%s/emconfig.json", dir);
    CHECK_OK(fa_xclbin_memories(&b, m, 256, &n, &e), &e);
    CHECK_OK(fa_emconfig_write(&b, 3, path, &e), &e);
    json_error_t je;
    json_t *root = json_load_file(path, 0, &je), *banks;
    CHECK(root, "%s", je.text);
    const char *version, *devices;
    CHECK(!json_unpack(root, "{s:{s:s}, s:{s:[{s:[{s:s, s:o}]}]}}", "Version", "FileVersion", &version, "Platform",
                       "Boards", "Devices", "NumDevices", &devices, "DdrBanks", &banks));
    CHECK(!strcmp(version, "2.0") && !strcmp(devices, "3"));
    CHECK((int)json_array_size(banks) == n, "%zu banks", json_array_size(banks));
    uint64_t base = 0;
    for (int i = 0; i < n; i++) {
        unsigned long long size = 0;
        char unit = 0;
        sscanf(json_string_value(json_object_get(json_array_get(banks, (size_t)i), "Size")), "%llu%cB", &size, &unit);
        const char *units = "KMGT", *at = strchr(units, unit);
        CHECK(at && size && !(size & (size - 1)) && size < 1024, "bank %d: %llu%c", i, size, unit);
        size <<= 10 * (at - units + 1);
        CHECK(size >= m[i].bytes && size < 2 * m[i].bytes, "bank %d: %llu for %llu", i, size,
              (unsigned long long)m[i].bytes);
        CHECK(fa_emconfig_base(m, i) == base);
        CHECK(m[i].banks.count > 1 || m[i].base == base, "bank %d is not where MEM_TOPOLOGY says", i);
        base += size;
    }
    json_decref(root);
    check_remove(dir);
    free(dir);
}

int main(int argc, char **argv) {
    enum { BOARDS = 16, KINDS = 3 };
    static const image_case kinds[KINDS] = {
        {NULL, NULL, FA_XCLBIN_SW_EMU, FA_AP_CTRL_HS},
        {NULL, "mla", FA_XCLBIN_HW_EMU, FA_AP_CTRL_CHAIN},
        {NULL, "gqa", FA_XCLBIN_HW_EMU, FA_AP_CTRL_HS},
    };
    static const char *const forms[KINDS] = {"%s: XRT reports what the tables say",
                                             "%s: and with hw_emu, mla, ap_ctrl_chain",
                                             "%s: and with hw_emu, gqa, ap_ctrl_hs"};
    static image_case images[BOARDS * KINDS];
    static char names[BOARDS * (KINDS + 2)][96];
    check_case cases[BOARDS * (KINDS + 2) + 2] = {
        {"the same image has the same bytes, another one another UUID", same_image_same_bytes, NULL},
        {"wrong options are refused", wrong_options_are_refused, NULL},
    };
    size_t n = 2;
    for (int i = 0; fa_board_name(i) && i < BOARDS; i++) {
        const char *b = fa_board_name(i);
        for (int k = 0; k < KINDS; k++) {
            image_case *c = &images[i * KINDS + k];
            *c = kinds[k];
            c->board = b;
            snprintf(names[n - 2], sizeof *names, forms[k], b);
            cases[n] = (check_case){names[n - 2], xrt_reports_what_the_tables_say, c};
            n++;
        }
        snprintf(names[n - 2], sizeof *names, "%s: emconfig.json lists the memories", b);
        cases[n] = (check_case){names[n - 2], emconfig_lists_the_memories, (void *)b};
        n++;
        snprintf(names[n - 2], sizeof *names, "%s: fathom reads what it wrote", b);
        cases[n] = (check_case){names[n - 2], our_reader_agrees, (void *)b};
        n++;
    }
    return check_main(argc, argv, cases, n);
}
