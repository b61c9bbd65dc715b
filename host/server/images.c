/* POST /images/generations: a prompt to pictures, in the form of OpenAI's API; for models that draw. Seeds, guidance and sampling are fathom's own fields. */
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "host/image/image.h"
#include "host/server/images.h"
#include "host/server/internal.h"
#include "host/server/reply.h"
#include "host/server/request.h"
#include "host/server/routes.h"

typedef struct image_request {
    const char *model, *prompt, *size, *response_format, *output_format;
    bool stream;
    int64_t n, seed, top_k;
    double guidance, temperature, top_p;
} image_request;

#define AT(member) offsetof(image_request, member)

static const fa_field fields[] = {
    {"model", FA_FIELD_TEXT, 0, 0, false, AT(model)},
    {"prompt", FA_FIELD_TEXT, 0, 0, true, AT(prompt)},
    {"n", FA_FIELD_INT, 1, FA_JOB_CHOICES, false, AT(n)},
    {"size", FA_FIELD_TEXT, 0, 0, false, AT(size)},
    {"response_format", FA_FIELD_TEXT, 0, 0, false, AT(response_format)},
    {"output_format", FA_FIELD_TEXT, 0, 0, false, AT(output_format)},
    {"stream", FA_FIELD_BOOL, 0, 0, false, AT(stream)},
    {"seed", FA_FIELD_INT, 0, 0x1p63, false, AT(seed)},
    {"guidance", FA_FIELD_NUMBER, 0, 1000, false, AT(guidance)},
    {"temperature", FA_FIELD_NUMBER, 0, 2, false, AT(temperature)},
    {"top_p", FA_FIELD_NUMBER, 0, 1, false, AT(top_p)},
    {"top_k", FA_FIELD_INT, 0, INT32_MAX, false, AT(top_k)},
};

enum { FIELDS = sizeof fields / sizeof *fields };

/* "auto", or the one size that the model draws. */
static bool check_size(const fa_exchange *x, const char *size, fa_problem *p) {
    int32_t side = x->server->info.drawing_side;
    char own[32];
    snprintf(own, sizeof own, "%dx%d", side, side);
    if (!size || !strcmp(size, "auto") || !strcmp(size, own)) return true;
    return fa_problem_set(p, FA_ERROR_RANGE, "size",
                          "size: %.40s is not auto or %s, the only size that this model draws", size, own);
}

static bool check(const fa_exchange *x, const image_request *r, fa_problem *p) {
    const char *format = r->response_format, *output = r->output_format;
    if (r->stream) return fa_problem_set(p, FA_ERROR_UNSUPPORTED, "stream", "stream: pictures come whole");
    if (format && !strcmp(format, "url"))
        return fa_problem_set(
            p, FA_ERROR_UNSUPPORTED, "response_format",
            "response_format: url is not offered, as this server keeps no pictures; ask for b64_json");
    if (format && strcmp(format, "b64_json") != 0)
        return fa_problem_set(p, FA_ERROR_RANGE, "response_format", "response_format: %.40s is not b64_json", format);
    if (output && strcmp(output, "png") != 0)
        return fa_problem_set(p, FA_ERROR_RANGE, "output_format", "output_format: %.40s is not png", output);
    if (!*r->prompt) return fa_problem_set(p, FA_ERROR_MALFORMED, "prompt", "The prompt is empty");
    return check_size(x, r->size, p);
}

static bool take_prompt(const fa_exchange *x, fa_job *j, const image_request *r, fa_problem *p) {
    const fathom_info *info = &x->server->info;
    fathom_error e = {0};
    fa_ids ids = {0};
    fathom_status s = fathom_encode_drawing(x->server->engine, r->prompt, strlen(r->prompt), &ids.data, &ids.n, &e);
    if (s) return fa_problem_of(p, (fa_status)s, "prompt", e.text);
    j->prompts = calloc(1, sizeof *j->prompts);
    if (!j->prompts) {
        fa_ids_free(&ids);
        return fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
    }
    j->n_prompts = 1;
    if (!fa_request_prompt(x, j, 0, &ids, p)) return false;
    if (j->prompts->n + (size_t)info->drawing_codes <= (size_t)info->context) return true;
    return fa_problem_set(p, FA_ERROR_CONTEXT, "prompt",
                          "The prompt has %zu tokens; the context of %d must hold it and the %d codes of a picture",
                          j->prompts->n, info->context, info->drawing_codes);
}

/* Without a name it is the loaded model, under its own. */
static bool take(fa_exchange *x, fa_job *j, fa_problem *p) {
    image_request r = {.n = 1, .seed = -1, .guidance = 5, .temperature = NAN, .top_p = NAN};
    if (!fa_fields_read(j->body, fields, FIELDS, &r, p)) return false;
    fa_request common = fa_request_defaults();
    common.model = r.model ? r.model : x->server->models.profile[0].name;
    common.seed = r.seed;
    common.temperature = r.temperature;
    common.top_p = r.top_p;
    common.top_k = r.top_k;
    const fa_profile *profile = fa_request_profile(x, &common, p);
    if (!profile) return false;
    if (!check(x, &r, p) || !fa_request_take(j, &common, false, p)) return false;
    j->draws = true;
    j->guidance = (float)r.guidance;
    j->model = profile->name;
    if (!take_prompt(x, j, &r, p)) return false;
    return fa_job_make_choices(j, r.n, NULL) || fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
}

bool fa_handle_images(fa_exchange *x) {
    fa_problem p = {0};
    if (!x->server->info.drawing_side) return fa_handle_unsupported(x);
    fa_job *j = x->job = calloc(1, sizeof *j);
    if (!j) {
        fa_reply_error(x, FA_ERROR_BUSY, NULL, "The server is out of memory");
        return false;
    }
    j->created = x->start_ms / 1000;
    j->body = fa_fields_parse(x->body.data, x->body.n, &p);
    if (j->body && take(x, j, &p)) return true;
    fa_reply_problem(x, &p);
    return false;
}

bool fa_image_keep(fa_choice *c) {
    const uint8_t *rgb;
    int32_t side;
    if (!fathom_session_drawn(c->session, &rgb, &side)) return true; /* it was cut short */
    const fa_image image = {.width = side, .height = side, .rgb = (uint8_t *)rgb};
    uint8_t *png;
    size_t n;
    fa_error e;
    if (fa_image_encode_png(&image, &png, &n, &e)) return false;
    size_t room = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(room);
    if (text) {
        sodium_bin2base64(text, room, png, n, sodium_base64_VARIANT_ORIGINAL);
        c->content = (fa_text){.data = text, .n = room - 1, .capacity = room};
    }
    free(png);
    return text != NULL;
}

char *fa_image_answer(const fa_exchange *x) {
    const fa_job *j = x->job;
    fa_job_usage u = fa_job_sum(j);
    json_t *data = json_array();
    for (size_t i = 0; i < j->n_choices; i++) {
        const fa_text *t = &j->choices[i].content;
        json_array_append_new(data, json_pack("{s:s#}", "b64_json", t->data ? t->data : "", (int)t->n));
    }
    json_t *o = json_pack("{s:I, s:s, s:s, s:I, s:o, s:{s:I, s:I, s:I}}", "created", (json_int_t)j->created, "model",
                          j->model, "output_format", "png", "seed", (json_int_t)j->sampling.seed, "data", data, "usage",
                          "input_tokens", (json_int_t)u.prompt, "output_tokens", (json_int_t)u.completion,
                          "total_tokens", (json_int_t)u.prompt + u.completion);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}
