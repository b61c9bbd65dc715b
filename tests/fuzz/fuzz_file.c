/* Files of every kind that fathom reads, as bytes that a fuzzer chose: each is read whole or refused with a text.
 *
 * Two programs from one file: with FATHOM_LIBFUZZER the targets of libFuzzer (`make fuzz T=gguf TIME=60`; the program's name says the kind),
 * without it a test that replays tests/fuzz/corpus-KIND, where every input is kept that once did harm. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/openers.h"

typedef struct kind {
    const char *name;
    check_opener *open;
    const char *file; /* the name that the reader goes by; open gets the folder when it is one of a model's */
    bool folder;
} kind;

static const kind kinds[] = {
    {"safetensors", check_open_tensors, "model.safetensors", false},
    {"gguf", check_open_tensors, "model.gguf", false},
    {"pytorch", check_open_tensors, "pytorch_model.bin", false},
    {"tokenizer", check_open_tokenizer, "tokenizer.json", false},
    {"config", check_open_config, "config.json", true},
    {"board", check_open_board, "my.board", false},
    {"xclbin", check_open_xclbin, "fathom.xclbin", false},
    {"trace", check_open_trace, "trace.jsonl", false},
    {"requests", check_open_requests, "requests.csv", false},
    {"placement", check_open_placement, "placement.json", false},
    {"schema", check_open_schema, "schema.json", false},
    {"messages", check_open_messages, "messages.json", false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void read_one(const kind *k, const char *folder, const uint8_t *data, size_t n) {
    char *path = check_write(folder, k->file, data, n);
    fa_error e = {0};
    fa_status s = k->open(k->folder ? folder : path, &e);
    CHECK(s >= FA_OK && s < FA_STATUS_COUNT, "status %d", s);
    CHECK(!s || (e.text[0] && e.status == s), "%s without a text", fa_status_name(s));
    free(path);
}

#ifdef FATHOM_LIBFUZZER

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const kind *chosen;
static char *scratch;

static void leave_nothing(void) {
    check_remove(scratch);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    const char *name = strrchr((*argv)[0], '_');
    for (int i = 0; *argc && name && i < KINDS; i++)
        if (!strcmp(kinds[i].name, name + 1)) chosen = &kinds[i];
    if (!chosen) {
        fprintf(stderr, "%s: the name ends in no kind of file\n", (*argv)[0]);
        exit(1);
    }
    scratch = check_scratch();
    atexit(leave_nothing);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_one(chosen, scratch, data, size);
    return 0;
}

#else

static void replay(void *arg) {
    const kind *k = arg;
    char corpus[80], *folder = check_scratch();
    int count = 0;
    snprintf(corpus, sizeof corpus, "tests/fuzz/corpus-%s", k->name);
    DIR *d = opendir(corpus);
    CHECK(d, "%s: %m", corpus);
    for (struct dirent *one; (one = readdir(d));) {
        if (*one->d_name == '.') continue;
        char path[400];
        size_t n;
        snprintf(path, sizeof path, "%s/%s", corpus, one->d_name);
        uint8_t *data = check_read(path, &n);
        read_one(k, folder, data, n);
        free(data);
        count++;
    }
    closedir(d);
    CHECK(count > 0, "%s is empty", corpus);
    check_remove(folder);
    free(folder);
}

int main(int argc, char **argv) {
    check_case cases[KINDS];
    char names[KINDS][60];
    for (int i = 0; i < KINDS; i++) {
        snprintf(names[i], sizeof names[i], "%s: inputs that a fuzzer found are read or refused", kinds[i].name);
        cases[i] = (check_case){names[i], replay, (void *)&kinds[i]};
    }
    return check_main(argc, argv, cases, KINDS);
}

#endif
