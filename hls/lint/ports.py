"""Memory ports: in a pipelined loop everything inside is unrolled, and an on-chip memory has two ports. Counts, for every bank of
every array, the accesses of one turn, and reports those that its initiation interval does not leave time for.

A kernel is run once over unknown numbers. A number is (value, kind): KNOWN; SAME, an unknown that is one number throughout a turn,
for which a large multiple of a power of two stands, so that sums with it keep their distances; or ANY, of which nothing
is known, not even whether two are equal. A place is (array, path), a path being indices and names of members."""

import re
from dataclasses import dataclass, field

from rules import LOOPS, body_of, callee, constant_bounds, loop_body, pragma_of, type_of
from source import binary, unary, walk

KNOWN, SAME, ANY = range(3)
PORTS = {"ram_1p": 1, "rom_1p": 1}  # of BIND_STORAGE; all others have two
MOST_TURNS = 4096


@dataclass(frozen=True)
class Place:
    array: str  # id of its declaration
    path: tuple
    element: bool  # a pointer to an element: its index moves the last number of the path


@dataclass
class Frame:
    values: dict = field(default_factory=dict)  # id: (value, kind) or Place
    result: object = (0, ANY)


def could_be(bank, other):
    return all(a is None or b is None or a == b for a, b in zip(bank, other))


class Turn:
    """The accesses of one turn of a pipelined loop."""

    def __init__(self):
        self.reads, self.writes = {}, {}  # array: set of paths
        self.declared = set()  # arrays that the turn itself declares


