/* The table of configuration fields, for both sources: config.json and GGUF metadata. Private to host/model.
 */
#ifndef FA_MODEL_CONFIG_FIELDS_H
#define FA_MODEL_CONFIG_FIELDS_H

#include <stddef.h>

#include "host/model/config.h"

typedef enum fa_field_kind { FA_FIELD_INT = 0, FA_FIELD_FLOAT, FA_FIELD_DOUBLE, FA_FIELD_BOOL } fa_field_kind;

/* Which models a field belongs to. */
enum {
    FA_OF_LLAMA = 1,
    FA_OF_QWEN2 = 2,
    FA_OF_V2 = 4,
    FA_OF_V3 = 8,
    FA_OF_GQA = FA_OF_LLAMA | FA_OF_QWEN2,
    FA_OF_MLA = FA_OF_V2 | FA_OF_V3,
    FA_OF_ALL = FA_OF_GQA | FA_OF_MLA,
    FA_OF_YARN = 16, /* these two are for the fields of rope_scaling alone */
    FA_OF_LLAMA3 = 32,
    FA_OF_SCALED = 64
};

/* One field. Integers, floats and booleans all keep their bounds and fallback as doubles. */
typedef struct fa_config_field {
    const char *json; /* key of config.json; NULL: not there */
    const char *gguf; /* key of GGUF metadata behind "<architecture>."; NULL: not there */
    size_t offset;    /* in fa_config */
    fa_field_kind kind;
    unsigned of;   /* FA_OF_... */
    bool required; /* else `fallback` where the key is absent or null */
    double min, max, fallback;
} fa_config_field;

extern const fa_config_field fa_config_fields[];
extern const int fa_n_config_fields;
extern const fa_config_field fa_rope_fields[]; /* of the rope_scaling object, or "rope.scaling." in GGUF */
extern const int fa_n_rope_fields;

/* A model family: what its architecture is called in each source. */
typedef struct fa_family {
    const char *architecture; /* of config.json */
    const char *model_type;   /* of config.json, where `architectures` is missing */
    const char *gguf;         /* general.architecture */
    const char *name;         /* fa_config.family */
    unsigned of;
    fa_attention attention;
    bool interleaved; /* rotary pairs in safetensors */
} fa_family;

extern const fa_family fa_families[];
extern const int fa_n_families;

/* Stores a value of the field's kind. */
void fa_field_set(fa_config *c, const fa_config_field *f, double value);

/* Where a configuration came from, for error texts. */
typedef struct fa_config_source {
    const char *file;
    const char *gguf_architecture; /* NULL: config.json */
} fa_config_source;

/* What all sources share once the fields are read: derived values and the checks between fields. FA_EFORMAT
 * names the file and the field as the source spells it. */
fa_status fa_config_finish(fa_config *c, const fa_config_source *from, fa_error *e);

#endif
