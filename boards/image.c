#include "boards/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_REGISTER = 0x10, WORD = 4, IO_BITS = 512, TABLE_BITS = 32 };

int fa_image_kernels(const fa_board *b, const char *attention, hls_kernel image[FA_IMAGE_KERNELS]) {
    const char *other = !attention ? "" : strcmp(attention, "mla") ? "fathom_mla" : "fathom_gqa";
    int n = 0;
    for (const hls_kernel *k = hls_kernels(b->build.ports); k->name && n < FA_IMAGE_KERNELS; k++)
        if (strcmp(k->name, other)) image[n++] = *k;
    return n;
}

fa_status fa_image_attention(const char *attention, fa_error *e) {
    if (!strcmp(attention, "mla") || !strcmp(attention, "gqa")) return FA_OK;
    return fa_fail(e, FA_EINVAL, "attention '%s': mla (DeepSeek-V2, V3, R1) or gqa (all others)", attention);
}

fa_bank_range fa_image_banks(const fa_board *b, int32_t unit, const char *bundle) {
    const fa_board_build *d = &b->build;
    int32_t port = bundle[0] == 'w' ? atoi(bundle + 1) : d->ports;
    int32_t bank = fa_board_port_bank(b, d, unit, port);
    if (port < d->ports) return (fa_bank_range){bank, fa_board_port_banks(b, d)};
    const fa_bank_kind *kind = &b->bank[d->io_kind];
    if (!strchr(kind->tag, '[')) return (fa_bank_range){bank, 1};
    return (fa_bank_range){d->io_kind ? b->bank[0].count : 0, kind->count};
}

bool fa_image_begins_port(const hls_kernel *k, int i) {
    if (!k->args[i].bundle) return false;
    for (int j = 0; j < i; j++)
        if (k->args[j].bundle && !strcmp(k->args[j].bundle, k->args[i].bundle)) return false;
    return true;
}

int32_t fa_image_port_bits(const fa_board *b, const char *bundle) {
    if (bundle[0] == 'w') return b->build.port_bytes * 8;
    return strcmp(bundle, "table") ? IO_BITS : TABLE_BITS;
}

const char *fa_image_unit_name(const hls_kernel *k, int32_t unit, char text[64]) {
    snprintf(text, 64, "%s_%d", k->name, unit + 1);
    return text;
}

uint32_t fa_image_register(const hls_kernel *k, int arg) {
    uint32_t at = FIRST_REGISTER;
    for (int i = 0; i < arg; i++) at += (uint32_t)(k->args[i].bytes + WORD - 1) / WORD * WORD + WORD;
    return at;
}
