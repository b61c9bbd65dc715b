/* Pictures that are wrong: each is refused with a text or decodes to pixels that can be read and resized.
 *
 * Two programs from one file: with FATHOM_LIBFUZZER the target of libFuzzer (`make fuzz T=image TIME=60`), without it a test that damages every
 * picture of tests/golden/image, the same on every run. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/image/image.h"
#include "host/image/resize.h"
#include "tests/lib/check.h"
#include "tests/lib/mutate.h"

/* Decodes, looks at every pixel and resizes. */
static fa_status decode(const uint8_t *data, size_t n, fa_error *e) {
    fa_image image, small;
    unsigned sum = 0;
    fa_status s = fa_image_decode(&image, data, n, "picture", e);
    CHECK(!s == (image.rgb != NULL));
    if (s) return s;
    for (int64_t i = 0; i < (int64_t)image.width * image.height * 3; i++) sum += image.rgb[i];
    CHECK_OK(fa_image_resize(&small, &image, 24, 24, e), e);
    CHECK(sum != 1);
    fa_image_free(&small);
    fa_image_free(&image);
    return FA_OK;
}

#ifdef FATHOM_LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fa_error e;
    decode(data, size, &e);
    return 0;
}

#else

enum { MUTATIONS = 60, HEAD = 300 }; /* of each picture; of its first bytes, most of them */

typedef struct tally {
    int pictures, decoded, refused;
} tally;

static void damage(const char *path, tally *t) {
    size_t n;
    uint8_t *data = check_read(path, &n);
    fa_error e = {0};
    CHECK_OK(decode(data, n, &e), &e);
    for (uint64_t seed = 0; seed < MUTATIONS; seed++) {
        check_bytes b = check_mutate(data, n, n < HEAD ? n : HEAD, seed);
        e = (fa_error){0};
        fa_status s = decode(b.data, b.n, &e);
        CHECK(s >= FA_OK && s < FA_STATUS_COUNT, "%s, seed %d: status %d", path, (int)seed, s);
        CHECK(!s || (e.text[0] && e.status == s), "%s, seed %d: %s without a text", path, (int)seed, fa_status_name(s));
        t->decoded += !s;
        t->refused += s != FA_OK;
        free(b.data);
    }
    t->pictures++;
    free(data);
}

static void damaged_pictures_are_refused_or_read(void *arg) {
    (void)arg;
    char *folder = check_golden("image"), *path = NULL;
    tally t = {0};
    DIR *d = opendir(folder);
    CHECK(d, "%s: %s", folder, strerror(errno));
    for (struct dirent *one; (one = readdir(d));) {
        const char *dot = strrchr(one->d_name, '.');
        if (!dot || (strcmp(dot, ".png") && strcmp(dot, ".jpg") && strcmp(dot, ".webp"))) continue;
        CHECK(asprintf(&path, "%s/%s", folder, one->d_name) > 0);
        damage(path, &t);
        free(path);
    }
    closedir(d);
    free(folder);
    CHECK(t.pictures >= 20 && t.refused >= 500 && t.decoded > 0, "%d pictures, %d decoded, %d refused", t.pictures,
          t.decoded, t.refused);
}

static const check_case cases[] = {
    {"damaged pictures are refused or read", damaged_pictures_are_refused_or_read, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}

#endif
