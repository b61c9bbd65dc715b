/* The multi-token-prediction layer (DeepSeek-V3, arXiv 2412.19437 section 2.2): one more decoder layer that sees, for each row,
 * the hidden state of the main model and the token that follows, and predicts the token after that. */
#include "host/model/transformer.h"

/* The norm that a hidden state of this source has passed when the layer's own norm for it comes. */
static const fa_weight *norm_of(const fa_model *m, fa_mtp_source source) {
    return source == FA_MTP_AFTER_STEP ? &m->weights.norm : &m->weights.mtp.norm;
}

static fa_status check_source(const fa_step *step, int32_t had, const int32_t *from, fa_error *e) {
    if (!from && step->rows != had)
        return fa_fail(e, FA_EINVAL, "mtp: %d rows, but the pass before had %d", step->rows, had);
    for (int32_t i = 0; from && i < step->rows; i++)
        if (from[i] < 0 || from[i] >= had)
            return fa_fail(e, FA_EINVAL, "mtp: row %d goes on from row %d, but the pass before had %d", i, from[i],
                           had);
    return FA_OK;
}

fa_status fa_push_mtp_inputs(fa_model *m, const fa_step *step, fa_mtp_source source, const int32_t *from, fa_error *e) {
    const struct fa_mtp_weights *w = &m->weights.mtp;
    int64_t hidden = m->config.hidden;
    fa_buffer *normed = m->buffers[FA_NORMED], *token = m->buffers[FA_OUT], *joined = m->buffers[FA_JOINED],
              *before = m->buffers[source == FA_MTP_AFTER_STEP ? FA_STREAM : FA_MTP_STREAM];
    fa_status s = fa_embed(m, step, &w->embedding, token, e);
    if (s) return s;
    /* joined = [norm(token) | norm(hidden state after the final norm)] */
    fa_push_norm(m, step->rows, token, &w->token_norm, joined)->ldy = 2 * hidden;
    fa_push_norm(m, step->rows, before, norm_of(m, source), normed)->index = from;
    fa_rmsnorm *second = fa_push_norm(m, step->rows, normed, &w->hidden_norm, joined);
    second->y.offset = (size_t)hidden * sizeof(float);
    second->ldy = 2 * hidden;
    fa_push_matmul(m, step->rows, joined, &w->join, FA_MTP_STREAM);
    return FA_OK;
}

fa_status fa_model_mtp(fa_model *m, const fa_step *step, fa_mtp_source source, const int32_t *from, fa_error *e) {
    const struct fa_mtp_weights *w = &m->weights.mtp;
    fa_buffer *stream = m->buffers[FA_MTP_STREAM];
    if (!m->mtp) return fa_fail(e, FA_EUNSUPPORTED, "this model was opened without a multi-token-prediction layer");
    m->n_ops = 0;
    fa_status s = fa_step_check(m, step, e);
    if (!s) s = check_source(step, source == FA_MTP_AFTER_STEP ? m->last_rows : m->last_mtp_rows, from, e);
    if (s) return s;
    m->last_mtp_rows = 0;
    if (m->remote) {
        s = m->remote->mtp(m->remote->ctx, step, source, from, e);
        m->last_mtp_rows = s ? 0 : step->rows;
        return s;
    }
    s = fa_push_mtp_inputs(m, step, source, from, e);
    if (!s) s = fa_push_layer(m, m->config.layers, stream, step, e);
    if (!s) s = fa_read_logits(m, stream, &w->norm, &w->head, step, e);
    if (!s) m->last_mtp_rows = step->rows;
    return s;
}
