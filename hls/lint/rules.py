"""What Vitis HLS refuses, or what would change a bit: rules on the functions that a kernel reaches."""

import re

from source import bare, body_of, callee, constant, walk

LOOPS = ("ForStmt", "WhileStmt", "DoStmt")
# calls to functions that are not in the sources: exact or correctly rounded everywhere
LIBRARY = {"sqrtf", "fabsf", "memcpy", "memset"}
ALLOCATION = {"malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "alloca", "__builtin_alloca", "strdup",
              "mmap", "munmap"}
HEADERS = {"stdint.h", "stddef.h", "stdbool.h", "math.h", "string.h", "limits.h", "float.h"}
FLOATS = ("float", "double", "long double")


def kernels(source):
    return [f for name, f in source.functions.items() if name.startswith("fathom_")]


def reached(source):
    """Functions that a kernel calls, directly or not, and itself."""
    found, todo = {}, [f["name"] for f in kernels(source)]
    while todo:
        name = todo.pop()
        if name in found or name not in source.functions:
            continue
        found[name] = source.functions[name]
        todo += [callee(n) for n in walk(found[name]) if n.get("kind") == "CallExpr" and callee(n)]
    return list(found.values())


def place_pragmas(source):
    """Hangs every pragma on the block that it stands in, as block["pragmas"]."""
    roots = list(source.functions.values())
    for p in source.pragmas:
        node = next((f for f in roots if f["B"] <= p.offset < f["E"]), None)
        block, between = None, False
        while node:
            if node.get("kind") == "CompoundStmt":
                block, between = node, False
            elif node.get("kind") in LOOPS + ("IfStmt",):
                between = True
            node = next((c for c in node.get("inner", []) if c and c["B"] <= p.offset < c["E"]), None)
        if block is None:
            source.report(p.offset, "pragma", "stands outside of functions")
        elif between:
            source.report(p.offset, "pragma", "stands between a loop or condition and what it governs: braces are missing")
        else:
            block.setdefault("pragmas", []).append(p)


def pragma_of(node, name):
    return next((p for p in node.get("pragmas", []) if p.name == name), None)


def loop_body(loop):
    return loop["inner"][0] if loop["kind"] == "DoStmt" else loop["inner"][-1]


def for_parts(loop):
    """init, condition, increment of a for loop; each may be {}."""
    init, _, condition, increment, _ = loop["inner"]
    return init, condition, increment


def started_at(init):
    """The id of the variable that `init` starts and the expression it starts at."""
    if init.get("kind") == "DeclStmt" and init["inner"][0].get("init"):
        return init["inner"][0]["id"], init["inner"][0]["inner"][-1]
    if init.get("kind") == "BinaryOperator" and init["opcode"] == "=" and bare(init["inner"][0])["kind"] == "DeclRefExpr":
        return bare(init["inner"][0])["referencedDecl"]["id"], init["inner"][1]
    return None, None


def conjuncts(condition):
    node = bare(condition)
    if node.get("kind") == "BinaryOperator" and node["opcode"] == "&&":
        return conjuncts(node["inner"][0]) + conjuncts(node["inner"][1])
    return [node]


def constant_bounds(source, loop):
    """True when a for loop runs from a constant to a constant."""
    if loop["kind"] != "ForStmt":
        return False
    init, condition, increment = for_parts(loop)
    variable, start = started_at(init)
    if not variable or not condition or not increment or constant(source, start) is None:
        return False
    for c in conjuncts(condition):
        if c.get("kind") == "BinaryOperator" and c["opcode"] in ("<", "<=", ">", ">=", "!="):
            low, high = bare(c["inner"][0]), c["inner"][1]
            if low.get("kind") == "DeclRefExpr" and low["referencedDecl"]["id"] == variable:
                if constant(source, high) is not None:
                    return True
    return False


def flattened_into(loop):
    """The innermost loop of a perfect nest that says LOOP_FLATTEN, or None."""
    body = loop_body(loop)
    while body.get("kind") in LOOPS + ("CompoundStmt",):
        if body["kind"] == "CompoundStmt":
            if pragma_of(body, "LOOP_FLATTEN"):
                return body
            if len(body.get("inner", [])) != 1:
                return None
            body = body["inner"][0]
        else:
            body = loop_body(body)
    return None


