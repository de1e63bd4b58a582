#!/usr/bin/env python3
"""The smallest worker: an engine of one's own behind docs/protocol.md, Python's library alone.

Its "model" is a toy: the row of an id prefers the next id. Put yours into `load` and `evaluate`;
it shows one operation of it to `crossval trace`, which recomputes what it is shown.
    crossval setup toy --program python3 docs/examples/worker.py
    crossval per-token --model m.gguf --tokens 1,2,3 --backend toy
"""
import array
import json
import os
import struct
import sys


class Engine:
    def load(self, path):
        self.n_vocab, self.rows = n_vocab_of(path), []

    def evaluate(self, ids, show):
        chosen = [array.array("f", [id_ + 1 == i for i in range(self.n_vocab)]) for id_ in ids]
        self.rows = [array.array("f", (2 * value for value in row)) for row in chosen]
        if show:  # SCALE by 2, whose parameter is a float's bits; called as llama.cpp calls it
            two = struct.unpack("<i", struct.pack("<f", 2))[0]
            show("result_output", "SCALE", [two], self.rows, [("chosen", chosen)])


def n_vocab_of(path):
    """The longest dimension of token_embd.weight, found by its name in the GGUF file."""
    data = open(path, "rb").read(1 << 28)
    at = data.index(b"\x11\0\0\0\0\0\0\0token_embd.weight") + 8 + 17
    return max(struct.unpack_from("<2Q", data, at + 4))


def read_request():
    _, n_json, n_payload = struct.unpack("<4sIQ", read_exactly(16))
    return json.loads(read_exactly(n_json)), read_exactly(n_payload)


def read_exactly(n):
    data = b""
    while len(data) < n:
        data += os.read(3, n - len(data)) or sys.exit(0)
    return data


def write_reply(header, data=b""):
    text = json.dumps({"ok": True, **header}).encode()
    frame = b"XVW\x01" + struct.pack("<IQ", len(text), len(data)) + text + data
    while frame:
        frame = frame[os.write(4, frame):]


def show(name, op, params, rows, sources):
    """One operation, its result first; the program asks for bytes until it says `next`."""
    shown = [(name, rows), *sources]
    tensors = [{"name": called, "type": "F32", "ne": [len(rows[0]), len(rows), 1, 1],
                "bytes": 4 * len(rows) * len(rows[0])} for called, rows in shown]
    write_reply({"tap": {"name": name, "occurrence": 0, "layer": -1, "op": op, "params": params,
                         "tensors": tensors}})
    while (request := read_request()[0])["op"] == "tap_data":
        write_reply({}, b"".join(row.tobytes() for row in shown[request["tensor"]][1]))


def answer(engine, request, payload):
    op = request["op"]
    if op == "hello":
        return {"protocol": 1, "engine": "toy", "version": "1", "tokenizes": False, "pieces": False,
                "taps": "partial"}, b""
    if op == "load":
        engine.load(request["model"])
    if op in ("load", "info", "reset"):
        return {"n_vocab": engine.n_vocab, "device": "CPU", "settings": {}}, b""
    if op == "eval":
        ids = array.array("i", payload)
        engine.evaluate(ids, show if request.get("capture") else None)
        return {"n_rows": len(ids)}, b""
    if op == "logits":
        first, n = request["first_row"], request["n_rows"]
        return {}, b"".join(row.tobytes() for row in engine.rows[first:first + n])
    raise ValueError(f"no such message: {op}")


def main():
    engine = Engine()
    while (asked := read_request())[0]["op"] != "quit":
        try:
            write_reply(*answer(engine, *asked))
        except Exception as error:
            write_reply({"ok": False, "error": {
                "status": "bad_input", "code": "toy", "what": str(error), "where": asked[0]["op"],
                "fix": "see docs/protocol.md"}})


if __name__ == "__main__":
    main()
