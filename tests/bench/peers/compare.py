"""fathom's FP8 beside llama.cpp's Q8_0, on models of one shape and with the same weights, in turn on this machine.

    python compare.py --fathom BIN --limits BIN --peer LLAMA_BENCH --models DIR [--repeats N]

DIR holds NAME/ and NAME.gguf (to_gguf.py). Every repeat runs both, llama.cpp in each of its settings that matter on a CPU (flash
attention on and off, the file mapped or read), fathom in w8a8; of each the best repeat counts. Prints JSON lines: a rate for
every measurement, then `ratio` lines, fathom over llama.cpp."""
import argparse
import json
import os
import subprocess
import sys

MODELS = ("llama-1gb", "v3-moe-1gb")
PROMPT, NEW = 512, 48
SETTINGS = [(flash, load) for flash in ("0", "1") for load in ("mmap", "none")]


def lines_of(command):
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def say(**fields):
    print(json.dumps(fields), flush=True)


def fathom(a, name, threads):
    """(prompt, decode) in tokens/s."""
    line, = lines_of([a.fathom, "bench", "--model", os.path.join(a.models, name), "--backend", "cpu", "--numerics", "w8a8",
                      "--threads", str(threads), "--prompt", str(PROMPT), "-n", str(NEW), "--repeat", "1"])
    return line["prompt_tokens_per_s"], line["decode_tokens_per_s"], line["weight_bytes_per_token"]


def peer(a, name, threads, flash, load):
    found = lines_of([a.peer, "-m", os.path.join(a.models, name + ".gguf"), "-t", str(threads), "-p", str(PROMPT),
                      "-n", str(NEW), "-r", "1", "-fa", flash, "-lm", load, "-o", "jsonl"])
    rate = {bool(line["n_prompt"]): line["avg_ts"] for line in found}
    return rate[True], rate[False]


def measure(a, name, threads):
    limits, = lines_of([a.limits, str(threads)])
    say(measure="limits", **limits)
    best = {"fathom": [0.0, 0.0], "llama.cpp": [0.0, 0.0]}
    weight_bytes = 0
    for repeat in range(a.repeats):
        *ours, weight_bytes = fathom(a, name, threads)
        say(measure="rates", program="fathom", model=name, threads=threads, repeat=repeat, prompt=ours[0], decode=ours[1])
        best["fathom"] = [max(x, y) for x, y in zip(best["fathom"], ours)]
        for flash, load in SETTINGS:
            theirs = peer(a, name, threads, flash, load)
            say(measure="rates", program="llama.cpp", model=name, threads=threads, repeat=repeat, flash=flash, load=load,
                prompt=theirs[0], decode=theirs[1])
            best["llama.cpp"] = [max(x, y) for x, y in zip(best["llama.cpp"], theirs)]
    limit = min(limits["read_rate"], limits["kernel_rate"])
    for i, what in enumerate(("prompt", "decode")):
        say(measure="ratio", what=what, model=name, threads=threads, fathom=best["fathom"][i],
            peer=best["llama.cpp"][i], ratio=round(best["fathom"][i] / best["llama.cpp"][i], 3))
    say(measure="share", model=name, threads=threads, bytes_per_s=best["fathom"][1] * weight_bytes, limit=limit,
        percent=round(100 * best["fathom"][1] * weight_bytes / limit, 1))


def main():
    p = argparse.ArgumentParser(description="Measure fathom and llama.cpp in turn.")
    for name in ("fathom", "limits", "peer", "models"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--repeats", type=int, default=3)
    a = p.parse_args()
    for name in MODELS:
        for threads in (1, 2):
            try:
                measure(a, name, threads)
            except subprocess.CalledProcessError as error:
                sys.exit(f"compare.py: {' '.join(error.cmd)} failed:\n{error.stderr}")


if __name__ == "__main__":
    main()
