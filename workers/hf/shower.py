"""Tensors on their way to the program: names, where each was computed, and the frames.

While a tensor is shown the model waits: the program asks for its bytes and says when to go on.
"""
import array
import sys

import wire
from wire import Refusal

_TYPES = {"torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16",
          "torch.int32": "I32"}


class Shown:
    """A tensor as the program is to see it: values in the order of the file, rows last to first."""

    def __init__(self, values, name="", weight=False, of=None, ne=None):
        self.values, self.name, self.weight, self.of = values, name, weight, of
        self.ne = list(ne) if ne is not None else _ne(values)

    def description(self):
        told = {"name": self.name, "type": "", "ne": self.ne, "bytes": 0}
        if self.weight:
            return {**told, "weight": True}
        if self.values is None:
            return told
        self.values = self.values.detach().to("cpu").contiguous()
        told["type"] = _TYPES[str(self.values.dtype)]
        told["bytes"] = self.values.numel() * self.values.element_size()
        if self.of:
            told["of"] = {"name": self.of[0], "occurrence": self.of[1], "whole": self.of[2]}
        return told


def nothing():
    return Shown(None, ne=(0, 1, 1, 1))


def weight(name, ne):
    return Shown(None, name, weight=True, ne=(*ne, *(1,) * (4 - len(ne))))


def _ne(values):
    """A shape as ggml has it. The batch of one in front is none of it."""
    shape = list(values.shape)
    while len(shape) > 4 or (len(shape) > 2 and shape[0] == 1):
        if shape[0] != 1:
            raise ValueError(f"a tensor of {len(shape)} dimensions")
        shape = shape[1:]
    return (shape[::-1] + [1, 1, 1, 1])[:4]


class Shower:
    """Of one eval."""

    def __init__(self):
        self._seen = {}
        self._unnamed = 0
        self.n = 0

    def show(self, name, layer, op, params, out, sources):
        """Returns what the tap is called: (name, occurrence)."""
        if not name:
            name = f"node_{self._unnamed}"
            self._unnamed += 1
        occurrence = self._seen.get(name, 0)
        self._seen[name] = occurrence + 1
        self.n += 1
        out.name = name
        tensors = [out, *sources]
        wire.write_reply({"ok": True, "tap": {
            "name": name, "occurrence": occurrence, "layer": layer, "op": op,
            "params": _words(params), "tensors": [one.description() for one in tensors]}})
        self._wait(tensors)
        return name, occurrence

    def _wait(self, tensors):
        while True:
            request, _ = wire.read_request()
            op = request.get("op")
            if op == "next":
                return
            if op == "quit":
                sys.exit(0)
            at = request.get("tensor")
            if op != "tap_data" or not isinstance(at, int) or not 0 <= at < len(tensors):
                raise Refusal("worker_protocol", "a tensor waits, and something else is asked",
                              str(op), "send tap_data or next")
            self._answer(tensors[at], request.get("memory"))

    @staticmethod
    def _answer(tensor, by_memory):
        values = tensor.values
        if values is None or tensor.weight:
            wire.write_reply({"ok": True})
        elif by_memory:
            wire.write_reply({"ok": True, "memory": [[values.data_ptr(),
                                                      values.numel() * values.element_size()]]})
        else:
            wire.write_reply({"ok": True}, values.view(-1).view(_bytes()).numpy().data)


def _bytes():
    import torch
    return torch.uint8


def _words(params):
    """The parameters of an operation: floats as their bits."""
    words = array.array("i", [0] * 16)
    for at, value in params.items():
        words[at] = value if isinstance(value, int) else array.array(
            "i", array.array("f", [value]).tobytes())[0]
    return list(words)
