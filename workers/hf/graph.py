"""The operations of one eval as they are shown: their results' places in memory, so that a later
operation can say what it reads."""
from shower import Shown

# What stands before a sum says which it is (llama.cpp src/models/llama.cpp).
_SUMS = {"attn_out": "ffn_inp", "attn_post_norm": "ffn_inp", "ffn_out": "l_out",
         "ffn_post_norm": "l_out", "ffn_moe_out": "l_out"}
_SUMS |= {"attn_out_scaled": "ffn_inp", "ffn_out_scaled": "l_out"}
# What is multiplied by a number, or divided by one.
_SCALED = {"inp_embd": "inp_scaled", "attn_out": "attn_out_scaled", "ffn_out": "ffn_out_scaled",
           "ffn_moe_out": "ffn_out_scaled", "result_output": "logits_scaled",
           "logits_tanh": "logits_capped"}
_GATES = {"SILU": "ffn_silu", "GELU": "ffn_gelu", "GELU_ERF": "ffn_gelu", "RELU": "ffn_relu"}


# The order of a result that was shown in another form than it has in memory.
_ELSEWHERE = object()


class _Result:
    """Where a shown result lies. Holds its tensor, so that nothing else comes to lie there."""

    def __init__(self, called, values, order, layer):
        self.called, self.values, self.order, self.layer = called, values, order, layer
        self.version, self.place = values._version, _place(values)


def _place(values):
    """The elements of a view in their order: offset, and sizes with steps, as few as can be."""
    axes = []
    for size, step in zip(values.shape, values.stride()):
        if size == 1:
            continue
        if axes and axes[-1][1] == step * size:
            axes[-1] = (axes[-1][0] * size, step)
        else:
            axes.append((size, step))
    return values.storage_offset(), tuple(axes)


def ordered(values, order):
    """The last dimension in another order (None: its own)."""
    return values if order is None else values[..., order]


class Graph:
    def __init__(self, shower):
        self._shower = shower
        self._results = {}  # by where their memory begins
        self.layer = -1

    @property
    def n(self):
        return self._shower.n

    def find(self, values):
        """The result that a tensor looks at, and whether at all of it in its order."""
        known = self._results.get(values.untyped_storage().data_ptr(), ())
        known = [one for one in known if one.version == values._version]
        place = _place(values)
        for one in reversed(known):
            if one.place == place:
                return one, True
        return (known[0], False) if known else (None, False)

    def knows(self, values):
        return self.find(values)[0] is not None

    def stem(self, values):
        """"ffn_gate" of what ffn_gate-3 made; "" = nothing that is known."""
        result, _ = self.find(values)
        return result.called[0].split("-")[0] if result else ""

    def source(self, values, order=None, name=""):
        result, whole = self.find(values)
        if result is None:
            return Shown(ordered(values, order), name)
        whole = whole and _same(result.order, order)
        return Shown(ordered(values, order), result.called[0], of=(*result.called, whole))

    def show(self, name, op, values, sources, params=None, order=None, layer=None, seen=None):
        """`values`: the result in memory; `seen`: as it is shown, where that is not `values`."""
        layer = self.layer if layer is None else layer
        if name and layer >= 0 and "-" not in name:
            name = f"{name}-{layer}"
        called = self._shower.show(name, layer, op, params or {},
                                   Shown(ordered(values if seen is None else seen, order)),
                                   sources)
        if seen is not None and seen.data_ptr() != values.data_ptr():
            order = _ELSEWHERE
        where = values.untyped_storage().data_ptr()
        kept = [one for one in self._results.get(where, ()) if one.version == values._version]
        self._results[where] = kept + [_Result(called, values, order, layer)]

    def forget_before(self, layer):
        """Results of layers that nothing reads any more."""
        for where in [where for where, found in self._results.items()
                      if all(0 <= one.layer < layer for one in found)]:
            del self._results[where]

    def name_of_sum(self, *terms):
        for values in terms:
            if name := _SUMS.get(self.stem(values)):
                return name
        return ""

    def name_of_activation(self, op, values):
        if op == "TANH" and self.stem(values) == "logits_scaled":
            return "logits_tanh"
        return _GATES.get(op, "") if self.stem(values) in ("ffn_gate", "ffn_up") else ""

    def name_of_scaled(self, values):
        return _SCALED.get(self.stem(values), "")

    def name_of_product(self, *terms):
        stems = {self.stem(values) for values in terms}
        return "ffn_gate_par" if stems & set(_GATES.values()) and "ffn_up" in stems else ""


def _same(one, other):
    if one is _ELSEWHERE or one is None or other is None:
        return one is None and other is None
    return list(one) == list(other)
