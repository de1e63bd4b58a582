"""Calls of torch as operations of ggml: products with weights, look-ups, sums, gates.

A mode of torch sees each call that the model's Python makes. Only what reads a weight of the file,
or what was shown before, is shown; modules that are one operation (norms, rotations, attention)
are told by their own files, and are silent within.
"""
import torch
from torch.overrides import TorchFunctionMode

from graph import ordered
from shower import Shown, nothing, weight

_UNARY = {"silu": "SILU", "relu": "RELU", "tanh": "TANH", "sigmoid": "SIGMOID"}


class Watch(TorchFunctionMode):
    def __init__(self, graph, names):
        super().__init__()
        self.graph, self.names = graph, names
        self.quiet = 0  # within an operation that is shown as one

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        handler = None if self.quiet else _HANDLERS.get(getattr(function, "__name__", ""))
        if handler is not None and isinstance(out, (torch.Tensor, tuple)):
            self.quiet += 1
            try:
                handler(self, out, *args, **kwargs)
            finally:
                self.quiet -= 1
        return out

    def linear(self, out, x, matrix, bias=None, by_columns=False):
        """y = x W + b, for each weight of the file that W holds."""
        found = self.names.parameter_of(matrix)
        if found is None or not out.is_floating_point():
            return
        parameter, values, offset = found
        for one in self._of_product(parameter):
            order = self.names.order(one, parameter, values, by_columns)
            if order is None:
                continue
            if values.dim() == 2 and offset == 0 and matrix.numel() == values.numel():
                self._product(one, out, x, order, bias)
            elif values.dim() == 3 and matrix.dim() == 2:
                self._expert(one, out, x, order, bias, offset // matrix.numel(), matrix, by_columns)

    def _of_product(self, parameter):
        """The weights to tell a product of: of a matrix that is also the embedding, the output."""
        found = self.names.weights_of(parameter)
        output = [one for one in found if one.name == "output.weight"]
        return output or found

    def _product(self, one, out, x, order, bias):
        if one.n_experts > 1:
            return self._heads(one, out, x, order)
        n_in, columns = x.shape[-1], _plain(order, out.shape[-1])
        sources = [weight(one.name, (n_in, len(order))), self.graph.source(x)]
        if bias is not None:
            sources.append(self._bias(one, bias, order))
        tap = "result_output" if one.name == "token_embd.weight" else one.tap
        part, order = _part(out, columns)
        self.graph.show(tap, "MUL_MAT", part, sources, order=order, layer=one.layer)

    def _heads(self, one, out, x, order):
        """A file's matrix for each head, of one that has them below one another."""
        n_heads, n_in = one.n_experts, x.shape[-1]
        rows = x.reshape(-1, n_in)
        per_head = out.reshape(len(rows), -1)[:, order].reshape(len(rows), n_heads, -1)
        sources = [weight(one.name, (n_in, len(order) // n_heads, n_heads)),
                   Shown(rows[None].expand(n_heads, *rows.shape), "kv_cmpr")]
        self.graph.show(one.tap, "MUL_MAT", out, sources, layer=one.layer,
                        seen=per_head.transpose(0, 1))

    def _bias(self, one, bias, order):
        name = one.name.removesuffix(".weight") + ".bias"
        if name in self.names.known:
            return weight(name, (len(order),))
        # The file has none. Zeros need none.
        found = bias.detach()[order] if bias.any() else None
        return Shown(found, name) if found is not None else nothing()

    def _expert(self, one, out, x, order, bias, expert, matrix, by_columns):
        """One expert's product, for the ids that chose it: MUL_MAT_ID where all chose the same."""
        n_out = matrix.shape[-1] if by_columns else matrix.shape[-2]
        own = [row - expert * n_out for row in order if row // n_out == expert]
        x, out = x.reshape(-1, x.shape[-1]), out.reshape(-1, out.shape[-1])
        if not own or not len(x):
            return
        chosen = torch.full((len(x), 1), expert, dtype=torch.int32)
        part, turned = _part(out, _plain(own, out.shape[-1]))
        sources = [weight(one.name, (x.shape[-1], len(own), one.n_experts)),
                   self.graph.source(x[:, None]), Shown(chosen, "ffn_moe_topk")]
        seen = ordered(part, turned)[:, None]
        if bias is None:
            self.graph.show("", "MUL_MAT_ID", part, sources, layer=one.layer, seen=seen,
                            order=None)

    def addmm(self, out, bias, x, matrix, **_):
        self.linear(out, x, matrix, bias, by_columns=True)

    def matmul(self, out, a, b, *_, **__):
        """a b, where b is a matrix of the model, as it is stored or turned over."""
        if b.dim() == 2 and b.stride(0) == 1 and b.stride(1) == b.shape[0]:
            self.linear(out, a, b.T)
        elif b.dim() == 2:
            self.linear(out, a, b, by_columns=True)

    def embedding(self, out, ids, matrix, *_, **__):
        found = self.names.parameter_of(matrix)
        if found is None:
            return
        parameter, values, _ = found
        for one in self.names.weights_of(parameter):
            if one.name == "output.weight":
                continue
            rows = self.names.order(one, parameter, values)
            if rows is None or rows[:values.shape[0]] != list(range(len(rows[:values.shape[0]]))):
                continue
            self.graph.show(one.tap, "GET_ROWS", out, [
                weight(one.name, (values.shape[-1], len(rows))),
                Shown(ids.reshape(-1).to(torch.int32), "inp_tokens")], layer=one.layer)

    def unary(self, op, out, x):
        if self.graph.knows(x) and x.shape == out.shape:
            self.graph.show(self.graph.name_of_activation(op, x), op, out, [self.graph.source(x)])

    def gelu(self, out, x, approximate="none"):
        self.unary("GELU" if approximate == "tanh" else "GELU_ERF", out, x)

    def combine(self, op, out, a, b, *_, **__):
        """a + b, a * b, of tensors or of one and a number."""
        if not out.is_floating_point():
            return
        if not isinstance(a, torch.Tensor) or (isinstance(b, torch.Tensor) and a.dim() < b.dim()):
            a, b = b, a
        if isinstance(b, torch.Tensor) and b.numel() == 1 and out.numel() > 1:
            b = b.item()
        if isinstance(b, torch.Tensor):
            if a.shape != out.shape or not (self.graph.knows(a) or self.graph.knows(b)):
                return
            name = (self.graph.name_of_sum if op == "ADD" else self.graph.name_of_product)(a, b)
            self.graph.show(name, op, out, [self.graph.source(a), self._second(a, b)])
        elif self.graph.knows(a) and a.shape == out.shape:
            params = {0: 1.0, 1: float(b)} if op == "ADD" else {0: float(b)}
            name = "" if op == "ADD" else self.graph.name_of_scaled(a)
            self.graph.show(name, "SCALE", out, [self.graph.source(a)], params)

    def _second(self, a, b):
        """As ggml repeats it: with as many dimensions. Or a weight of the file."""
        found = self.names.parameter_of(b)
        for one in self.names.weights_of(found[0]) if found and b.numel() == b.shape[-1] else ():
            if found[1].numel() == b.numel():
                return weight(one.name, (b.numel(),))
        return self.graph.source(b if b.dim() == a.dim() else b.reshape(
            (1,) * (a.dim() - b.dim()) + tuple(b.shape)))

    def softmax(self, out, x, dim=None, *_, **__):
        if self.graph.knows(x) and dim in (-1, x.dim() - 1) and out.dtype == x.dtype:
            name = "ffn_moe_probs" if self.graph.stem(x) == "ffn_moe_logits" else ""
            self.graph.show(name, "SOFT_MAX", out, [self.graph.source(x)], {0: 1.0})

    def topk(self, out, scores, k, dim=-1, *_, **__):
        """Which experts a token has: the best of the last dimension."""
        if self.graph.knows(scores) and dim in (-1, scores.dim() - 1) and scores.dim() == 2:
            self.graph.show("ffn_moe_topk", "TOP_K", out[1], [self.graph.source(scores)],
                            seen=out[1].to(torch.int32))

    def divide(self, out, a, b, *_, **__):
        if isinstance(b, torch.Tensor) and b.numel() == 1:
            b = b.item()
        if isinstance(b, (int, float)) and isinstance(a, torch.Tensor) and self.graph.knows(a):
            divisor = torch.full((1,), float(b), dtype=out.dtype)
            self.graph.show(self.graph.name_of_scaled(a), "DIV", out,
                            [self.graph.source(a), Shown(divisor)])


def _plain(order, width):
    """None for all columns in their order, a slice for some that follow each other."""
    if order == list(range(order[0], order[0] + len(order))):
        return None if len(order) == width else slice(order[0], order[0] + len(order))
    return order


def _part(out, columns):
    """Of a result: the part in memory, and the order that is left to be told."""
    return (out[..., columns], None) if isinstance(columns, slice) else (out, columns)


def _unary(op):
    return lambda watch, out, x, *_, **__: watch.unary(op, out, x)


def _combine(op):
    return lambda watch, out, a, b, *_, **__: watch.combine(op, out, a, b)


_HANDLERS = {
    "linear": Watch.linear, "addmm": Watch.addmm, "embedding": Watch.embedding,
    "gelu": Watch.gelu, "topk": Watch.topk, "softmax": Watch.softmax,
    **{name: Watch.matmul for name in ("matmul", "__matmul__", "mm")},
    **{name: _unary(op) for name, op in _UNARY.items()},
    **{name: _combine("ADD") for name in ("add", "__add__", "__radd__")},
    **{name: _combine("MUL") for name in ("mul", "multiply", "__mul__", "__rmul__")},
    **{name: Watch.divide for name in ("div", "__truediv__", "true_divide")},
}
