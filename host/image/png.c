/* PNG by libpng. */
#include <png.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/image/decoders.h"

/* Of a chunk beside the picture, unpacked: a colour profile, a text. */
enum { MOST_CHUNK = 8 << 20 };

/* What libpng calls back with; on the heap, so that it is known after a longjmp. */
typedef struct context {
    const uint8_t *from; /* reading: what is left */
    size_t left;
    uint8_t *to; /* writing: what there is */
    size_t n, room;
    png_bytepp rows;
    fa_status status;
    char why[128];
    jmp_buf out;
} context;

static _Noreturn void on_error(png_structp png, png_const_charp text) {
    context *c = png_get_error_ptr(png);
    if (!c->why[0]) snprintf(c->why, sizeof c->why, "%s", text);
    longjmp(c->out, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png, (void)text;
}

static void read_bytes(png_structp png, png_bytep to, size_t n) {
    context *c = png_get_io_ptr(png);
    if (n > c->left) png_error(png, "the file is cut off");
    memcpy(to, c->from, n);
    c->from += n;
    c->left -= n;
}

/* Everything to 8-bit RGB. */
static void set_conversions(png_structp png, png_infop info) {
    png_set_strip_16(png);
    if (png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

/* Leaves by longjmp on errors. */
static fa_status decode(fa_image *out, context *c, png_structp png, png_infop info, fa_error *e) {
    png_read_info(png, info);
    fa_status s =
        fa_image_alloc(out, (int32_t)png_get_image_width(png, info), (int32_t)png_get_image_height(png, info), e);
    if (s) return s;
    set_conversions(png, info);
    size_t row = (size_t)out->width * 3;
    if (png_get_rowbytes(png, info) != row) png_error(png, "rows of an unexpected size");
    c->rows = calloc((size_t)out->height, sizeof *c->rows);
    if (!c->rows) return fa_fail(e, FA_ENOMEM, "out of memory");
    for (int32_t y = 0; y < out->height; y++) c->rows[y] = out->rgb + (size_t)y * row;
    png_read_image(png, c->rows);
    png_read_end(png, NULL);
    return FA_OK;
}

fa_status fa_png_decode(fa_image *out, const uint8_t *bytes, size_t n, fa_error *e) {
    context *c = calloc(1, sizeof *c);
    png_structp png = c ? png_create_read_struct(PNG_LIBPNG_VER_STRING, c, on_error, on_warning) : NULL;
    png_infop info = png ? png_create_info_struct(png) : NULL;
    volatile fa_status s = FA_OK;
    if (!info) {
        s = fa_fail(e, FA_ENOMEM, "out of memory");
    } else if (setjmp(c->out)) {
        s = fa_fail(e, FA_EFORMAT, "%s", c->why);
    } else {
        c->from = bytes;
        c->left = n;
        /* what is beyond int32_t is libpng's error, what is beyond our limits that of fa_image_alloc */
        png_set_user_limits(png, INT32_MAX, INT32_MAX);
        png_set_chunk_malloc_max(png, MOST_CHUNK);
        png_set_read_fn(png, c, read_bytes);
        s = decode(out, c, png, info, e);
    }
    png_destroy_read_struct(&png, &info, NULL);
    if (c) free(c->rows);
    free(c);
    if (s) fa_image_free(out);
    return s;
}

static void write_bytes(png_structp png, png_bytep from, size_t n) {
    context *c = png_get_io_ptr(png);
    if (n > c->room - c->n) {
        size_t room = (c->n + n) * 2;
        uint8_t *more = realloc(c->to, room);
        if (!more) {
            c->status = FA_ENOMEM;
            png_error(png, "out of memory");
        }
        c->to = more;
        c->room = room;
    }
    memcpy(c->to + c->n, from, n);
    c->n += n;
}

static void flush(png_structp png) {
    (void)png;
}

static void encode(const fa_image *image, png_structp png, png_infop info) {
    png_set_user_limits(png, FA_IMAGE_MOST_SIDE, FA_IMAGE_MOST_SIDE);
    png_set_IHDR(png, info, (png_uint_32)image->width, (png_uint_32)image->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int32_t y = 0; y < image->height; y++) png_write_row(png, image->rgb + (size_t)y * (size_t)image->width * 3);
    png_write_end(png, info);
}

fa_status fa_image_encode_png(const fa_image *image, uint8_t **bytes, size_t *n, fa_error *e) {
    context *c = calloc(1, sizeof *c);
    png_structp png = c ? png_create_write_struct(PNG_LIBPNG_VER_STRING, c, on_error, on_warning) : NULL;
    png_infop info = png ? png_create_info_struct(png) : NULL;
    volatile fa_status s = FA_OK;
    if (!info) {
        s = fa_fail(e, FA_ENOMEM, "PNG: out of memory");
    } else if (setjmp(c->out)) {
        s = fa_fail(e, c->status, "PNG: %s", c->why);
    } else {
        c->status = FA_EINVAL;
        png_set_write_fn(png, c, write_bytes, flush);
        encode(image, png, info);
    }
    png_destroy_write_struct(&png, &info);
    *bytes = c && !s ? c->to : NULL;
    *n = *bytes ? c->n : 0;
    if (c && s) free(c->to);
    free(c);
    return s;
}

fa_status fa_image_write_png(const fa_image *image, const char *path, fa_error *e) {
    uint8_t *bytes;
    size_t n;
    fa_new_file file = {0};
    fa_status s = fa_image_encode_png(image, &bytes, &n, e);
    if (s) return fa_error_prefix(e, s, "%s", path);
    s = fa_new_file_open(&file, path, e);
    if (!s) {
        fwrite(bytes, 1, n, file.stream); /* commit reports what the stream could not take */
        s = fa_new_file_commit(&file, e);
    }
    fa_new_file_abandon(&file);
    free(bytes);
    return s;
}
