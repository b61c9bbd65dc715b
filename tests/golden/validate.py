#!/usr/bin/env python3
"""Reads lines {"schema": ..., "text": ...}: each text must parse strictly and fit its schema by python3-jsonschema."""
import json
import sys

import jsonschema


def refuse(name):
    raise ValueError(f"{name} is no JSON")


bad = count = 0
for line in open(sys.argv[1], encoding="utf-8"):
    case = json.loads(line)
    count += 1
    try:
        value = json.loads(case["text"], parse_constant=refuse)
        jsonschema.Draft202012Validator(case["schema"], format_checker=jsonschema.FormatChecker()).validate(value)
    except (ValueError, jsonschema.ValidationError) as why:
        bad += 1
        if bad <= 5:
            print(f"schema {json.dumps(case['schema'])}\ntext {case['text']!r}\n{str(why)[:300]}\n")
print(f"{count} texts, {bad} bad")
sys.exit(bad > 0 or count == 0)
