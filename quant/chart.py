#!/usr/bin/env python3
"""Draws what `fathom quantize --study --json` measured, and writes its tables.

    quant/chart.py OUT.svg TITLE=STUDY.json...     Markdown on standard output"""
import json
import math
import sys

COLOURS = ["#888888", "#1f77b4", "#17a2b8", "#0b3d91", "#9467bd", "#ff7f0e", "#d62728", "#2ca02c", "#98c379"]
WIDTH, LEFT, ROW, PLOT = 920, 250, 26, 190


class Drawing:
    def __init__(self):
        self.parts = []

    def text(self, x, y, s, size=12, anchor="start", colour="#222", weight="normal"):
        s = s.replace("&", "&amp;").replace("<", "&lt;")
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
                          f'font-weight="{weight}">{s}</text>')

    def line(self, points, colour="#222", width=1.0):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')

    def box(self, x, y, w, h, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{colour}"/>')

    def write(self, path, height):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
                f'height="{height:.0f}" font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>')
        with open(path, "w") as f:
            f.write(head + "\n" + "\n".join(self.parts) + "\n</svg>\n")


def step_of(span):
    """A round step that gives a handful of marks."""
    raw = span / 5
    unit = 10 ** math.floor(math.log10(raw))
    return next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw)


def bars(d, y, rows):
    """Change of the perplexity with its interval; returns where it ends."""
    low = min([0.0] + [r["change95"][0] for r in rows])
    high = max([0.0] + [r["change95"][1] for r in rows])
    step = step_of(100 * (high - low)) / 100
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    place = lambda v: LEFT + (v - low) / (high - low) * (WIDTH - LEFT - 90)
    bottom = y + ROW * len(rows)
    for i in range(round((high - low) / step) + 1):
        at = place(low + i * step)
        d.line([(at, y), (at, bottom)], "#ddd" if abs(low + i * step) > 1e-9 else "#888")
        d.text(at, bottom + 14, f"{100 * (low + i * step):+.3g} %", 10, "middle", "#555")
    for i, (r, colour) in enumerate(zip(rows, COLOURS[1:])):
        middle = y + ROW * i + ROW / 2
        d.text(LEFT - 8, middle + 4, r["row"], 12, "end")
        a, b = sorted((place(0), place(r["change"])))
        d.box(a, middle - 7, max(b - a, 1), 14, colour)
        d.line([(place(r["change95"][0]), middle), (place(r["change95"][1]), middle)], "#222", 1.2)
        d.text(WIDTH - 6, middle + 4, f'{100 * r["change"]:+.3f} %', 11, "end", "#444")
    return bottom + 24


def lines(d, y, rows):
    """Relative error of the hidden states behind each layer, on a logarithmic scale."""
    layers = len(rows[0]["hidden_error"])
    values = [v for r in rows for v in r["hidden_error"] if v > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    across = lambda i: LEFT + (i / max(1, layers - 1)) * (WIDTH - LEFT - 90)
    up = lambda v: y + PLOT - (math.log10(max(v, 10**low)) - low) / (high - low) * PLOT
    for p in range(low, high + 1):
        d.line([(LEFT, up(10**p)), (WIDTH - 90, up(10**p))], "#ddd")
        d.text(LEFT - 8, up(10**p) + 4, f"{100 * 10**p:g} %", 10, "end", "#555")
    for i in range(0, layers, max(1, layers // 10)):
        d.text(across(i), y + PLOT + 14, str(i), 10, "middle", "#555")
    d.text(WIDTH - 90, y + PLOT + 28, "layer", 10, "end", "#555")
    for r, colour in zip(rows, COLOURS[1:]):
        d.line([(across(i), up(v)) for i, v in enumerate(r["hidden_error"])], colour, 1.6)
    return y + PLOT + 44


def percent(v, digits=2):
    return f"{100 * v:.{digits}f} %"


def signed(v):
    return f"{100 * v:+.2f} %"


def table(rows):
    print("| | perplexity | change | 95 % interval | same choice | error of weights | of the last hidden state |")
    print("|---|---|---|---|---|---|---|")
    for r in rows:
        changes = ["", "", ""] if r is rows[0] else [signed(r["change"]), " .. ".join(map(signed, r["change95"])),
                                                     percent(r["hidden_error"][-1])]
        weights = percent(r["weights_error"]) if "weights_error" in r else ""
        print("| " + " | ".join([r["row"], f'{r["perplexity"]:.4f}', *changes[:2], percent(r["same_choice"]), weights, changes[2]]) + " |")


def by_layer(rows):
    """Some layers: the first, the last and those between."""
    layers = len(rows[0]["hidden_error"])
    shown = sorted({round(i * (layers - 1) / 5) for i in range(6)}) if layers > 6 else range(layers)
    print("\n| behind layer | " + " | ".join(str(i) for i in shown) + " |")
    print("|---" * (len(shown) + 1) + "|")
    for r in rows:
        if "layer_weights_error" in r and r["row"].startswith("weights"):
            print(f'| error of {r["row"]} | ' + " | ".join(percent(r["layer_weights_error"][i]) for i in shown) + " |")
    for r in rows[1:]:
        print(f'| hidden states, {r["row"]} | ' + " | ".join(percent(r["hidden_error"][i]) for i in shown) + " |")
    print()


def main():
    d, y = Drawing(), 8
    for argument in sys.argv[2:]:
        title, _, path = argument.partition("=")
        rows = [json.loads(line) for line in open(path)]
        d.text(10, y + 18, f'{title}: change of the perplexity against FP32 ({rows[0]["perplexity"]:.4f})', 14, weight="bold")
        y = bars(d, y + 30, rows[1:])
        d.text(10, y + 14, "relative error of the hidden states behind each layer", 12, colour="#444")
        y = lines(d, y + 24, rows[1:])
        print(f'### {title}\n\n{rows[0]["tokens"]} tokens.\n')
        table(rows)
        by_layer(rows)
    d.write(sys.argv[1], y + 8)


if __name__ == "__main__":
    main()
