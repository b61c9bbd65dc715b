/* The multi-token-prediction layer (DeepSeek-V3, arXiv 2412.19437 section 2.2): one more decoder layer that sees, for each row,
 * the hidden state of the main model and the token that follows, and predicts the token after that. */
#include "host/model/transformer.h"

fa_status fa_model_mtp(fa_model *m, const fa_step *step, fa_error *e) {
    const struct fa_mtp_weights *w = &m->weights.mtp;
    int64_t hidden = m->config.hidden;
    fa_buffer *normed = m->buffers[FA_NORMED], *token = m->buffers[FA_OUT], *joined = m->buffers[FA_JOINED],
              *stream = m->buffers[FA_MTP_STREAM];
    if (!m->mtp) return fa_fail(e, FA_EUNSUPPORTED, "this model was opened without a multi-token-prediction layer");
    m->n_ops = 0;
    fa_status s = fa_step_check(m, step, e);
    if (s) return s;
    if (step->rows != m->last_rows)
        return fa_fail(e, FA_EINVAL, "mtp: %d rows, but the last step had %d", step->rows, m->last_rows);
    s = fa_embed(m, step, &w->embedding, token, e);
    if (s) return s;
    /* joined = [norm(token) | norm(hidden state after the final norm)] */
    fa_push_norm(m, step->rows, token, &w->token_norm, joined)->ldy = 2 * hidden;
    fa_push_norm(m, step->rows, m->buffers[FA_STREAM], &m->weights.norm, normed);
    fa_rmsnorm *second = fa_push_norm(m, step->rows, normed, &w->hidden_norm, joined);
    second->y.offset = (size_t)hidden * sizeof(float);
    second->ldy = 2 * hidden;
    fa_push_matmul(m, step->rows, joined, &w->join, FA_MTP_STREAM);
    s = fa_push_layer(m, m->config.layers, stream, step, e);
    return s ? s : fa_read_logits(m, stream, &w->norm, &w->head, step, e);
}
