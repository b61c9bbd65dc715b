/* fathom inspect and fathom devices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/xclbin.h"
#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

/* What the golden models' configurations and files say, worked out by hand: latent + rotary values for MLA, keys and values
 * for GQA, times layers, times the bytes of a value (rows are padded to 16 bytes). */
typedef struct expectation {
    const char *model, *architecture;
    int layers, f32_bytes, bf16_bytes;
} expectation;

static json_t *inspect(const char *model, const char *more) {
    check_output o = check_command("\"$FATHOM_BIN\" inspect --json %s --model %s/%s", more, check_golden_dir(), model);
    CHECK(o.status == 0, "%s", o.err);
    fa_error e;
    json_t *j;
    CHECK_OK(fa_json_parse(&j, o.out, o.out_bytes, "inspect", &e), &e);
    check_output_free(&o);
    return j;
}

static void facts_are_shown(void *arg) {
    const expectation *x = arg;
    json_t *j = inspect(x->model, "");
    const char *architecture = json_string_value(json_object_get(j, "architecture"));
    CHECK(architecture && !strcmp(architecture, x->architecture), "%s", architecture);
    CHECK(json_integer_value(json_object_get(j, "layers")) == x->layers);
    json_t *cache = json_object_get(j, "cache_bytes_per_token");
    int f32 = (int)json_integer_value(json_object_get(cache, "f32"));
    int bf16 = (int)json_integer_value(json_object_get(cache, "bf16"));
    CHECK(f32 == x->f32_bytes && bf16 == x->bf16_bytes, "f32 %d, bf16 %d bytes", f32, bf16);
    json_decref(j);
}

static void parts_add_up_to_the_tensors(void *arg) {
    json_t *j = inspect(arg, "--tensors"), *part, *tensor;
    json_int_t parts = 0, tensors = 0, read = json_integer_value(json_object_get(j, "weight_bytes_read_per_token"));
    const char *name;
    size_t i;
    json_object_foreach(json_object_get(j, "weight_bytes"), name, part) {
        CHECK(strcmp(name, "other"), "a tensor is of no known part");
        parts += json_integer_value(part);
    }
    json_array_foreach(json_object_get(j, "tensors"), i, tensor) tensors +=
        json_integer_value(json_object_get(tensor, "bytes"));
    CHECK(parts == tensors && tensors > 0, "parts %lld, tensors %lld", (long long)parts, (long long)tensors);
    CHECK(read > 0 && read < tensors, "read a token: %lld of %lld", (long long)read, (long long)tensors);
    json_decref(j);
}

static void text_names_the_parts(void *arg) {
    (void)arg;
    check_output o = check_command("\"$FATHOM_BIN\" inspect --tensors --ctx 100 --model %s/deepseek-v3-tiny-mtp",
                                   check_golden_dir());
    CHECK(o.status == 0, "%s", o.err);
    const char *wanted[] = {"DeepseekV3ForCausalLM",
                            "MLA: 4 heads",
                            "experts",
                            "mtp",
                            "for 100 positions",
                            "model.layers.0.self_attn.kv_b_proj.weight"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) CHECK(strstr(o.out, wanted[i]), "no '%s'", wanted[i]);
    check_output_free(&o);
}

