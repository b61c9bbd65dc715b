/* JPEG by libjpeg-turbo. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

#include "host/image/decoders.h"

/* A progressive file may hold any number of scans of a few bytes, each of which touches every pixel; real ones have about ten. */
enum { MOST_SCANS = 100, MOST_MEMORY = 512 << 20 };

typedef struct context {
    struct jpeg_decompress_struct jpeg; /* first: libjpeg hands out pointers to it */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    uint8_t *inks; /* a row of CMYK */
    char why[JMSG_LENGTH_MAX];
    jmp_buf out;
} context;

static _Noreturn void on_error(j_common_ptr jpeg) {
    context *c = (context *)jpeg;
    c->errors.format_message(jpeg, c->why);
    longjmp(c->out, 1);
}

/* Warnings are what libjpeg goes on after with invented pixels. Those that leave the picture whole are let pass. */
static void on_message(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM: return;
    default: on_error(jpeg);
    }
}

static void on_output(j_common_ptr jpeg) {
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg) {
    context *c = (context *)jpeg;
    if (c->jpeg.input_scan_number <= MOST_SCANS) return;
    snprintf(c->why, sizeof c->why, "more than %d scans", MOST_SCANS);
    longjmp(c->out, 1);
}

/* One row of inks as Adobe stores them, 255 minus the amount, to RGB; `row` holds 4 * width bytes, the first 3 * width are written.
 * Each product is rounded as Pillow rounds it (MULDIV255). */
static void inks_to_rgb(uint8_t *to, const uint8_t *row, int32_t width) {
    for (int32_t x = 0; x < width; x++, row += 4, to += 3) {
        int white = row[3];
        for (int k = 0; k < 3; k++) {
            int product = (255 - row[k]) * white + 128;
            int value = white - ((product + (product >> 8)) >> 8);
            to[k] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}

/* Leaves by longjmp on errors. */
static fa_status decode(fa_image *out, context *c, fa_error *e) {
    struct jpeg_decompress_struct *j = &c->jpeg;
    jpeg_read_header(j, TRUE);
    fa_status s = fa_image_alloc(out, (int32_t)j->image_width, (int32_t)j->image_height, e);
    if (s) return s;
    bool cmyk = j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK;
    j->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    if (cmyk && !(c->inks = malloc((size_t)out->width * 4))) return fa_fail(e, FA_ENOMEM, "out of memory");
    jpeg_start_decompress(j);
    while (j->output_scanline < j->output_height) {
        uint8_t *rgb = out->rgb + (size_t)j->output_scanline * (size_t)out->width * 3, *row = cmyk ? c->inks : rgb;
        jpeg_read_scanlines(j, &row, 1);
        if (cmyk) inks_to_rgb(rgb, row, out->width);
    }
    jpeg_finish_decompress(j);
    return FA_OK;
}

fa_status fa_jpeg_decode(fa_image *out, const uint8_t *bytes, size_t n, fa_error *e) {
    context *c = calloc(1, sizeof *c);
    if (!c) return fa_fail(e, FA_ENOMEM, "out of memory");
    volatile fa_status s = FA_OK;
    c->jpeg.err = jpeg_std_error(&c->errors);
    c->errors.error_exit = on_error;
    c->errors.emit_message = on_message;
    c->errors.output_message = on_output;
    c->progress.progress_monitor = on_progress;
    if (setjmp(c->out)) {
        s = fa_fail(e, FA_EFORMAT, "%s", c->why);
    } else {
        jpeg_create_decompress(&c->jpeg);
        c->jpeg.progress = &c->progress;
        c->jpeg.mem->max_memory_to_use = MOST_MEMORY;
        jpeg_mem_src(&c->jpeg, bytes, n);
        s = decode(out, c, e);
    }
    jpeg_destroy_decompress(&c->jpeg);
    free(c->inks);
    free(c);
    if (s) fa_image_free(out);
    return s;
}
