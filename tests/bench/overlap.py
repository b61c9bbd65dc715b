#!/usr/bin/env python3
"""How much of the messages' way is hidden behind work: a model on 2 ranks, with and without delay on the link between them.

Each routed layer has two ways, to the experts and back. Their sum is what a delay would add to a step if nothing were done meanwhile; what
it does add is what is not hidden. Runs with and without delay alternate; the fastest of each counts, because other work on the machine
only ever adds. Prints a JSON line a number of sequences. Needs root (network namespaces) and CPUs that are free: two, and one for the link."""
import argparse
import json
import os
import subprocess

LAUNCH = ("mpirun --oversubscribe --bind-to none --mca plm_rsh_agent {here}/tests/cluster/agent.sh --mca pml ob1 --mca btl tcp,self "
          "--mca btl_tcp_if_include link0 --mca oob_tcp_if_include link0 -H 10.9.0.1:1,10.9.0.2:1")


def step_seconds(build, model, sequences, delay_us):
    """Seconds of each repeat's decoding steps."""
    command = [f"{build}/tests/cluster/link", str(delay_us), "0", f"{build}/fathom", "bench", "--model", model, "--cluster", "expert",
               "--ranks", "2", "--threads", "1", "--prompt", "8", "-n", "16", "--repeat", "5", "--sequences", str(sequences),
               "--cluster-launch", LAUNCH.format(here=os.getcwd())]
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | root).stdout
    return [sequences / json.loads(line)["decode_tokens_per_s"] for line in out.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--model", required=True)
    parser.add_argument("--delay-us", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    o = parser.parse_args()
    with open(f"{o.model}/config.json", encoding="utf-8") as f:
        config = json.load(f)
    ways = 2 * (config["num_hidden_layers"] - config.get("first_k_dense_replace", 0))
    for sequences in (1, 8):
        taken = {0: [], o.delay_us: []}
        for _ in range(o.rounds):
            for delay, steps in taken.items():
                steps += step_seconds(o.build, o.model, sequences, delay)
        plain, delayed = (min(steps) for steps in taken.values())
        transfer = ways * o.delay_us * 1e-6
        print(json.dumps({"measure": "overlap", "sequences": sequences, "delay_us": o.delay_us, "step_ms": round(plain * 1e3, 3),
                          "delayed_step_ms": round(delayed * 1e3, 3), "transfer_ms": round(transfer * 1e3, 3),
                          "hidden_percent": round(100 * (1 - (delayed - plain) / transfer), 1)}), flush=True)


if __name__ == "__main__":
    main()
