/* Pictures against Pillow: every encoding of the corpus gives its pixels, resizing gives its pixels, what we write it and we read back; files that
 * ask for too much are refused before they are decoded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/image/image.h"
#include "host/image/resize.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

/* A PPM file as Pillow writes it. */
static fa_image read_ppm(const char *path) {
    size_t n;
    uint8_t *data = check_read(path, &n);
    fa_image image;
    fa_error e = {0};
    int width, height, at;
    CHECK(sscanf((char *)data, "P6 %d %d 255%n", &width, &height, &at) == 2, "%s", path);
    CHECK_OK(fa_image_alloc(&image, width, height, &e), &e);
    size_t bytes = (size_t)width * (size_t)height * 3;
    CHECK(n == (size_t)at + 1 + bytes, "%s: %zu bytes", path, n);
    memcpy(image.rgb, data + at + 1, bytes);
    free(data);
    return image;
}

static void same(const fa_image *got, const fa_image *want) {
    CHECK(got->width == want->width && got->height == want->height, "%d x %d, expected %d x %d", got->width,
          got->height, want->width, want->height);
    for (int i = 0; i < got->width * got->height * 3; i++)
        CHECK(got->rgb[i] == want->rgb[i], "x %d, y %d, colour %d: %d, expected %d", i / 3 % got->width,
              i / 3 / got->width, i % 3, got->rgb[i], want->rgb[i]);
}

static char *corpus(const char *name) {
    char *path = NULL, *folder = check_golden("image");
    CHECK(asprintf(&path, "%s/%s", folder, name) > 0);
    free(folder);
    return path;
}

static void reads_as_pillow(void *name) {
    fa_error e = {0};
    fa_image got;
    char *path = corpus(name), *ppm = NULL;
    CHECK(asprintf(&ppm, "%s.ppm", path) > 0);
    CHECK_OK(fa_image_read(&got, path, &e), &e);
    fa_image want = read_ppm(ppm);
    same(&got, &want);
    fa_image_free(&got), fa_image_free(&want);
    free(path), free(ppm);
}

static void resizes_as_pillow(void *name) {
    fa_error e = {0};
    fa_image from, got;
    int width, height;
    char *path = corpus("drawing.png"), *ppm = corpus(name);
    CHECK(sscanf((char *)name, "resized/%dx%d", &width, &height) == 2);
    CHECK_OK(fa_image_read(&from, path, &e), &e);
    CHECK_OK(fa_image_resize(&got, &from, width, height, &e), &e);
    fa_image want = read_ppm(ppm);
    same(&got, &want);
    fa_image_free(&from), fa_image_free(&got), fa_image_free(&want);
    free(path), free(ppm);
}

static void what_is_written_reads_back(void *arg) {
    (void)arg;
    fa_error e = {0};
    fa_image image, back;
    char *path = corpus("drawing.png"), *dir = check_scratch(), *out = NULL;
    CHECK(asprintf(&out, "%s/out.png", dir) > 0);
    CHECK_OK(fa_image_read(&image, path, &e), &e);
    CHECK_OK(fa_image_write_png(&image, out, &e), &e);
    CHECK_OK(fa_image_read(&back, out, &e), &e);
    same(&back, &image);
    CHECK(fa_image_write_png(&image, "/dev/null/x.png", &e) == FA_EIO && strstr(e.text, "/dev/null/x.png"), "%s",
          e.text);
    check_remove(dir);
    fa_image_free(&image), fa_image_free(&back);
    free(path), free(dir), free(out);
}

/* --- files made to hurt ------------------------------------------------------------------------------------------------------ */

static void put_big(check_bytes *b, uint32_t v) {
    for (int i = 3; i >= 0; i--) check_put_int(b, v >> (8 * i) & 0xff, 1);
}

/* Checksums are left wrong: libpng looks at the header's first, so that one is computed. */
static uint32_t crc(const uint8_t *data, size_t n) {
    uint32_t c = ~0U;
    for (size_t i = 0; i < n; i++) {
        c ^= data[i];
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320U ^ c >> 1 : c >> 1;
    }
    return ~c;
}

