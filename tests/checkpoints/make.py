"""make.py FOLDER [NAME...]: tiny random checkpoints of architectures.py, as transformers saves them.

Runs in the environment of `crossval setup hf`. Weights are random and of a size that makes every
part bear on the logits; the vocabularies are trained on this project's README.
"""
import json
import os
import pathlib
import sys

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1")

import torch
import transformers

from architectures import ROWS, VOCABULARY

TEXT = pathlib.Path(__file__).resolve().parents[2] / "README.md"
# llama.cpp's converter wants those of GLM by name (conversion/glm.py); the others have no use of them.
SPECIAL = ["<|user|>", "[gMASK]", "<sop>", "<|observation|>", "<|assistant|>", "<|system|>"]


def byte_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        TEXT.read_text().split("\n"),
        trainers.BpeTrainer(vocab_size=VOCABULARY - len(SPECIAL),
                            special_tokens=["<|endoftext|>", "<|pad|>"],
                            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<|endoftext|>", eos_token="<|endoftext|>",
        pad_token="<|pad|>")
    wrapped.add_special_tokens({"additional_special_tokens": SPECIAL})
    return wrapped


def save_pieces(folder):
    import sentencepiece
    with open(folder / "tokenizer.model", "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            input=str(TEXT), model_writer=file, vocab_size=VOCABULARY, model_type="bpe",
            byte_fallback=True, character_coverage=0.98, pad_id=3, hard_vocab_limit=False,
            normalization_rule_name="identity", minloglevel=2)
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>",
        "unk_token": "<unk>", "pad_token": "<pad>", "add_bos_token": True,
        "add_eos_token": False}))


def randomise(model):
    """Norms near what they are made with, matrices that keep activations of order one."""
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            if weight.dim() >= 2 and "norm" not in name and "A_log" not in name:
                weight.copy_(noise * 0.7 / weight.shape[-1] ** 0.5)
            elif name.endswith("bias") and "norm" not in name and "dt_" not in name:
                weight.copy_(0.1 * noise)
            else:
                weight.add_(0.1 * noise)
        for name, values in model.named_buffers():
            if "correction_bias" in name:  # of routers
                values.copy_(0.1 * torch.randn(values.shape, generator=source))


def make(name, folder):
    row = ROWS[name]
    configuration = getattr(transformers, row["kind"] + "Config")(**row["arguments"])
    model = transformers.AutoModelForCausalLM.from_config(
        configuration, dtype=torch.float32, attn_implementation="eager")
    randomise(model)
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **row["config"]}, indent=1))
    if row["tokenizer"] == "pieces":
        save_pieces(folder)
    else:
        byte_tokenizer().save_pretrained(folder)


def main():
    out = pathlib.Path(sys.argv[1])
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in sys.argv[2:] or ROWS:
        if not (out / name / "config.json").exists():
            (out / name).mkdir(parents=True, exist_ok=True)
            make(name, out / name)


if __name__ == "__main__":
    main()
