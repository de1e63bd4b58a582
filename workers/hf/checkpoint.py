"""Where a model lies: a checkpoint folder, or one GGUF file that transformers dequantises."""
import os

from wire import Refusal


class Checkpoint:
    def __init__(self, path):
        self.path = path
        self.is_folder = os.path.isdir(path)
        if not self.is_folder:
            # A folder with this file alone: transformers lists the folder of a GGUF and reads what
            # else it knows there, which may be another model's, and which the sandbox forbids.
            self._opened = os.open(path, os.O_RDONLY)
            self.folder, self.file = "/proc/self/fd", str(self._opened)
            return
        self.folder, self.file = path, None
        names = os.listdir(path)
        if "config.json" not in names:
            raise Refusal("no_checkpoint", "the folder has no config.json", path,
                          "name a checkpoint folder: config.json, *.safetensors, tokenizer files",
                          "bad_input")
        # Pickles are programs, and are not opened.
        if not any(name.endswith(".safetensors") for name in names):
            raise Refusal("no_safetensors", "the folder has no *.safetensors", path,
                          "convert its weights to safetensors first", "bad_input")

    def arguments(self):
        """The first arguments of every from_pretrained."""
        where = {"pretrained_model_name_or_path": self.folder, "local_files_only": True}
        if self.file:
            where["gguf_file"] = self.file
        return where