/* An image of two units as text and as JSON; a cut one is refused. */
static void an_image_is_shown(void *arg) {
    (void)arg;
    fa_board b;
    fa_error e;
    void *bytes;
    size_t n;
    fa_xclbin_options options = {FA_XCLBIN_HW_EMU, "mla", FA_AP_CTRL_CHAIN, "bits", 4};
    CHECK_OK(fa_board_find(&b, "v80", &e), &e);
    CHECK_OK(fa_xclbin_make(&b, &options, &bytes, &n, &e), &e);
    char *dir = check_folder(), *path = check_write(dir, "a.xclbin", bytes, n);
    check_output o = check_command("\"$FATHOM_BIN\" inspect %s", path);
    hls_kernel kernels[FA_IMAGE_KERNELS];
    char layout[64], last[96];
    int n_kernels = fa_image_kernels(&b, "mla", kernels), units = n_kernels * b.build.units;
    snprintf(layout, sizeof layout, "IP_LAYOUT %d,", 8 + 80 * units);
    snprintf(last, sizeof last, "  %s_%d at 0x%x, ap_ctrl_chain: ", kernels[n_kernels - 1].name, b.build.units,
             0x800000 + 0x10000 * (units - 1));
    const char *const wanted[] = {
        "hw_emu, ", "platform      fathom_v80", "KERNEL_CLK 250 MHz", layout, "HBM[31]      0x7c0000000    1024 MiB",
        last,       " table MBG[0:31]"};
    CHECK(o.status == 0, "%s", o.err);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        CHECK(strstr(o.out, wanted[i]), "no '%s' in\n%s", wanted[i], o.out);
    check_output_free(&o);
    o = check_command("\"$FATHOM_BIN\" inspect --json %s", path);
    json_t *j;
    CHECK_OK(fa_json_parse(&j, o.out, o.out_bytes, "inspect", &e), &e);
    CHECK((int)json_array_size(json_object_get(j, "kernels")) == n_kernels &&
          json_array_size(json_object_get(j, "memories")) == 33);
    json_decref(j);
    check_output_free(&o);
    free(check_write(dir, "cut.xclbin", bytes, n - 1));
    o = check_command("\"$FATHOM_BIN\" inspect %s/cut.xclbin", dir);
    CHECK(o.status == 1 && strstr(o.err, "was it cut?") && !*o.out, "%s", o.err);
    check_output_free(&o);
    check_folder_remove(dir);
    free(path), free(bytes);
}

static void wrong_use_says_what(void *arg) {
    (void)arg;
    static const check_refusal uses[] = {
        {"inspect --model /nonexistent", "/nonexistent", 1},
        {"inspect --model /nonexistent --ctx 0", "--ctx", 2},
        {"inspect --model /nonexistent surplus", "surplus", 2},
        {"devices surplus", "surplus", 2},
    };
    check_refusals(uses, sizeof uses / sizeof *uses);
}

static void devices_shows_the_machine(void *arg) {
    (void)arg;
    check_output o = check_command("FATHOM_ISA=portable \"$FATHOM_BIN\" devices");
    CHECK(o.status == 0 && strstr(o.out, "CPU ") && strstr(o.out, "ISA       portable"), "%s%s", o.out, o.err);
    check_output_free(&o);
}

int main(int argc, char **argv) {
    static expectation models[] = {
        {"deepseek-v3-tiny", "DeepseekV3ForCausalLM", 3, 3 * (128 + 16) * 4, 3 * (128 + 16) * 2},
        {"r1-distill-qwen-tiny", "Qwen2ForCausalLM", 3, 3 * 2 * 32 * 4, 3 * 2 * 32 * 2},
        {"deepseek-llm-tiny", "LlamaForCausalLM", 3, 3 * 2 * 128 * 4, 3 * 2 * 128 * 2},
    };
    const check_case cases[] = {
        {"inspect shows an MLA model's facts", facts_are_shown, &models[0]},
        {"inspect shows a GQA model's facts", facts_are_shown, &models[1]},
        {"inspect shows a Llama model's facts", facts_are_shown, &models[2]},
        {"the parts of a MoE model add up", parts_add_up_to_the_tensors, "deepseek-v3-tiny-fp8"},
        {"the parts of a model with MTP add up", parts_add_up_to_the_tensors, "deepseek-v3-tiny-mtp"},
        {"the parts of a sharded model add up", parts_add_up_to_the_tensors, "deepseek-v2-lite-tiny"},
        {"the parts of a dense model add up", parts_add_up_to_the_tensors, "r1-distill-llama-tiny"},
        {"inspect as text names the parts", text_names_the_parts, NULL},
        {"inspect shows an image of a board", an_image_is_shown, NULL},
        {"wrong use says what is wrong", wrong_use_says_what, NULL},
        {"devices shows the machine", devices_shows_the_machine, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
