"""convert.py LLAMA_CPP FOLDER...: FOLDER.gguf by llama.cpp's own convert_hf_to_gguf.py, in F32.

Two things it cannot know are told to it: the name of the pre-tokenizer of a vocabulary made here,
and keys of config.json that transformers drops when it reads older ones.
"""
import json
import os
import pathlib
import runpy
import sys
import traceback

os.environ["HF_HUB_OFFLINE"] = "1"


def prepare(source):
    sys.path[:0] = [str(source), str(source / "gguf-py")]
    from conversion import base
    base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
    read = base.ModelBase.load_hparams

    def with_all_keys(folder, *arguments, **named):
        written = json.loads((pathlib.Path(folder) / "config.json").read_text())
        return {**written, **read(folder, *arguments, **named)}

    base.ModelBase.load_hparams = staticmethod(with_all_keys)


def convert(source, folder):
    sys.argv = ["convert_hf_to_gguf.py", folder, "--outtype", "f32", "--outfile", folder + ".gguf"]
    if json.loads((pathlib.Path(folder) / "config.json").read_text())["model_type"] == "qwen3_next":
        sys.argv.append("--no-mtp")
    runpy.run_path(str(source / "convert_hf_to_gguf.py"), run_name="__main__")


def main():
    source, folders = pathlib.Path(sys.argv[1]), sys.argv[2:]
    prepare(source)
    for folder in folders:
        if os.path.exists(folder + ".gguf"):
            continue
        try:
            convert(source, folder)
        except (Exception, SystemExit):
            traceback.print_exc()


if __name__ == "__main__":
    main()