static void put_png(check_bytes *b, uint32_t width, uint32_t height) {
    check_put(b, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
    put_big(b, width);
    put_big(b, height);
    check_put(b, "\x08\x02\0\0\0", 5);
    put_big(b, crc(b->data + 12, 17));
    check_put(b, "\0\0\0\0IDAT\x35\xaf\x06\x1e", 12);
}

static void put_jpeg(check_bytes *b, uint32_t width, uint32_t height) {
    check_put(b, "\xff\xd8\xff\xc0\0\x0b\x08", 7);
    check_put_int(b, height >> 8, 1), check_put_int(b, height & 0xff, 1);
    check_put_int(b, width >> 8, 1), check_put_int(b, width & 0xff, 1);
    check_put(b, "\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0", 14);
}

static void put_webp(check_bytes *b, uint32_t width, uint32_t height) {
    check_put(b, "RIFF\x1a\0\0\0WEBPVP8L\x0e\0\0\0\x2f", 21);
    check_put_int(b, (width - 1) | (height - 1) << 14, 4);
    check_put(b, "\0\0\0\0\0\0\0\0\0", 9);
}

static void too_large_is_refused_before_decoding(void *arg) {
    (void)arg;
    static const struct {
        const char *name;
        void (*put)(check_bytes *, uint32_t, uint32_t);
        uint32_t width, height;
    } files[] = {
        {"PNG, wide", put_png, 16385, 1},         {"PNG, large", put_png, 16000, 16000},
        {"PNG, huge", put_png, 1U << 30, 1 << 9}, {"JPEG, high", put_jpeg, 1, 65500},
        {"JPEG, large", put_jpeg, 16000, 16000},  {"WebP, large", put_webp, 16000, 16000},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        fa_error e = {0};
        fa_image image;
        check_bytes b = {0};
        files[i].put(&b, files[i].width, files[i].height);
        fa_status s = fa_image_decode(&image, b.data, b.n, files[i].name, &e);
        CHECK(s == FA_ELIMIT && !image.rgb && strstr(e.text, "larger than what is read"), "%s: %s", files[i].name,
              e.text);
        free(b.data);
    }
    fa_error e = {0};
    fa_image image;
    CHECK(fa_image_decode(&image, "\x89PNG", (size_t)FA_IMAGE_MOST_BYTES + 1, "file", &e) == FA_ELIMIT, "%s", e.text);
}

static void other_files_are_refused_by_kind(void *arg) {
    (void)arg;
    static const struct {
        const char *bytes;
        size_t n;
        fa_status status;
        const char *text;
    } files[] = {
        {"", 0, FA_EFORMAT, "not a PNG, JPEG or WebP"},
        {"hello", 5, FA_EFORMAT, "not a PNG, JPEG or WebP"},
        {"GIF89a......", 12, FA_EUNSUPPORTED, "GIF pictures are not read"},
        {"BM..........", 12, FA_EUNSUPPORTED, "BMP pictures are not read"},
        {"\0\0\0\x20"
         "ftypavif",
         12, FA_EUNSUPPORTED, "AVIF or HEIC pictures are not read"},
        {"\x89PNG\r\n\x1a\n", 8, FA_EFORMAT, "the file is cut off"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        fa_error e = {0};
        fa_image image;
        CHECK(fa_image_decode(&image, files[i].bytes, files[i].n, "a.png", &e) == files[i].status, "%zu: %s", i,
              e.text);
        CHECK(!strncmp(e.text, "a.png: ", 7) && strstr(e.text, files[i].text), "%zu: %s", i, e.text);
    }
}

static void cut_files_are_errors(void *name) {
    size_t n;
    char *path = corpus(name);
    uint8_t *data = check_read(path, &n);
    for (size_t part = 1; part < 8; part++) {
        fa_error e = {0};
        fa_image image;
        CHECK(fa_image_decode(&image, data, n * part / 8, name, &e) == FA_EFORMAT && !image.rgb, "%zu/8: %s", part,
              e.text);
    }
    free(data), free(path);
}

int main(int argc, char **argv) {
    static const char *const read[] = {"drawing.png",
                                       "alpha.png",
                                       "grey.png",
                                       "grey-alpha.png",
                                       "one-bit.png",
                                       "palette.png",
                                       "palette-transparent.png",
                                       "deep.png",
                                       "interlaced.png",
                                       "baseline.jpg",
                                       "full-colour.jpg",
                                       "half-colour.jpg",
                                       "progressive.jpg",
                                       "grey.jpg",
                                       "restarts.jpg",
                                       "inks.jpg",
                                       "lossy.webp",
                                       "lossless.webp",
                                       "alpha.webp",
                                       "other-encoder.webp"};
    static const char *const resized[] = {"resized/61x20.ppm", "resized/24x47.ppm",  "resized/24x18.ppm",
                                          "resized/14x90.ppm", "resized/122x94.ppm", "resized/1x1.ppm",
                                          "resized/200x3.ppm", "resized/60x46.ppm"};
    static const char *const cut[] = {"drawing.png",     "interlaced.png", "baseline.jpg",
                                      "progressive.jpg", "lossy.webp",     "lossless.webp"};
    check_case cases[64];
    size_t n = 0;
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        cases[n++] = (check_case){read[i], reads_as_pillow, (void *)read[i]};
    for (size_t i = 0; i < sizeof resized / sizeof *resized; i++)
        cases[n++] = (check_case){resized[i], resizes_as_pillow, (void *)resized[i]};
    static const char *const cut_names[] = {"cut PNG",  "cut interlaced PNG", "cut JPEG", "cut progressive JPEG",
                                            "cut WebP", "cut lossless WebP"};
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++)
        cases[n++] = (check_case){cut_names[i], cut_files_are_errors, (void *)cut[i]};
    cases[n++] = (check_case){"what is written reads back", what_is_written_reads_back, NULL};
    cases[n++] = (check_case){"too large is refused before decoding", too_large_is_refused_before_decoding, NULL};
    cases[n++] = (check_case){"other files are refused by kind", other_files_are_refused_by_kind, NULL};
    return check_main(argc, argv, cases, n);
}
