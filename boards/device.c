#include "boards/device.h"

#include "hls/kernels.h"

static fa_status check_arg(const hls_kernel *k, int i, const fa_device_arg *a, fa_error *e) {
    const hls_arg *arg = &k->args[i];
    bool pointer = arg->kind != HLS_ARG_SCALAR;
    if (!pointer && a->buffer) return fa_fail(e, FA_EINVAL, "%s: %s is a scalar", k->name, arg->name);
    if (pointer && !a->buffer && a->value) return fa_fail(e, FA_EINVAL, "%s: %s is a pointer", k->name, arg->name);
    if (!a->buffer || (a->value <= a->buffer->bytes && sizeof(hls_word) <= a->buffer->bytes - a->value)) return FA_OK;
    return fa_fail(e, FA_EINVAL, "%s: %s: a word at %llu is outside the buffer's %zu bytes", k->name, arg->name,
                   (unsigned long long)a->value, a->buffer->bytes);
}

fa_status fa_device_check_launch(const fa_board *b, const char *kernel, int32_t unit, const fa_device_arg *args, int n,
                                 const struct hls_kernel **found, fa_error *e) {
    const hls_kernel *k = *found = hls_kernel_find(b->build.ports, kernel);
    if (!k) return fa_fail(e, FA_EINVAL, "board %s has no kernel %s", b->name, kernel);
    if (unit < 0 || unit >= b->build.units)
        return fa_fail(e, FA_EINVAL, "%s: unit %d is not in 0 .. %d", kernel, unit, b->build.units - 1);
    if (n != k->n_args) return fa_fail(e, FA_EINVAL, "%s: %d arguments, but it takes %d", k->name, n, k->n_args);
    fa_status s = FA_OK;
    for (int i = 0; i < n && !s; i++) s = check_arg(k, i, &args[i], e);
    return s;
}
