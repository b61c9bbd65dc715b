/* `fathom draw`: pictures in files, the same by seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/format/tensor.h"
#include "host/image/image.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

#define DRAW "\"$FATHOM_BIN\" draw --model %s/janus-pro-tiny "
#define PROMPT "'A red circle on a blue field.'"

static fa_image read_picture(const char *folder, const char *name) {
    fa_error e;
    fa_image image = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(fa_image_read(&image, path, &e), &e);
    CHECK(image.width == 24 && image.height == 24, "%d x %d", image.width, image.height);
    return image;
}

static void golden_picture(void *unused) {
    (void)unused;
    char *folder = check_folder(), *blobs = check_golden("janus-pro-tiny/golden.safetensors");
    fa_error e;
    fa_tensors *ts;
    CHECK_OK(fa_tensors_open(&ts, blobs, &e), &e);
    const fa_tensor *t = fa_tensors_find(ts, "decode.generated.u8");
    CHECK(t && t->bytes == 24 * 24 * 3);
    check_output o = check_command(DRAW "--temperature 0 --threads 2 -o %s/p.png " PROMPT, check_golden_dir(), folder);
    CHECK(o.status == 0 && !o.out_bytes && strstr(o.err, "24 x 24 pixels, 36 codes") && !strchr(o.err, '\r'), "%s%s",
          o.out, o.err);
    check_output_free(&o);
    fa_image image = read_picture(folder, "p.png");
    const uint8_t *want = t->data;
    for (int i = 0; i < 24 * 24 * 3; i++)
        CHECK(abs(image.rgb[i] - want[i]) <= 1, "value %d is %d, want %d", i, image.rgb[i], want[i]);
    fa_image_free(&image);
    fa_tensors_close(ts);
    free(blobs);
    check_folder_remove(folder);
}

static bool same_files(const char *folder, const char *a, const char *b) {
    char one[512], two[512];
    size_t n, m;
    snprintf(one, sizeof one, "%s/%s", folder, a);
    snprintf(two, sizeof two, "%s/%s", folder, b);
    uint8_t *x = check_read(one, &n), *y = check_read(two, &m);
    bool same = n == m && !memcmp(x, y, n);
    free(x);
    free(y);
    return same;
}

/* More pictures than are drawn at once, against single ones on other threads and backends. */
static void same_by_seed(void *unused) {
    (void)unused;
    char *folder = check_folder();
    const char *golden = check_golden_dir();
    static const char *const ways[] = {"--threads 1", "--backend reference", "--guidance 5 --top-p 1 --top-k 0"};
    static const int seeds[] = {40, 44, 45};
    check_output o = check_command(DRAW "-q -n 6 --seed 40 -o %s/p.png " PROMPT, golden, folder);
    CHECK(o.status == 0 && !o.out_bytes && !*o.err, "%s%s", o.out, o.err);
    check_output_free(&o);
    for (int i = 0; i < 3; i++) {
        char name[32];
        o = check_command("echo " PROMPT " | " DRAW "-q %s --seed %d -o - >%s/one.png", golden, ways[i], seeds[i],
                          folder);
        CHECK(o.status == 0 && !*o.err, "%s", o.err);
        check_output_free(&o);
        snprintf(name, sizeof name, "p-%d.png", seeds[i] - 39);
        CHECK(same_files(folder, name, "one.png"), "%s: another picture than that of seed %d", ways[i], seeds[i]);
    }
    CHECK(!same_files(folder, "p-1.png", "p-2.png"), "two seeds draw the same");
    check_folder_remove(folder);
}

static void refused(void *unused) {
    (void)unused;
    char *folder = check_folder(), path[600];
    static const check_refusal uses[] = {
        {"draw A", "-o FILE", 2},
        {"draw -o x.png A B", "quotes", 2},
        {"draw -o - -n 2 A", "one picture", 2},
        {"draw -o x.png -n 0 A", "-n: expected a whole number", 2},
        {"draw -o x.png --guidance x A", "--guidance: expected a number", 2},
        {"draw -o x.png --temperature -1 A", "--temperature: expected a number", 2},
    };
    check_refusals(uses, sizeof uses / sizeof *uses);
    const struct {
        const char *model, *rest, *says;
    } rows[] = {
        {"deepseek-llm-tiny", "x.png A", "does not draw"},
        {"janus-pro-tiny", "no/x.png A", "no/x.png"},
        {"janus-pro-tiny", "x.png --ctx 40 A", "context holds 40"},
        {"janus-pro-tiny-hf", "x.png A", "tokenizer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(path, sizeof path, "%s/x.png", folder);
        check_output o = check_command("\"$FATHOM_BIN\" draw --model %s/%s -o %s/%s", check_golden_dir(), rows[i].model,
                                       folder, rows[i].rest);
        CHECK(o.status == 1 && strstr(o.err, rows[i].says), "%s: %s", rows[i].rest, o.err);
        check_output_free(&o);
        FILE *f = fopen(path, "r");
        CHECK(!f, "%s: left a file", rows[i].rest);
    }
    check_folder_remove(folder);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"draw writes the golden picture", golden_picture, NULL},
        {"a seed draws one picture, alone or among others, on any threads and backend", same_by_seed, NULL},
        {"what cannot be drawn is refused with the reason, and no file is left", refused, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