def check_loops(source, function):
    for loop in walk(function):
        if loop.get("kind") not in LOOPS:
            continue
        body = loop_body(loop)
        nest = flattened_into(loop)
        declared = any(b and pragma_of(b, "LOOP_TRIPCOUNT") for b in (body, nest))
        if loop["kind"] == "ForStmt" and not for_parts(loop)[1]:
            source.report(loop["B"], "loop", "has no condition, so it need not end")
        elif not constant_bounds(source, loop) and not declared:
            source.report(loop["B"], "loop", "has no constant bounds: #pragma HLS LOOP_TRIPCOUNT max = ... declares its most turns")
        unroll = pragma_of(body, "UNROLL")
        if unroll and "factor" not in unroll.options and not constant_bounds(source, loop):
            source.report(loop["B"], "loop", "is to be unrolled, but has no constant bounds")


def check_recursion(source, functions):
    calls = {f["name"]: {callee(n) for n in walk(f) if n.get("kind") == "CallExpr"} for f in functions}
    for f in functions:
        seen, todo = set(), [f["name"]]
        while todo:
            for name in calls.get(todo.pop(), ()):
                if name and name not in seen:
                    seen.add(name)
                    todo.append(name)
        if f["name"] in seen:
            source.report(f["B"], "recursion", f"{f['name']} calls itself, directly or not")


def check_calls(source, function):
    for call in walk(function):
        if call.get("kind") != "CallExpr":
            continue
        name = callee(call)
        if name is None:
            source.report(call["B"], "pointer", "calls through a pointer to a function")
        elif name in ALLOCATION:
            source.report(call["B"], "allocation", f"{name}: a kernel has only the arrays it declares")
        elif name not in source.functions and name not in LIBRARY:
            source.report(call["B"], "library", f"{name} is neither in the sources nor one of {', '.join(sorted(LIBRARY))}")


def is_float(node):
    return node.get("type", {}).get("qualType", "").removeprefix("const ") in FLOATS


def is_double(node):
    return node.get("type", {}).get("qualType", "").removeprefix("const ") in ("double", "long double")


def check_arithmetic(source, function):
    for node in walk(function):
        kind, operator = node.get("kind"), node.get("opcode")
        if kind in ("BinaryOperator", "CompoundAssignOperator") and operator in ("+", "-", "+=", "-=") and is_float(node):
            operands = node["inner"] if kind == "BinaryOperator" else node["inner"][1:]
            if any(o.get("kind") == "BinaryOperator" and o["opcode"] == "*" for o in map(bare, operands)):
                source.report(node["B"], "contraction", "a product is added in one expression, which a compiler may fuse: "
                              "give it a variable of its own")
        if is_double(node) and not is_double(node["P"]):
            source.report(node["B"], "double", "arithmetic in double: a constant needs its f, a library function too")


def type_of(node):
    t = node.get("type", {})
    return t.get("desugaredQualType", t.get("qualType", ""))


def check_declarations(source, function):
    for node in walk(function):
        kind = node.get("kind")
        if kind in ("VarDecl", "ParmVarDecl"):
            declared = type_of(node)
            if re.search(r"\[[^\]\d][^\]]*\]", declared):
                source.report(node["B"], "array", f"{node.get('name')}: its size is not constant")
            if "(*)(" in declared:
                source.report(node["B"], "pointer", f"{node.get('name')}: pointer to a function")
            elif re.search(r"\*[^()]*(\*|\[\d)", declared):
                source.report(node["B"], "pointer", f"{node.get('name')}: pointer to a pointer, or array of pointers")
            if node.get("storageClass") == "static" and not is_const(declared):
                source.report(node["B"], "state", f"{node['name']}: keeps a value from one launch to the next")
        elif kind == "DeclRefExpr" and node["referencedDecl"]["kind"] == "VarDecl":
            decl = source.decls.get(node["referencedDecl"]["id"], {})
            if (decl.get("P") or {}).get("kind") == "TranslationUnitDecl" and not is_const(type_of(decl)):
                source.report(node["B"], "state", f"{decl['name']}: a global variable")
        elif kind == "CStyleCastExpr" and node.get("castKind") in ("BitCast", "IntegralToPointer", "PointerToIntegral"):
            source.report(node["B"], "pointer", "a pointer changes its type")
        elif kind in ("GotoStmt", "IndirectGotoStmt", "GCCAsmStmt", "VAArgExpr", "StmtExpr"):
            source.report(node["B"], "construct", f"{kind} has no hardware")


def is_const(declared):
    return declared.startswith("const ") or declared.endswith("const")


def check_includes(source):
    for file, line, included in source.includes:
        name = included.rsplit("/", 1)[-1]
        inside = not included.startswith(("/", "<")) and (included.startswith("hls/") or included.rsplit("/", 1)[0] in source.path)
        if file.startswith(("/", "<")) or included.startswith("<") or inside or (included.startswith("/") and name in HEADERS):
            continue
        source.report_line(file, line, "include", f"{included} is neither of hls/ nor one of {', '.join(sorted(HEADERS))}")


