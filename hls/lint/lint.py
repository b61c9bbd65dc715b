#!/usr/bin/env python3
"""hls/lint/lint.py [-DNAME=VALUE ...] [FILE ...]: finds in kernel files what Vitis HLS would refuse or what would break the
promise of the same bits. Without FILE: all of hls/*.c that define a kernel (a function fathom_...). Prints FILE:LINE: [RULE] TEXT
and fails when there is anything to print. README.md lists the rules. Runs in the repository's root and needs clang."""

import glob
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import ports
import pragmas
import rules
from source import CannotRead, load, pragma_values


def kernel_files():
    return [f for f in sorted(glob.glob("hls/*.c")) if re.search(r"^void .*\bfathom_\w+\)?\(", open(f).read(), re.MULTILINE)]


def lint(path, defines):
    source = load(path, defines)
    values = pragma_values(source, defines, pragmas.numbers(source))
    pragmas.check(source, values)
    rules.place_pragmas(source)
    if not rules.kernels(source):
        source.report(0, "interface", "defines no kernel: no function is called fathom_...")
    rules.check(source)
    if not any(f.rule == "recursion" for f in source.findings):
        ports.check(source, values, rules.kernels(source))
    return source.findings


def main():
    defines = [a for a in sys.argv[1:] if a.startswith("-D")]
    paths = [a for a in sys.argv[1:] if not a.startswith("-D")] or kernel_files()
    if any(a in ("-h", "--help") for a in paths):
        print(__doc__)
        return 0
    findings = set()
    for path in paths:
        try:
            findings |= {(f.file, f.line, f.rule, f.text) for f in lint(path, defines)}
        except CannotRead as e:
            print(f"{path}: cannot be read:\n{e}", file=sys.stderr)
            return 2
    for file, line, rule, text in sorted(findings):
        print(f"{file}:{line}: [{rule}] {text}")
    return 1 if findings else 0


sys.exit(main())
