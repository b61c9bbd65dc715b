#!/usr/bin/env python3
"""generate.py MODEL TEXT: continues a text with libfathom through ctypes, without any other package.

Only the first fields of the structures are declared here: the library is told how many bytes we know, and what we do not know counts as zero."""
import ctypes
import os
import sys


class Options(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ("model", "backend", "board", "xclbin", "numerics", "cache")]


class Sampling(ctypes.Structure):
    _fields_ = [("temperature", ctypes.c_float), ("top_k", ctypes.c_int32), ("top_p", ctypes.c_float), ("min_p", ctypes.c_float),
                ("repetition_penalty", ctypes.c_float), ("presence_penalty", ctypes.c_float), ("frequency_penalty", ctypes.c_float),
                ("seed", ctypes.c_uint64), ("max_tokens", ctypes.c_int32)]


class Token(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("text", ctypes.POINTER(ctypes.c_char)), ("bytes", ctypes.c_size_t)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("text", ctypes.c_char * 512)]


lib = ctypes.CDLL(os.environ.get("LIBFATHOM", "libfathom.so.1"))
error = Error()


def call(function, *arguments):
    if getattr(lib, function)(*arguments, ctypes.byref(error)):
        sys.exit(error.text.decode())


def sized(structure):
    return ctypes.byref(structure), ctypes.c_size_t(ctypes.sizeof(structure))


def answer(model, text, most):
    """The continuation of a text, piece by piece (bytes)."""
    engine, session = ctypes.c_void_p(), ctypes.c_void_p()
    ids, n = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
    busy, token = ctypes.c_int(1), Token()
    call("fathom_engine_open_sized", ctypes.byref(engine), *sized(Options(model=model.encode())))
    try:
        data = text.encode()
        call("fathom_encode", engine, data, ctypes.c_size_t(len(data)), ctypes.c_bool(True), ctypes.byref(ids), ctypes.byref(n))
        call("fathom_session_open", engine, ctypes.c_uint64(0), ctypes.byref(session))
        call("fathom_session_prompt_sized", session, ids, n, *sized(Sampling(max_tokens=most)))
        lib.fathom_free(ids)
        lib.fathom_session_next_sized.restype = ctypes.c_bool
        while busy.value:
            call("fathom_engine_step", engine, ctypes.byref(busy))
            while lib.fathom_session_next_sized(session, *sized(token)):
                yield ctypes.string_at(token.text, token.bytes)
        lib.fathom_session_rest.restype = ctypes.c_char_p
        yield lib.fathom_session_rest(session)
    finally:
        lib.fathom_engine_close(engine)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: generate.py MODEL TEXT")
    for piece in answer(sys.argv[1], sys.argv[2], 24):
        sys.stdout.buffer.write(piece)
        sys.stdout.flush()
    print()
