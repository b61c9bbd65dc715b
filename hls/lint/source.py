"""One kernel file as clang sees it: preprocessed text, pragmas, syntax tree, and where each of their parts came from."""

import bisect
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field

CLANG = ["clang", "-std=gnu11", "-I.", "-D__SYNTHESIS__", "-Wno-everything"]


class CannotRead(Exception):
    pass


@dataclass
class Pragma:
    offset: int  # in the preprocessed text
    name: str  # "PIPELINE"
    options: dict  # option in lower case: its text, or None for a bare word
    text: str


@dataclass(order=True)
class Finding:
    file: str
    line: int
    rule: str
    text: str


@dataclass
class Source:
    path: str
    text: str = ""
    marks: list = field(default_factory=list)  # (offset, file, line of that offset), rising
    pragmas: list = field(default_factory=list)
    includes: list = field(default_factory=list)  # (file, line, included file)
    functions: dict = field(default_factory=dict)  # name: FunctionDecl with a body
    decls: dict = field(default_factory=dict)  # id: declaration
    enums: dict = field(default_factory=dict)  # id of an enumerator: value
    structs: set = field(default_factory=set)  # names of struct types that have a body
    findings: list = field(default_factory=list)

    def where(self, offset):
        i = bisect.bisect_right(self.marks, (offset, chr(0x10FFFF), 0)) - 1
        start, file, line = self.marks[max(i, 0)]
        return file, line + self.text.count("\n", start, offset)

    def report(self, offset, rule, text):
        self.report_line(*self.where(offset), rule, text)

    def report_line(self, file, line, rule, text):
        finding = Finding(file, line, rule, text)
        if finding not in self.findings:
            self.findings.append(finding)


def run(command, text=None):
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True)
    except FileNotFoundError:
        raise CannotRead("clang is not installed")
    if done.returncode:
        raise CannotRead(done.stderr.strip())
    return done.stdout


def parse_pragma(text):
    """'ARRAY_PARTITION variable = x cyclic factor = 2' as name and options; values may be expressions without blanks inside."""
    words = re.findall(r"=|[^\s=]+", re.sub(r"([(*/+<>-])\s+|\s+(?=[)*/+<>-])", r"\1", text))
    name, options, i = words[0].upper() if words else "", {}, 1
    while i < len(words):
        if i + 2 < len(words) and words[i + 1] == "=":
            options[words[i].lower()] = words[i + 2]
            i += 3
        else:
            options[words[i].lower()] = None
            i += 1
    return name, options


def read_lines(source):
    """Fills marks, pragmas and includes from the preprocessed text."""
    offset, stack = 0, []
    for row in source.text.splitlines(keepends=True):
        mark = re.match(r'# (\d+) "([^"]*)"((?: \d)*)', row)
        if mark:
            line, file, flags = int(mark[1]), mark[2].removeprefix("./"), mark[3].split()
            if "1" in flags and stack:
                source.includes.append((stack[-1], source.where(offset)[1], file))
                stack.append(file)
            elif "2" in flags and len(stack) > 1:
                stack.pop()
            elif not stack or stack[-1] != file:
                stack = [file] if not stack else stack[:-1] + [file]
            source.marks.append((offset + len(row), file, line))
        pragma = re.match(r"\s*#\s*pragma\s+HLS\b(.*)", row, re.IGNORECASE)
        if pragma:
            name, options = parse_pragma(pragma[1])
            source.pragmas.append(Pragma(offset, name, options, pragma[1].strip()))
        offset += len(row)


def annotate(source, root):
    """Gives every node its place (B, E) and parent (P), and files declarations."""
    last = -1
    stack = [(root, None)]
    while stack:
        node, parent = stack.pop()
        node["P"] = parent
        begin, end = node.get("range", {}).get("begin", {}), node.get("range", {}).get("end", {})
        node["B"] = begin.get("offset", parent["B"] if parent else 0)
        node["E"] = end.get("offset", node["B"]) + end.get("tokLen", 0)
        kind = node.get("kind")
        inner = node.get("inner", [])
        if kind in ("VarDecl", "ParmVarDecl", "EnumConstantDecl", "FunctionDecl", "FieldDecl"):
            source.decls[node["id"]] = node
        if kind == "FunctionDecl" and any(c.get("kind") == "CompoundStmt" for c in inner):
            source.functions[node["name"]] = node
        if kind == "RecordDecl" and node.get("tagUsed") == "struct" and node.get("completeDefinition"):
            source.structs.add(node.get("name"))
        if kind == "EnumDecl":
            last = -1
        if kind == "EnumConstantDecl":
            last = int(inner[0]["value"]) if inner and "value" in inner[0] else last + 1
            source.enums[node["id"]] = last
        stack.extend((c, node) for c in reversed(inner) if c)


