/* JSON schemas -> grammars. What a grammar admits is always valid JSON and always fits the schema; it need not be all that
 * fits: members come in the order of `properties`, white space is bounded, texts are spelled in one way where a pattern or an
 * enumeration is given, numbers have at most 15 digits that matter. What is supported: host/grammar/README.md. */
#ifndef FA_GRAMMAR_SCHEMA_H
#define FA_GRAMMAR_SCHEMA_H

#include <jansson.h>

#include "host/grammar/grammar.h"

/* Many schemas (of several tools) can share one builder, and the rules of free JSON with it. */
typedef struct fa_schema_builder fa_schema_builder;
fa_status fa_schema_builder_open(fa_schema_builder **out, fa_grammar *g, fa_error *e);
void fa_schema_builder_close(fa_schema_builder *b);

/* The rule of a value that fits `schema`, which is kept until the builder closes; `what` names it in errors
 * ("response_format.json_schema.schema"). References reach into `schema` alone. Errors name the path and the keyword:
 * FA_EINVAL for what is no schema or matches nothing, FA_EUNSUPPORTED for a keyword that is not supported, FA_ELIMIT. */
fa_status fa_schema_rule(fa_schema_builder *b, const json_t *schema, const char *what, int32_t *rule, fa_error *e);

/* Any JSON object. */
int32_t fa_schema_any_object(fa_schema_builder *b);
/* White space between tokens of JSON, or nothing. */
int32_t fa_schema_space(fa_schema_builder *b);
/* After fa_grammar_finish failed: puts the path of the rule into the error, where the rule is a schema's. */
void fa_schema_explain(const fa_schema_builder *b, int32_t rule, fa_error *e);

#endif
