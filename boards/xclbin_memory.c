/* The memories of an image as XRT numbers them, and emconfig.json. */
#include <inttypes.h>
#include <stdlib.h>

#include "boards/xclbin.h"
#include "host/base/file.h"

static uint64_t power_of_two(uint64_t bytes) {
    uint64_t p = 1024;
    while (p < bytes) p *= 2;
    return p;
}

static int add_banks(const fa_board *b, fa_xclbin_memory *m, int max) {
    int n = 0;
    uint64_t base = 0;
    for (int k = 0; k < b->n_bank_kinds; k++)
        for (int32_t i = 0; i < b->bank[k].count; i++, n++) {
            uint64_t bytes = (uint64_t)b->bank[k].bank_bytes;
            if (n < max) m[n] = (fa_xclbin_memory){{n, 1}, base, bytes, false};
            base += power_of_two(bytes);
        }
    return n;
}

/* Marks the banks of a range as used, and adds its group unless it is there; returns how many memories there are then. */
static int add_range(fa_bank_range r, fa_xclbin_memory *m, int max, int n) {
    for (int32_t i = 0; i < r.count; i++) m[r.first + i].used = true;
    if (r.count == 1) return n;
    for (int i = 0; i < n; i++)
        if (m[i].banks.first == r.first && m[i].banks.count == r.count) return n;
    const fa_xclbin_memory *last = &m[r.first + r.count - 1];
    uint64_t base = m[r.first].base;
    if (n < max) m[n] = (fa_xclbin_memory){r, base, last->base + last->bytes - base, true};
    return n + 1;
}

fa_status fa_xclbin_memories(const fa_board *b, fa_xclbin_memory *m, int max, int *n, fa_error *e) {
    int used = 0;
    *n = add_banks(b, m, max);
    if (*n > max) return fa_fail(e, FA_ELIMIT, "%s: %d banks, %d is the limit", b->name, *n, max);
    for (const hls_kernel *k = hls_kernels(b->build.ports); k->name; k++)
        for (int32_t u = 0; u < b->build.units; u++)
            for (int i = 0; i < k->n_args && *n <= max; i++)
                if (fa_image_begins_port(k, i)) *n = add_range(fa_image_banks(b, u, k->args[i].bundle), m, max, *n);
    for (int i = 0; i < *n && i < max; i++) used += m[i].used;
    if (*n > max || used > FA_XCLBIN_MEMORIES)
        return fa_fail(e, FA_ELIMIT,
                       "%s: %d banks and ranges of banks are in use, XRT tells %d apart; build fewer units", b->name,
                       *n > max ? *n : used, FA_XCLBIN_MEMORIES);
    return FA_OK;
}

/* ---- emconfig.json ---- */

uint64_t fa_emconfig_base(const fa_xclbin_memory *m, int index) {
    uint64_t base = 0;
    for (int i = 0; i < index; i++) base += power_of_two(m[i].bytes);
    return base;
}

/* XRT knows sizes by name: powers of two as "1K" to "512T" (config.cxx, initializeMemMap). */
static const char *size_name(uint64_t bytes, char text[24]) {
    int unit = 0;
    uint64_t v = power_of_two(bytes) / 1024;
    for (; v >= 1024 && unit < 3; v /= 1024) unit++;
    snprintf(text, 24, "%" PRIu64 "%cB", v, "KMGT"[unit]);
    return text;
}

/* Feature_Bitmap 0: no scheduler on the card, so registers are written one by one and polled. */
static void write_board(const fa_board *b, const fa_xclbin_memory *m, int n, int32_t boards, FILE *to) {
    char size[24];
    fprintf(
        to,
        "{\n"
        "  \"Version\": {\"FileVersion\": \"2.0\", \"ToolVersion\": \"fathom " FATHOM_VERSION "\"},\n"
        "  \"Platform\": {\n"
        "    \"UnifiedPlatform\": \"false\",\n"
        "    \"ExpandedPR\": \"false\",\n"
        "    \"Boards\": [{\n"
        "      \"NumBoards\": \"1\",\n"
        "      \"Devices\": [{\n"
        "        \"Name\": \"fathom_%s\",\n"
        "        \"HalMajorVersion\": \"1\", \"HalMinorVersion\": \"0\",\n"
        "        \"VendorId\": \"0\", \"DeviceId\": \"0\", \"SubsystemVendorId\": \"0\", \"DeviceVersion\": \"0\",\n"
        "        \"NumDevices\": \"%d\",\n"
        "        \"DataAlignment\": \"4096\",\n"
        "        \"OclFreqency\": \"%.0f\",\n" /* sic */
        "        \"FeatureRom\": {\"Major_Version\": \"0\", \"Minor_Version\": \"0\", \"Feature_Bitmap\": \"0\"},\n"
        "        \"DdrBanks\": [",
        b->name, boards, b->build.clock_hz * 1e-6);
    for (int i = 0; i < n; i++)
        fprintf(to, "%s\n          {\"Type\": \"ddr4\", \"Size\": \"%s\"}", i ? "," : "", size_name(m[i].bytes, size));
    fprintf(to, "\n        ]\n      }]\n    }]\n  }\n}\n");
}

fa_status fa_emconfig_write(const fa_board *b, int32_t boards, const char *path, fa_error *e) {
    enum { MOST = 256 };
    fa_xclbin_memory m[MOST];
    fa_new_file f = {0};
    int n;
    if (boards < 1) return fa_fail(e, FA_EINVAL, "%s: %d boards", path, boards);
    fa_status s = fa_xclbin_memories(b, m, MOST, &n, e);
    if (!s) s = fa_new_file_open(&f, path, e);
    if (s) return s;
    write_board(b, m, n, boards, f.stream);
    s = fa_new_file_commit(&f, e);
    fa_new_file_abandon(&f);
    return s;
}
