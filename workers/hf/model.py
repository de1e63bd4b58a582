"""A model of transformers: loaded once, evaluated with its own cache, logits of every position."""
import inspect

import names
from wire import Refusal

# What forward and its result call the cache: transformers 5.24 on, before, and recurrent models.
_CACHE_NAMES = ("cache", "past_key_values", "cache_params")


class Model:
    def __init__(self, checkpoint, settings, n_threads):
        import torch
        self._torch = torch
        torch.set_num_threads(max(1, n_threads))
        torch.set_grad_enabled(False)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        if settings["device"] == "cuda" and not torch.cuda.is_available():
            raise Refusal("no_device", "torch finds no CUDA device",
                          "--backend-opt device=cuda",
                          "use device=cpu, or let it write to the device: --sandbox-write /dev/nvidia0"
                          " (and nvidiactl, nvidia-uvm)", "bad_input")
        self._device = torch.device(settings["device"])
        self._model = self._load(checkpoint, settings)
        config = self._model.config.get_text_config()
        self.n_vocab = config.vocab_size
        self.n_ctx_train = getattr(config, "max_position_embeddings", None) or 0
        self.attn = getattr(self._model.config, "_attn_implementation", None) or ""
        known = inspect.signature(self._model.forward).parameters
        self._cache_name = next((name for name in _CACHE_NAMES if name in known), None)
        self._capture = None
        self._takes_positions = "position_ids" in known
        if self._cache_name is None:
            raise Refusal("no_cache", f"{type(self._model).__name__} has no cache to decode with",
                          checkpoint.path, "use a class of transformers itself")
        self.reset()

    def _load(self, checkpoint, settings):
        from transformers import AutoModelForCausalLM
        torch = self._torch
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16,
                 "f64": torch.float64}[settings["dtype"]]
        model, found = AutoModelForCausalLM.from_pretrained(
            **checkpoint.arguments(), dtype=dtype, attn_implementation=settings["attn"],
            use_safetensors=True if checkpoint.is_folder else None, output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are told, and refused below
            trust_remote_code=settings["trust_remote_code"] == "on")
        _check_weights(found, checkpoint.path)
        if hasattr(model, "set_experts_implementation"):
            model.set_experts_implementation("eager")  # expert by expert, in any dtype
        return model.eval().to(self._device)

    @property
    def device(self):
        if self._device.type == "cuda":
            return "CUDA: " + self._torch.cuda.get_device_name(self._device)
        return "CPU"

    def reset(self):
        self._cache, self.n_past, self.logits = None, 0, None

    def parameters(self):
        return names.parameters(self._model), self._model.config.get_text_config().to_dict()

    def name_weights(self, told):
        """`told`: which weights of a GGUF its parameters hold (docs/protocol.md, `names`)."""
        from capture import Capture
        self._capture = Capture(self._model, names.Names(self._model, told))

    def evaluate_shown(self, ids):
        """As `evaluate`, and every operation is shown on the way."""
        if self._capture is None:
            self.name_weights([])
        parts = []
        for at_once in self._cut(ids):
            with self._capture.running(self.n_past):
                parts.append(self._forward(at_once))
        self._keep(parts)

    def evaluate(self, ids):
        self._keep([self._forward(part) for part in self._cut(ids)])

    def _cut(self, ids):
        # A state that is no list of keys and values goes on by one position at a time.
        at_once = len(ids) if self.n_past == 0 or self._keeps_every_position() else 1
        return [ids[i:i + at_once] for i in range(0, len(ids), at_once)]

    def _keep(self, parts):
        self.logits = parts[0] if len(parts) == 1 else self._torch.cat(parts)

    def _forward(self, ids):
        torch = self._torch
        given = {"input_ids": torch.tensor([ids], device=self._device), "use_cache": True}
        if self._takes_positions:  # left alone, hybrid models count those of a layer without any
            given["position_ids"] = torch.arange(
                self.n_past, self.n_past + len(ids), device=self._device)[None]
        if self._cache is not None:
            given[self._cache_name] = self._cache
        out = self._model(**given)
        self._cache = next((out[name] for name in _CACHE_NAMES if out.get(name) is not None), None)
        self.n_past += len(ids)
        rows = out.logits[0].to("cpu", torch.float32).contiguous()
        if rows.shape != (len(ids), self.n_vocab):
            raise Refusal("other_logits", f"logits of shape {tuple(rows.shape)}, not "
                          f"{(len(ids), self.n_vocab)}", "eval",
                          "this class of transformers is no language model of one vocabulary")
        return rows

    def _keeps_every_position(self):
        types = getattr(self._model.config.get_text_config(), "layer_types", None) or []
        return all(kind.endswith("attention") and kind != "linear_attention" for kind in types)


def _check_weights(found, where):
    """A weight that the files lack would be made up at random."""
    missing = sorted(found.get("missing_keys") or [])
    wrong = sorted(f"{name} ({list(has)}, not {list(wants)})"
                   for name, has, wants in found.get("mismatched_keys") or [])
    for kind, names in (("lacks", missing), ("has other shapes of", wrong)):
        if names:
            raise Refusal("missing_weights", f"the checkpoint {kind} {len(names)} weights of its "
                          f"configuration: {', '.join(names[:3])}", where,
                          "use the whole checkpoint, of a version that this transformers knows")
    unexpected = sorted(found.get("unexpected_keys") or [])
    if unexpected:
        print(f"warning: {len(unexpected)} weights of the checkpoint are not used: "
              + ", ".join(unexpected[:5]), flush=True)