def check_variables(source, function):
    """Names in pragmas are those of variables that can be seen there."""
    for block in walk(function):
        for p in block.get("pragmas", []):
            for option in ("variable", "port"):
                name = (p.options.get(option) or "").split(".")[0].split("->")[0]
                if name and not (option == "port" and name == "return") and not visible(function, block, name):
                    source.report(p.offset, "pragma", f"{p.name}: no {option} is called {name} here")


def visible(function, block, name):
    if any(c.get("kind") == "ParmVarDecl" and c.get("name") == name for c in function["inner"]):
        return True
    while block and block is not function:
        for child in block.get("inner", []):
            if child and child.get("kind") == "DeclStmt" and any(d.get("name") == name for d in child["inner"]):
                return True
        block = block["P"]
    return False


def check_structs(source, function):
    """HLS takes an array of structs apart into an array for each member, unless told that an element is one word."""
    for decl in walk(function):
        if decl.get("kind") != "VarDecl" or not re.match(r"(const )?(struct \w+|\w+) ?\[", type_of(decl)):
            continue
        element = re.sub(r"^const |^struct |\s*\[.*", "", type_of(decl))
        kept = any(p.name == "AGGREGATE" and p.options.get("variable") == decl["name"]
                   for block in walk(function) for p in block.get("pragmas", []))
        if element in source.structs and not kept:
            source.report(decl["B"], "struct", f"{decl['name']}: an array of {element} without #pragma HLS AGGREGATE becomes an "
                          "array for each member")


def check_interfaces(source, kernel):
    body = body_of(kernel)
    pragmas = [p for p in body.get("pragmas", []) if p.name == "INTERFACE"]
    of_port = {}
    for p in pragmas:
        if p.options.get("port") in of_port:
            source.report(p.offset, "interface", f"a second INTERFACE of {p.options['port']}")
        of_port[p.options.get("port")] = p
    for parameter in kernel["inner"]:
        if parameter.get("kind") != "ParmVarDecl":
            continue
        name, p = parameter.get("name"), of_port.get(parameter.get("name"))
        if "*" in type_of(parameter):
            if not p or "m_axi" not in p.options:
                source.report(parameter["B"], "interface", f"{name}: a pointer needs #pragma HLS INTERFACE m_axi")
            elif not p.options.get("bundle"):
                source.report(p.offset, "interface", f"{name}: m_axi without a bundle")
            elif p.options.get("offset") != "slave":
                source.report(p.offset, "interface", f"{name}: m_axi without offset = slave")
        elif p and "m_axi" in p.options:
            source.report(p.offset, "interface", f"{name}: m_axi, but it is no pointer")
        elif "struct" in type_of(parameter) or "union" in type_of(parameter):
            source.report(parameter["B"], "interface", f"{name}: a scalar argument is a number of at most 64 bits")
    if "return" not in of_port or "s_axilite" not in of_port["return"].options:
        source.report(kernel["B"], "interface", f"{kernel['name']}: #pragma HLS INTERFACE s_axilite port = return is missing")
    if not kernel["type"]["qualType"].startswith("void "):
        source.report(kernel["B"], "interface", f"{kernel['name']}: a kernel returns nothing")


def check_dataflow(source, function):
    """Processes of a DATAFLOW region: declarations and calls only; what is between them has one writer and then one reader."""
    for block in walk(function):
        if not pragma_of(block, "DATAFLOW"):
            continue
        arrays, uses = {}, {}
        for statement in block["inner"]:
            kind = statement.get("kind")
            if kind == "DeclStmt":
                arrays.update({d["id"]: d for d in statement["inner"] if d.get("kind") == "VarDecl" and "[" in type_of(d)})
            elif kind == "CallExpr":
                for ref in walk(statement):
                    if ref.get("kind") == "DeclRefExpr":
                        uses.setdefault(ref["referencedDecl"]["id"], set()).add(statement["id"])
            elif kind not in ("NullStmt", "CStyleCastExpr"):
                source.report(statement["B"], "dataflow", "a DATAFLOW region holds declarations and calls only")
        for key, array in arrays.items():
            if len(uses.get(key, ())) != 2:
                source.report(array["B"], "dataflow", f"{array['name']}: used by {len(uses.get(key, ()))} processes, not by a "
                              "writer and a reader")


def check(source):
    functions = reached(source)
    check_includes(source)
    check_recursion(source, functions)
    for kernel in kernels(source):
        check_interfaces(source, kernel)
    for function in functions:
        check_loops(source, function)
        check_calls(source, function)
        check_arithmetic(source, function)
        check_declarations(source, function)
        check_variables(source, function)
        check_structs(source, function)
        check_dataflow(source, function)
