"""The pragmas of Vitis HLS (UG1399, 'HLS Pragmas') and their options."""

# name: options; a value of int is a constant expression, str a word or a name, None stands alone
WORD, NUMBER, BARE = "word", "number", "bare"

PRAGMAS = {
    "AGGREGATE": {"variable": WORD, "compact": WORD},
    "ALIAS": {"ports": WORD, "distance": NUMBER, "offset": WORD},
    "ALLOCATION": {"function": BARE, "operation": BARE, "instances": WORD, "limit": NUMBER},
    "ARRAY_PARTITION": {"variable": WORD, "type": WORD, "factor": NUMBER, "dim": NUMBER, "off": BARE,
                        "complete": BARE, "block": BARE, "cyclic": BARE},
    "ARRAY_RESHAPE": {"variable": WORD, "type": WORD, "factor": NUMBER, "dim": NUMBER, "off": BARE, "object": BARE,
                      "complete": BARE, "block": BARE, "cyclic": BARE},
    "BIND_OP": {"variable": WORD, "op": WORD, "impl": WORD, "latency": NUMBER},
    "BIND_STORAGE": {"variable": WORD, "type": WORD, "impl": WORD, "latency": NUMBER},
    "CACHE": {"port": WORD, "lines": NUMBER, "depth": NUMBER, "ways": NUMBER, "users": NUMBER, "burst": WORD,
              "write": WORD},
    "DATAFLOW": {"disable_start_propagation": BARE},
    "DEPENDENCE": {"variable": WORD, "class": WORD, "type": WORD, "direction": WORD, "distance": NUMBER, "dependent": WORD,
                   "inter": BARE, "intra": BARE, "true": BARE, "false": BARE, "raw": BARE, "war": BARE, "waw": BARE},
    "DISAGGREGATE": {"variable": WORD},
    "EXPRESSION_BALANCE": {"off": BARE},
    "FUNCTION_INSTANTIATE": {"variable": WORD},
    "INLINE": {"off": BARE, "recursive": BARE},
    "INTERFACE": {"mode": WORD, "port": WORD, "bundle": WORD, "depth": NUMBER, "offset": WORD, "latency": NUMBER,
                  "num_read_outstanding": NUMBER, "num_write_outstanding": NUMBER, "max_read_burst_length": NUMBER,
                  "max_write_burst_length": NUMBER, "max_widen_bitwidth": NUMBER, "name": WORD, "channel": WORD,
                  "storage_type": WORD, "storage_impl": WORD, "register": BARE, "clock": WORD, "direct_io": WORD,
                  "m_axi": BARE, "s_axilite": BARE, "axis": BARE, "ap_none": BARE, "ap_ctrl_hs": BARE,
                  "ap_ctrl_chain": BARE, "ap_ctrl_none": BARE},
    "LATENCY": {"min": NUMBER, "max": NUMBER},
    "LOOP_FLATTEN": {"off": BARE},
    "LOOP_MERGE": {"force": BARE},
    "LOOP_TRIPCOUNT": {"min": NUMBER, "max": NUMBER, "avg": NUMBER},
    "OCCURRENCE": {"cycle": NUMBER, "off": BARE},
    "PERFORMANCE": {"target_ti": NUMBER, "target_tl": NUMBER, "assume_ti": NUMBER, "assume_tl": NUMBER, "unit": WORD},
    "PIPELINE": {"ii": NUMBER, "off": BARE, "rewind": BARE, "style": WORD},
    "PROTOCOL": {"mode": WORD, "floating": BARE, "fixed": BARE},
    "RESET": {"variable": WORD, "off": BARE},
    "STABLE": {"variable": WORD},
    "STREAM": {"variable": WORD, "depth": NUMBER, "type": WORD, "off": BARE},
    "TOP": {"name": WORD},
    "UNROLL": {"factor": NUMBER, "skip_exit_check": BARE, "off": BARE},
}

# what must not be missing
NEEDED = {
    "AGGREGATE": ["variable"],
    "ARRAY_PARTITION": ["variable"],
    "ARRAY_RESHAPE": ["variable"],
    "BIND_STORAGE": ["variable", "type"],
    "DEPENDENCE": ["variable"],
    "INTERFACE": ["port"],
    "LOOP_TRIPCOUNT": ["max"],
    "STREAM": ["variable"],
}


def numbers(source):
    """The texts of all values that must be constant expressions."""
    return {value for p in source.pragmas for option, value in p.options.items()
            if value and PRAGMAS.get(p.name, {}).get(option) == NUMBER}


def check(source, values):
    for p in source.pragmas:
        known = PRAGMAS.get(p.name)
        if known is None:
            source.report(p.offset, "pragma", f"HLS has no pragma {p.name}")
            continue
        for option, value in p.options.items():
            if option not in known:
                source.report(p.offset, "pragma", f"{p.name} has no option {option}")
            elif known[option] == BARE and value is not None:
                source.report(p.offset, "pragma", f"{p.name} {option} takes no value")
            elif known[option] != BARE and value is None:
                source.report(p.offset, "pragma", f"{p.name} {option} needs a value")
            elif known[option] == NUMBER and value not in values:
                source.report(p.offset, "pragma", f"{p.name} {option} = {value} is no integer constant")
        for option in NEEDED.get(p.name, []):
            if option not in p.options:
                source.report(p.offset, "pragma", f"{p.name} needs {option}")
