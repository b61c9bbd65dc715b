/* `fathom quantize --study`: what each way of writing a model in FP8 costs, by layer and in the end. */
#ifndef FA_CLI_QUANTIZE_STUDY_H
#define FA_CLI_QUANTIZE_STUDY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct quantize_study_settings {
    const char *model, *text;
    int32_t tokens; /* of the text; 0: 4096 */
    int threads;    /* 0: all CPUs */
    bool json;
} quantize_study_settings;

/* Measures and prints; returns an exit code. */
int quantize_study(const quantize_study_settings *s);

#endif
