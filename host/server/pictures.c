#include "host/server/pictures.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void fa_picture_list_free(fa_picture_list *l) {
    for (size_t i = 0; i < l->n; i++) fathom_picture_close(l->all[i]);
    free(l->all);
    *l = (fa_picture_list){0};
}

bool fa_is_picture(const json_t *part) {
    const char *type = json_string_value(json_object_get(part, "type"));
    return type && !strcmp(type, "image_url");
}

/* What follows "data:image/KIND;base64,", or NULL with a problem. */
static const char *data_of(const char *url, const char *where, fa_problem *p) {
    static const char begin[] = "data:image/", coded[] = ";base64,";
    if (!url) {
        fa_problem_set(p, FA_ERROR_MALFORMED, where, "%s.image_url: expected an object with the text url", where);
        return NULL;
    }
    const char *comma = strchr(url, ',');
    size_t head = comma ? (size_t)(comma + 1 - url) : 0, end = sizeof coded - 1;
    if (!strncmp(url, begin, sizeof begin - 1) && head > end && !strncmp(url + head - end, coded, end))
        return url + head;
    fa_problem_set(p, FA_ERROR_MALFORMED, where,
                   strncmp(url, "http", 4)
                       ? "%s.image_url.url: expected \"data:image/png;base64,...\", or jpeg or webp"
                       : "%s.image_url.url: this server fetches no URLs; send the picture itself as "
                         "\"data:image/png;base64,...\"",
                   where);
    return NULL;
}

/* The bytes, malloc'd; NULL with a problem. */
static uint8_t *decode(const char *text, size_t *n, const char *where, fa_problem *p) {
    size_t most = strlen(text) / 4 * 3 + 3;
    uint8_t *bytes = malloc(most);
    const char *end;
    if (!bytes) {
        fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
        return NULL;
    }
    static const int variants[] = {sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (!sodium_base642bin(bytes, most, text, strlen(text), "\r\n", n, &end, variants[i]) && !*end) return bytes;
    free(bytes);
    fa_problem_set(p, FA_ERROR_MALFORMED, where, "%s.image_url.url: what follows base64, is not base64", where);
    return NULL;
}

static bool add(fa_picture_list *l, fathom_picture *picture) {
    fathom_picture **more = realloc(l->all, (l->n + 1) * sizeof(fathom_picture *));
    if (!more) return false;
    l->all = more;
    l->all[l->n++] = picture;
    return true;
}

bool fa_picture_add(fa_picture_list *l, fathom_engine *engine, const fathom_info *info, const json_t *part,
                    const char *where, fa_problem *p) {
    const json_t *given = json_object_get(part, "image_url");
    if (!info->picture_rows)
        return fa_problem_set(p, FA_ERROR_UNSUPPORTED, where, "%s: the model %s takes no pictures", where,
                              info->model_name);
    if ((int64_t)(l->n + 1) * info->picture_rows > info->context)
        return fa_problem_set(p, FA_ERROR_CONTEXT, where,
                              "%s: %zu pictures of %d positions are more than the context of %d", where, l->n + 1,
                              info->picture_rows, info->context);
    size_t n;
    const char *text =
        data_of(json_string_value(json_is_object(given) ? json_object_get(given, "url") : given), where, p);
    uint8_t *bytes = text ? decode(text, &n, where, p) : NULL;
    if (!bytes) return false;
    fathom_picture *picture;
    fathom_error e = {0};
    fathom_status s = fathom_picture_open(engine, bytes, n, where, &picture, &e);
    free(bytes);
    if (s == FATHOM_ELIMIT || s == FATHOM_EUNSUPPORTED || s == FATHOM_EFORMAT)
        return fa_problem_set(p, FA_ERROR_MALFORMED, where, "%s", e.text);
    if (s) return fa_problem_of(p, (fa_status)s, where, e.text);
    if (add(l, picture)) return true;
    fathom_picture_close(picture);
    return fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
}