def load(path, defines):
    """Reads the kernel file `path`, with the -D options `defines`. Raises CannotRead."""
    source = Source(path)
    source.text = run(CLANG + defines + ["-E", path])
    read_lines(source)
    tree = run(CLANG + ["-x", "cpp-output", "-fsyntax-only", "-Xclang", "-ast-dump=json", "-"], source.text)
    sys.setrecursionlimit(10000)
    annotate(source, json.loads(tree))
    return source


def pragma_values(source, defines, expressions):
    """The values of the expressions that stand in pragmas, which may use macros: a dict, without those that are not constant."""
    expressions = sorted(expressions)
    if not expressions:
        return {}
    probe = "".join(f"enum {{ hls_lint_{i} = ({e}) }};\n" for i, e in enumerate(expressions))
    try:
        text = run(CLANG + defines + ["-E", "-x", "c", "-"], f'#include "{source.path}"\n{probe}')
        tree = run(CLANG + ["-x", "cpp-output", "-fsyntax-only", "-Xclang", "-ast-dump=json", "-"], text)
    except CannotRead:
        if len(expressions) == 1:
            return {}
        return {e: v for one in expressions for e, v in pragma_values(source, defines, {one}).items()}
    probed = Source(source.path)
    annotate(probed, json.loads(tree))
    names = {probed.decls[key]["name"]: value for key, value in probed.enums.items()}
    return {e: names[f"hls_lint_{i}"] for i, e in enumerate(expressions)}


def walk(node):
    yield node
    for child in node.get("inner", []):
        if child:
            yield from walk(child)


def bare(node):
    """The expression without parentheses and casts."""
    while node.get("kind") in ("ParenExpr", "ImplicitCastExpr", "CStyleCastExpr", "ConstantExpr"):
        node = node["inner"][0]
    return node


def body_of(function):
    return next(c for c in function["inner"] if c.get("kind") == "CompoundStmt")


def callee(call):
    """The name of the function a call names directly, or None."""
    target = bare(call["inner"][0])
    if target.get("kind") == "DeclRefExpr" and target["referencedDecl"]["kind"] == "FunctionDecl":
        return target["referencedDecl"]["name"]
    return None


def constant(source, node):
    """The value of an integer constant expression, or None."""
    kind = node.get("kind")
    inner = node.get("inner", [])
    if kind in ("IntegerLiteral", "CharacterLiteral"):
        return int(node["value"])
    if kind in ("ParenExpr", "ImplicitCastExpr", "CStyleCastExpr", "ConstantExpr"):
        return constant(source, inner[0])
    if kind == "DeclRefExpr":
        ref = node["referencedDecl"]
        if ref["id"] in source.enums:
            return source.enums[ref["id"]]
        decl = source.decls.get(ref["id"])
        if decl and decl["kind"] == "VarDecl" and decl["type"]["qualType"].startswith("const ") and decl.get("init"):
            return constant(source, decl["inner"][-1])
        return None
    values = [constant(source, c) for c in inner]
    if not values or None in values:
        return None
    if kind == "UnaryOperator":
        return unary(node["opcode"], values[0])
    if kind == "BinaryOperator":
        return binary(node["opcode"], *values)
    if kind == "ConditionalOperator":
        return values[1] if values[0] else values[2]
    return None


def unary(operator, a):
    return {"-": -a, "+": a, "~": ~a, "!": int(not a)}.get(operator)


def binary(operator, a, b):
    if operator in ("/", "%"):
        if b == 0:
            return None
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return quotient if operator == "/" else a - quotient * b
    if operator in ("<<", ">>") and not 0 <= b < 64:
        return None
    operations = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "<<": lambda: a << b,
        ">>": lambda: a >> b,
        "&": lambda: a & b,
        "|": lambda: a | b,
        "^": lambda: a ^ b,
        "<": lambda: int(a < b),
        "<=": lambda: int(a <= b),
        ">": lambda: int(a > b),
        ">=": lambda: int(a >= b),
        "==": lambda: int(a == b),
        "!=": lambda: int(a != b),
        "&&": lambda: int(bool(a and b)),
        "||": lambda: int(bool(a or b)),
        ",": lambda: b,
    }
    return operations[operator]() if operator in operations else None