class Ports:
    def __init__(self, source, values):
        self.source, self.values = source, values
        self.turn = None
        self.unknown = 0
        self.seen = set()

    def any(self):
        self.unknown += 1
        return ((1 << 40) + self.unknown, ANY)

    def same(self, key):
        return ((sum(map(ord, str(key))) * 7919 % 1009 + 1) << 20, SAME)

    # ---- statements: each returns None, "continue", "break" or "return"

    def run(self, node, frame):
        kind = node.get("kind")
        inner = [c for c in node.get("inner", []) if c]
        if kind == "CompoundStmt":
            return self.block(inner, frame)
        if kind in LOOPS:
            return self.loop(node, frame)
        if kind == "IfStmt":
            return self.condition(inner, frame)
        if kind == "DeclStmt":
            for d in inner:
                self.declare(d, frame)
        elif kind == "ReturnStmt":
            if inner:
                frame.result = self.value(inner[0], frame)
            return "return"
        elif kind in ("ContinueStmt", "BreakStmt"):
            return "continue" if kind == "ContinueStmt" else "break"
        elif kind == "SwitchStmt":
            for statement in inner:
                self.run(statement, frame)
        elif kind in ("CaseStmt", "DefaultStmt"):
            return self.run(inner[-1], frame)
        elif kind != "NullStmt":
            self.value(node, frame)
        return None

    def block(self, statements, frame):
        for i, statement in enumerate(statements):
            if self.turn and statement.get("kind") == "IfStmt" and self.leaves(statement):
                inner = [c for c in statement["inner"] if c]
                value, kind = self.number(inner[0], frame)
                if kind != KNOWN:  # what follows is the other branch
                    return self.either([lambda: self.run(inner[1], frame), lambda: self.block(statements[i + 1 :], frame)])[1]
                way = self.run(inner[1], frame) if value else None
            else:
                way = self.run(statement, frame)
            if way:
                return way
        return None

    def leaves(self, statement):
        """True for an if without else whose branch ends in return, continue or break."""
        inner = [c for c in statement["inner"] if c]
        last = inner[1]
        while last.get("kind") == "CompoundStmt" and last.get("inner"):
            last = last["inner"][-1]
        return len(inner) == 2 and last.get("kind") in ("ReturnStmt", "ContinueStmt", "BreakStmt")

    def condition(self, inner, frame):
        value, kind = self.number(inner[0], frame)
        if kind == KNOWN:
            chosen = inner[1] if value else inner[2] if len(inner) > 2 else None
            return self.run(chosen, frame) if chosen else None
        self.either([lambda b=b: self.run(b, frame) for b in inner[1:]])
        for branch in inner[1:]:
            self.forget(branch, frame)
        return None

    def either(self, ways):
        """Of ways that exclude each other, an array's accesses are those of the way that has most."""
        if not self.turn:
            return [way() for way in ways]
        outer, turns, results = self.turn, [], []
        for way in ways:
            self.turn = Turn()
            self.turn.declared = outer.declared
            results.append(way())
            turns.append(self.turn)
        self.turn = outer
        for array in {a for t in turns for a in (*t.reads, *t.writes)}:
            best = max(turns, key=lambda t: len(t.reads.get(array, ())) + len(t.writes.get(array, ())))
            self.turn.reads.setdefault(array, set()).update(best.reads.get(array, ()))
            self.turn.writes.setdefault(array, set()).update(best.writes.get(array, ()))
        return results

    def forget(self, node, frame):
        """What a statement that may run may have changed is unknown from then on."""
        for n in walk(node):
            if n.get("kind") in ("BinaryOperator", "CompoundAssignOperator", "UnaryOperator") and n.get("inner"):
                target = n["inner"][0]
                if target.get("kind") == "DeclRefExpr" and re.fullmatch(r"\+\+|--|(<<|>>|[-+*/%&|^])?=", n["opcode"]):
                    frame.values[target["referencedDecl"]["id"]] = self.any()

    def declare(self, decl, frame):
        if decl.get("kind") != "VarDecl":
            return
        if "[" in type_of(decl):
            if self.turn:
                self.turn.declared.add(decl["id"])
        elif decl.get("init"):
            frame.values[decl["id"]] = self.value(decl["inner"][-1], frame)
        else:
            frame.values[decl["id"]] = self.any()

    # ---- loops

    def loop(self, node, frame):
        body = loop_body(node)
        pipeline = pragma_of(body, "PIPELINE")
        if self.turn:
            return self.unrolled(node, body, frame)
        if pipeline and "off" not in pipeline.options:
            self.pipelined(node, body, pipeline, frame)
        else:
            self.forget(node, frame)
            for part in node["inner"]:
                if part:
                    self.run(part, frame)
            self.forget(node, frame)
        return None

    def unrolled(self, node, body, frame):
        if not constant_bounds(self.source, node):
            self.source.report(node["B"], "pipeline", "stands in a pipelined loop, so it must unroll, but has no constant bounds")
            return None
        init, _, condition, increment, _ = node["inner"]
        self.run(init, frame)
        for _ in range(MOST_TURNS):
            value, kind = self.number(condition, frame)
            if kind == KNOWN and not value:
                break
            if self.run(body, frame) == "break":
                break
            self.value(increment, frame)
        return None

    def pipelined(self, node, body, pipeline, frame):
        key = (node["id"], tuple(sorted((k, v.array) for k, v in frame.values.items() if isinstance(v, Place))))
        if key in self.seen:
            return
        self.seen.add(key)
        inside = Frame({k: v for k, v in frame.values.items() if isinstance(v, Place)})
        self.turn = Turn()
        self.run(body, inside)
        turn, self.turn = self.turn, None
        interval = self.values.get(pipeline.options.get("ii") or "1", 1)
        for array in sorted(set(turn.reads) | set(turn.writes)):
            self.count(node, interval, array, turn)

    # ---- expressions

    def number(self, node, frame):
        value = self.value(node, frame)
        return value if isinstance(value, tuple) else self.any()

    def value(self, node, frame):
        kind = node.get("kind")
        inner = [c for c in node.get("inner", []) if c]
        if kind in ("IntegerLiteral", "CharacterLiteral"):
            return (int(node["value"]), KNOWN)
        if kind in ("ParenExpr", "ConstantExpr", "CStyleCastExpr", "ImplicitCastExpr"):
            if node.get("castKind") == "LValueToRValue":
                return self.load(inner[0], frame)
            return self.value(inner[0], frame)
        if kind == "DeclRefExpr":
            return self.variable(node, frame)
        if kind == "BinaryOperator":
            return self.binary(node, inner, frame)
        if kind == "CompoundAssignOperator":
            return self.store(inner[0], self.combined(node["opcode"][:-1], self.load(inner[0], frame), self.value(inner[1], frame)), frame)
        if kind == "UnaryOperator":
            return self.unary(node, inner[0], frame)
        if kind == "ConditionalOperator":
            return self.chosen(inner, frame)
        if kind == "CallExpr":
            return self.call(node, inner, frame)
        if kind in ("ArraySubscriptExpr", "MemberExpr"):
            return self.place(node, frame) or self.any()
        for child in inner:
            self.value(child, frame)
        return self.any()

    def variable(self, node, frame):
        key = node["referencedDecl"]["id"]
        if key in self.source.enums:
            return (self.source.enums[key], KNOWN)
        if key in frame.values:
            return frame.values[key]
        if "[" in type_of(self.source.decls.get(key, {})):
            return Place(key, (), False)
        return self.same(key)

    def binary(self, node, inner, frame):
        if node["opcode"] == "=":
            return self.store(inner[0], self.value(inner[1], frame), frame)
        return self.combined(node["opcode"], self.value(inner[0], frame), self.value(inner[1], frame))

    def combined(self, operator, a, b):
        if isinstance(a, Place) and isinstance(b, tuple) and operator in ("+", "-"):
            return self.moved(a, b if operator == "+" else (-b[0], b[1]))
        if not (isinstance(a, tuple) and isinstance(b, tuple)):
            return self.any()
        kind, result = max(a[1], b[1]), binary(operator, a[0], b[0])
        divided = operator in ("/", "%") and b[1] != KNOWN
        compared = operator in ("<", "<=", ">", ">=", "==", "!=", "&&", "||") and kind != KNOWN
        return self.any() if result is None or kind == ANY or divided or compared else (result, kind)

    def unary(self, node, operand, frame):
        operator = node["opcode"]
        if operator == "&":
            place = self.place(operand, frame)
            return Place(place.array, place.path, True) if place else self.any()
        if operator == "*":
            return self.load(node, frame)
        if operator in ("++", "--"):
            a = self.number(operand, frame)
            return self.store(operand, (a[0] + (1 if operator == "++" else -1), a[1]), frame)
        a = self.number(operand, frame)
        result = unary(operator, a[0])
        return self.any() if result is None or a[1] == ANY else (result, a[1])

    def chosen(self, inner, frame):
        value, kind = self.number(inner[0], frame)
        if kind == KNOWN:
            return self.value(inner[1 if value else 2], frame)
        results = self.either([lambda e=e: self.value(e, frame) for e in inner[1:]])
        return results[0] if results[0] == results[1] else self.any()

    def call(self, node, inner, frame):
        function = self.source.functions.get(callee(node))
        arguments = [self.value(a, frame) for a in inner[1:]]
        if not function:
            return self.any()
        parameters = [p for p in function["inner"] if p.get("kind") == "ParmVarDecl"]
        if not any(isinstance(a, Place) for a in arguments) and any(a[1] == ANY for a in arguments if isinstance(a, tuple)):
            if not any(n.get("kind") == "ArraySubscriptExpr" for n in walk(function)):
                return self.any()
        called = Frame(dict(zip((p["id"] for p in parameters), arguments)))
        if self.turn is None:
            called.values = {k: v for k, v in called.values.items() if isinstance(v, Place)}
        pipeline = pragma_of(body_of(function), "PIPELINE")
        if pipeline and self.turn is None and "off" not in pipeline.options:
            self.pipelined(function, body_of(function), pipeline, called)
        else:
            self.run(body_of(function), called)
        return called.result

    # ---- memory

    def moved(self, place, by):
        path = list(place.path)
        if place.element and path and isinstance(path[-1], tuple):
            kind = max(path[-1][1], by[1])
            path[-1] = self.any() if kind == ANY else (path[-1][0] + by[0], kind)
        else:
            path.append(by)
        return Place(place.array, tuple(path), True)

    def place(self, node, frame):
        """Where an lvalue lies, or None when it is no part of an array."""
        kind = node.get("kind")
        inner = [c for c in node.get("inner", []) if c]
        if kind in ("ParenExpr", "ImplicitCastExpr", "CStyleCastExpr"):
            if node.get("castKind") == "LValueToRValue":
                value = self.load(inner[0], frame)
                return value if isinstance(value, Place) else None
            return self.place(inner[0], frame)
        if kind == "DeclRefExpr":
            value = self.variable(node, frame)
            return value if isinstance(value, Place) else None
        if kind == "ArraySubscriptExpr":
            base, index = self.place(inner[0], frame), self.number(inner[1], frame)
            if base is None:
                return None
            if base.element:
                moved = self.moved(base, index)
                return Place(moved.array, moved.path, False)
            return Place(base.array, base.path + (index,), False)
        if kind == "MemberExpr":
            base = self.place(inner[0], frame)
            if base is None:
                return None
            path = base.path if base.element or not node.get("isArrow") else base.path + ((0, KNOWN),)
            return Place(base.array, path + (node["name"],), False)
        if kind == "UnaryOperator" and node["opcode"] == "*":
            value = self.value(inner[0], frame)
            if isinstance(value, Place):
                return value if value.element else Place(value.array, value.path + ((0, KNOWN),), False)
        return None

    def load(self, node, frame):
        if node.get("kind") == "DeclRefExpr":
            return self.variable(node, frame)
        if node.get("kind") == "MemberExpr" and node["inner"][0].get("kind") == "DeclRefExpr" and not node.get("isArrow"):
            key = node["inner"][0]["referencedDecl"]["id"]
            if not isinstance(frame.values.get(key), Place):
                return self.same(key + node["name"])
        place = self.place(node, frame)
        if place and self.turn:
            self.turn.reads.setdefault(place.array, set()).add(place.path)
        return self.any()

    def store(self, node, value, frame):
        if node.get("kind") == "DeclRefExpr":
            frame.values[node["referencedDecl"]["id"]] = value
            return value
        place = self.place(node, frame)
        if place and self.turn:
            self.turn.writes.setdefault(place.array, set()).add(place.path)
        return value

    # ---- the count

    def pragmas_of(self, decl):
        """The pragmas in the declaring function that name this array."""
        node = decl
        while node and node.get("kind") != "FunctionDecl":
            node = node["P"]
        blocks = walk(node) if node else ()
        return [p for b in blocks for p in b.get("pragmas", []) if p.options.get("variable") == decl["name"]]

    def banks(self, decl):
        """The size of each dimension, how it is partitioned (kind, factor), and the ports of a bank."""
        sizes = [int(s) for s in re.findall(r"\[(\d+)\]", type_of(decl))]
        cut = [None] * len(sizes)
        ports = 2
        for p in self.pragmas_of(decl):
            how = p.options.get("type") or next((k for k in ("complete", "cyclic", "block") if k in p.options), "complete")
            if p.name == "BIND_STORAGE":
                ports = PORTS.get(p.options.get("type"), 2)
            elif p.name in ("ARRAY_PARTITION", "ARRAY_RESHAPE"):
                dim = self.values.get(p.options.get("dim") or "1", 1)
                for d in range(len(sizes)) if dim == 0 else [dim - 1]:
                    if d < len(cut):
                        cut[d] = (how, self.values.get(p.options.get("factor") or "1", 1))
        return sizes, cut, ports

    def bank(self, path, sizes, cut):
        """The bank of a path, a number for each dimension that is cut, or None where it could be any; and the address in it."""
        bank, address = [], []
        for index, size, how in zip(path, sizes, cut):
            value, kind = index
            if how is None:
                address.append(value)
            elif how[0] == "complete":
                bank.append(None if kind == ANY else value)
            elif kind == ANY or (how[0] == "block" and kind == SAME):
                bank.append(None)
                address.append(value)
            else:
                deep = -(-size // how[1])
                bank.append(value % how[1] if how[0] == "cyclic" else value // deep)
                address.append(value // how[1] if how[0] == "cyclic" else value % deep)
        return tuple(bank), tuple(address)

    def count(self, node, interval, array, turn):
        decl = self.source.decls[array]
        if decl["kind"] != "VarDecl":
            return  # memory behind a port of the kernel
        sizes, cut, ports = self.banks(decl)
        # members of an element are one word: rules.check_structs sees to it
        accesses = {(p[: len(sizes)], way) for ways, way in ((turn.reads, "r"), (turn.writes, "w")) for p in ways.get(array, ())
                    if len(p) >= len(sizes)}
        fixed = all(kind == KNOWN for path, _ in accesses for _, kind in path)
        if (array in turn.declared and fixed) or (cut and all(c and c[0] == "complete" for c in cut)):
            return  # registers
        # reads of one address are one access, whichever bank turns out to be meant; writes are not
        found = set()
        for path, way in accesses:
            bank, address = self.bank(path, sizes, cut)
            found.add((bank, address if way == "r" or None not in bank else path, way))
        most = max(sum(could_be(bank, other) for other, _, _ in found) for bank in {b for b, _, _ in found})
        if most > ports * interval:
            turn_of = "a cycle" if interval == 1 else f"{interval} cycles"
            self.source.report(node["B"], "ports", f"{decl['name']}: {most} accesses in {turn_of} to one bank, which has {ports} "
                               "ports: partition the array, or raise II")


def check(source, values, kernels):
    ports = Ports(source, values)
    for kernel in kernels:
        ports.run(body_of(kernel), Frame())
