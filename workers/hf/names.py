"""Which weights of a GGUF file each parameter of the model holds, as the program told it.

A weight's rows lie somewhere among the parameter's, in another order where the converter reordered
them: `parts` of docs/protocol.md say where. Nothing is known here about architectures.
"""
import bisect

from wire import Refusal


class Weight:
    """A weight of the file: where its rows lie in parameters."""

    def __init__(self, told):
        self.name, self.tap = told["name"], told.get("tap") or ""
        self.layer = told.get("layer", -1)
        self.n_experts = told.get("experts", 1)
        self.parts = told.get("parts", [])

    def rows_in(self, parameter, shape, by_columns):
        """For each of its rows the output of the parameter's product, or None where it is no
        order of whole rows. `by_columns`: the parameter is [in, out]."""
        rows = []
        n_in, n_out = (shape[-2], shape[-1]) if by_columns else (shape[-1], shape[-2])
        for part in self.parts:
            if part["of"] != parameter or part.get("factor", 1) != 1 or part["cols"] != n_in:
                return None
            if part["col_stride"] != (n_out if by_columns else 1):
                return None
            for begin in _begins(part):
                block, within = divmod(begin, n_in * n_out)
                row, rest = (within, 0) if by_columns else divmod(within, n_in)
                if rest or row >= n_out:
                    return None
                rows.append(block * n_out + row)
        return rows

    def elements_in(self, parameter):
        """The same of a vector: which of the parameter's elements each of its own is."""
        elements = []
        for part in self.parts:
            if part["of"] != parameter or part.get("factor", 1) != 1:
                return None
            for begin in _begins(part):
                elements += range(begin, begin + part["cols"] * part["col_stride"],
                                  part["col_stride"])
        return elements


def _begins(part):
    begins = [part["offset"]]
    for count, stride in part["rows"]:
        begins = [begin + i * stride for begin in begins for i in range(count)]
    return begins


def parameters(model):
    """Names, as checkpoints have them, and shapes of all that the model holds."""
    return {name: list(values.shape) for name, values in _tensors(model) if values.dim()}


def _tensors(model):
    yield from model.named_parameters()
    yield from model.named_buffers()


class Names:
    def __init__(self, model, told):
        self._model = model
        self._weights = [Weight(one) for one in told]
        self.known = {weight.name: weight for weight in self._weights}
        self._of = {}  # parameter -> weights that are made of it
        for weight in self._weights:
            for name in {part["of"] for part in weight.parts}:
                self._of.setdefault(name, []).append(weight)
        held = sorted((values.data_ptr(), name, values) for name, values in _tensors(model)
                      if name in self._of and values.numel())
        self._begins = [begin for begin, _, _ in held]
        self._held = held
        self._orders = {}

    def parameter_of(self, tensor):
        """The parameter that a tensor is, or is a part of, and where: (name, values, offset)."""
        at = bisect.bisect_right(self._begins, tensor.data_ptr()) - 1
        if at < 0:
            return None
        begin, name, values = self._held[at]
        offset = (tensor.data_ptr() - begin) // values.element_size()
        return (name, values, offset) if offset < values.numel() else None

    def weights_of(self, parameter):
        return self._of.get(parameter, [])

    def order(self, weight, parameter, values, by_columns=False):
        """rows_in or elements_in, kept."""
        key = (weight.name, parameter, by_columns)
        if key not in self._orders:
            self._orders[key] = (weight.elements_in(parameter) if values.dim() == 1 else
                                 weight.rows_in(parameter, tuple(values.shape), by_columns))
        return self._orders[key]


def check(told):
    """Refuses what is no table of names."""
    whole = {"name": str, "parts": list}
    for one in told if isinstance(told, list) else [None]:
        if not isinstance(one, dict) or any(not isinstance(one.get(key), kind)
                                            for key, kind in whole.items()):
            raise Refusal("worker_protocol", "a table of names that makes no sense", "names",
                          "see docs/protocol.md")
