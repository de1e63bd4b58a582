#!/usr/bin/env python3
"""The smallest worker: an engine of one's own behind docs/protocol.md, Python's library alone.

Its "model" is a toy: the row of an id prefers the next id. Put yours into `load` and `evaluate`.
    crossval setup toy --program python3 docs/examples/worker.py
    crossval per-token --model m.gguf --tokens 1,2,3 --backend toy
"""
import array
import json
import os
import struct
import sys

VERSION = 1


class Engine:
    def load(self, path, n_threads, settings):
        if settings:
            raise ValueError("this engine has no settings")
        self.n_vocab = n_vocab_of(path)
        self.rows = []

    def evaluate(self, ids):
        self.rows = []
        for token in ids:
            row = array.array("f", bytes(4 * self.n_vocab))
            row[(token + 1) % self.n_vocab] = 1.0
            self.rows.append(row)


def n_vocab_of(path):
    """Rows of token_embd.weight, from the tensor list of a GGUF file."""
    with open(path, "rb") as file:
        read = lambda form: struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))
        text = lambda: file.read(read("Q")[0]).decode()
        sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

        def skip(kind):
            if kind == 8:
                text()
            elif kind == 9:
                inner, n = read("IQ")
                for _ in range(n):
                    skip(inner)
            else:
                file.read(sizes[kind])

        _, _, n_tensors, n_keys = read("4sIQQ")
        for _ in range(n_keys):
            text()
            skip(read("I")[0])
        for _ in range(n_tensors):
            name, shape = text(), read("Q" * read("I")[0])
            read("IQ")
            if name == "token_embd.weight":
                return shape[1]
    raise ValueError("the model has no token_embd.weight")


def answer(engine, request, payload):
    op = request["op"]
    if op == "hello":
        return {"protocol": VERSION, "engine": "toy", "version": "1", "tokenizes": False,
                "pieces": False}, b""
    if op == "load":
        engine.load(request["model"], request["n_threads"], request["settings"])
    if op in ("load", "info", "reset"):
        return {"n_vocab": engine.n_vocab, "device": "CPU", "settings": {}}, b""
    if op == "eval":
        ids = array.array("i", payload)
        engine.evaluate(ids)
        return {"n_rows": len(ids)}, b""
    if op == "logits":
        first, n = request["first_row"], request["n_rows"]
        return {}, b"".join(row.tobytes() for row in engine.rows[first:first + n])
    raise ValueError(f"no such message: {op}")


def read_exactly(n):
    data = b""
    while len(data) < n:
        part = os.read(3, n - len(data))
        if not part:
            sys.exit(0)
        data += part
    return data


def main():
    engine = Engine()
    while True:
        _, n_json, n_payload = struct.unpack("<4sIQ", read_exactly(16))
        request = json.loads(read_exactly(n_json))
        payload = read_exactly(n_payload)
        if request["op"] == "quit":
            return
        try:
            header, data = answer(engine, request, payload)
            header["ok"] = True
        except Exception as error:
            data = b""
            header = {"ok": False, "error": {"status": "bad_input", "code": "toy", "what": str(error),
                                             "where": request["op"], "fix": "see docs/protocol.md"}}
        text = json.dumps(header).encode()
        frame = b"XVW" + bytes([VERSION]) + struct.pack("<IQ", len(text), len(data)) + text + data
        while frame:
            frame = frame[os.write(4, frame):]


if __name__ == "__main__":
    main()
