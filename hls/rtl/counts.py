#!/usr/bin/env python3
"""Maps every block of hls/rtl to UltraScale+ with Yosys and prints counts.h: hls/rtl/counts.py >hls/rtl/counts.h
The netlists of all blocks without parameters are proven equal to the Verilog on the way."""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

FOLDER = os.path.dirname(os.path.abspath(__file__))
SYNTH = "synth_xilinx -family xcup -flatten -abc9 -nowidelut -noiopad -noclkbuf"

# name in counts.h, module, parameters, what it is one of
BLOCKS = [
    ("DECODE", "fp8_decode", {}, "operand code: a weight's serves all rows, an activation's all ports"),
    ("PRODUCT", "fp8_product", {}, "lane"),
    ("SUM_32", "fp8_sum", {"LANES": 32}, "dot unit of 32 lanes"),
    ("SUM_64", "fp8_sum", {"LANES": 64}, "dot unit of 64 lanes"),
    ("ACCUMULATOR", "fp8_accumulator", {}, "dot unit"),
    ("TO_FP32", "fp8_to_fp32", {}, "dot unit"),
    ("DECODE_DSP", "fp8_decode_dsp", {}, "operand code, for products in DSPs"),
    ("PRODUCT_DSP", "fp8_product_dsp", {}, "lane, for products in DSPs"),
]

# cells that are neither: they come with the LUTs
FREE = {"CARRY4", "CARRY8"}


def kind(cell):
    if cell.startswith("LUT") or cell in ("SRL16E", "SRLC32E", "INV"):
        return "LUT"
    if cell in ("FDRE", "FDSE", "FDCE", "FDPE"):
        return "FF"
    if cell == "dsp48e2":
        return "DSP"
    if cell in FREE:
        return None
    sys.exit(f"counts.py: Yosys made a cell {cell} that is not counted")


def yosys(script):
    try:
        return subprocess.run(["yosys", "-q", "-p", script], cwd=FOLDER, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        sys.exit("counts.py: yosys is not installed")
    except subprocess.CalledProcessError as e:
        sys.exit(f"counts.py: yosys failed:\n{e.stderr[-2000:]}")


def count(module, parameters):
    sources = sorted(f for f in os.listdir(FOLDER) if f.endswith(".v") and f != "dsp48e2.v")
    sets = "".join(f"chparam -set {name} {value} {module}; " for name, value in parameters.items())
    synth = f"{SYNTH} -top {module}"
    if not parameters and "dsp" not in module:  # a tree of 64 takes hours; of the DSP Yosys has no model
        synth = f"equiv_opt -assert -map +/xilinx/cells_sim.v {synth}; design -load postopt"
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        yosys(f"read_verilog {' '.join(sources)}; read_verilog -lib dsp48e2.v; {sets}hierarchy -top {module}; proc; flatten; "
              f"{synth}; tee -q -o {out.name} stat -json")
        cells = json.load(out)["design"]["num_cells_by_type"]
    counts = {"LUT": 0, "FF": 0, "DSP": 0}
    for cell, n in cells.items():
        if kind(cell):
            counts[kind(cell)] += n
    return counts


def main():
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda block: count(block[1], block[2]), BLOCKS))
    version = subprocess.run(["yosys", "-V"], capture_output=True, text=True).stdout.split()[1]
    print(f"/* What the blocks of hls/rtl take of an UltraScale+ fabric. Written by hls/rtl/counts.py with Yosys {version}:")
    print(f" * {SYNTH}")
    print(" * LUTs of any width, shift registers and inverters count as LUTs. README.md says what follows from these and what not. */")
    print("#ifndef HLS_RTL_COUNTS_H\n#define HLS_RTL_COUNTS_H\n\nenum {")
    for (name, module, _, per), numbers in zip(BLOCKS, found):
        print(f"    /* {module}, per {per} */")
        for what, n in numbers.items():
            if n or what != "DSP":
                print(f"    HLS_RTL_{name}_{what} = {n},")
    print("};\n\n#endif")


main()
