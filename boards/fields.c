#include "boards/fields.h"

#include <string.h>

static const char *const runtimes[] = {"xrt", "embedded", "f2", "aved", "none", NULL};
static const char *const memories[] = {"memory", "memory2", NULL};
static const char *const no_yes[] = {"no", "yes", NULL};
static const char *const dsps[] = {"DSP48E2", "DSP58", NULL};

_Static_assert(sizeof runtimes / sizeof *runtimes == FA_RUNTIME_COUNT + 1, "one name for each fa_board_runtime");

#define AT(member) offsetof(fa_board, member), sizeof(((fa_board *)0)->member)
#define TEXT(name, about, member, optional) \
    { name, "", about, FA_FIELD_TEXT, AT(member), 0, 0, 0, NULL, optional }
#define CHOICE(name, about, member, list) \
    { name, "", about, FA_FIELD_CHOICE, AT(member), 0, 0, 0, list, false }
#define I32(name, unit, about, member, min, max) \
    { name, unit, about, FA_FIELD_I32, AT(member), 1, min, max, NULL, false }
#define REAL(name, unit, about, member, scale, min, max) \
    { name, unit, about, FA_FIELD_REAL, AT(member), scale, min, max, NULL, false }
#define MAYBE(name, unit, about, member, scale, min, max) \
    { name, unit, about, FA_FIELD_REAL, AT(member), scale, min, max, NULL, true }

#define RESOURCE(name, about, of, member, max, optional)                                         \
    {                                                                                            \
        name, "", about, FA_FIELD_REAL, offsetof(fa_board, of) + offsetof(fa_resources, member), \
            sizeof(((fa_resources *)0)->member), 1, 1, max, NULL, optional                       \
    }

#define RESOURCES(section, of)                                                  \
    RESOURCE(section ".lut", "six-input look-up tables", of, lut, 1e8, false),  \
        RESOURCE(section ".ff", "flip-flops", of, ff, 1e8, true),               \
        RESOURCE(section ".dsp", "DSP slices", of, dsp, 1e6, false),            \
        RESOURCE(section ".bram", "block RAMs of 36 Kb", of, bram, 1e6, false), \
        RESOURCE(section ".uram", "UltraRAMs of 288 Kb", of, uram, 1e6, true)

#define MEMORY(section, i, optional)                                                                                   \
    TEXT(section ".name", "kind of memory", bank[i].name, optional),                                                   \
        TEXT(section ".tag", "what v++ calls bank #", bank[i].tag, false),                                             \
        I32(section ".banks", "", "banks", bank[i].count, 1, 64),                                                      \
        {section ".bank_mib",                                                                                          \
         "MiB",                                                                                                        \
         "capacity of a bank",                                                                                         \
         FA_FIELD_I64,                                                                                                 \
         AT(bank[i].bank_bytes),                                                                                       \
         1048576,                                                                                                      \
         1,                                                                                                            \
         4194304,                                                                                                      \
         NULL,                                                                                                         \
         false},                                                                                                       \
        REAL(section ".peak_gb_per_s", "GB/s", "a bank by its data sheet", bank[i].peak_bytes_per_s, 1e9, 0.1, 1e4),   \
        REAL(section ".read_share", "", "of the peak, one port streaming", bank[i].read_share, 1, 0.01, 1),            \
        REAL(section ".write_share", "", "of the peak, one port streaming", bank[i].write_share, 1, 0.01, 1),          \
        I32(section ".bank_ports", "", "ports at that rate on a bank", bank[i].bank_ports, 1, 64),                     \
        MAYBE(section ".total_gb_per_s", "GB/s", "all banks read together, measured", bank[i].total_bytes_per_s, 1e9,  \
              0.1, 1e5),                                                                                               \
        I32(section ".port_bytes", "B", "a cycle of a port at the bank", bank[i].port_bytes, 4, 64),                   \
        REAL(section ".read_latency_ns", "ns", "of a burst, to its first byte", bank[i].read_latency_s, 1e-9, 1, 1e5), \
        REAL(section ".write_latency_ns", "ns", "of a burst, to its answer", bank[i].write_latency_s, 1e-9, 1, 1e5)

const fa_field fa_fields[FA_FIELDS] = {
    TEXT("board.title", "the maker's name", title, false),
    TEXT("board.part", "the device", part, false),
    TEXT("board.platform", "the Vitis platform", platform, true),
    CHOICE("board.runtime", "what starts kernels", runtime, runtimes),
    CHOICE("board.package", "v++ -p is a step of the build", packaged, no_yes),
    CHOICE("board.dsp", "kind of DSP slice", dsp58, dsps),
    I32("board.slrs", "", "super logic regions", slrs, 1, 8),
    RESOURCES("fabric", part_has),
    RESOURCES("usable", usable),
    MEMORY("memory", 0, false),
    MEMORY("memory2", 1, true),
    REAL("host.to_card_gb_per_s", "GB/s", "host to board; 0: memory is shared", to_card_bytes_per_s, 1e9, 0, 1e3),
    REAL("host.from_card_gb_per_s", "GB/s", "board to host; 0: memory is shared", from_card_bytes_per_s, 1e9, 0, 1e3),
    REAL("host.launch_us", "us", "to start a kernel and see it end", launch_s, 1e-6, 0.1, 1e5),
    REAL("power.idle_w", "W", "whole board at rest", idle_w, 1, 0, 1e4),
    REAL("power.full_w", "W", "whole board, all units and banks busy", full_w, 1, 0.1, 1e4),
    MAYBE("power.limit_w", "W", "the card's limit", limit_w, 1, 0.1, 1e4),
    MAYBE("price.usd", "USD", "to buy", price_usd, 1, 1, 1e6),
    MAYBE("price.rent_usd_per_h", "USD/h", "to rent", rent_usd_per_h, 1, 0.001, 1e4),
    REAL("build.clock_mhz", "MHz", "clock of the kernels", build.clock_hz, 1e6, 1, 2000),
    I32("build.units", "", "compute units", build.units, 1, 64),
    I32("build.ports", "", "weight ports of a unit", build.ports, 1, 16),
    I32("build.port_bytes", "B", "codes a cycle of a port", build.port_bytes, 32, 64),
    I32("build.rows", "", "rows that share a pass over the weights", build.rows, 1, 64),
    I32("build.lanes_fp32", "", "FP32 multiply-adds a cycle of a unit", build.lanes_fp32, 16, 4096),
    CHOICE("build.io", "where activations and cache pages are", build.io_kind, memories),
};

int fa_field_find(const char *section, const char *key) {
    size_t n = strlen(section);
    for (int i = 0; i < FA_FIELDS; i++)
        if (!strncmp(fa_fields[i].name, section, n) && fa_fields[i].name[n] == '.' &&
            !strcmp(fa_fields[i].name + n + 1, key))
            return i;
    return -1;
}

const char *fa_board_runtime_name(fa_board_runtime r) {
    return (unsigned)r < FA_RUNTIME_COUNT ? runtimes[r] : "?";
}

const char *fa_board_assumption(const fa_board *b, int i) {
    for (int f = 0; f < FA_FIELDS; f++)
        if (b->assumed >> f & 1 && i-- == 0) return fa_fields[f].name;
    return NULL;
}
