"""Text to ids and ids to bytes, by the checkpoint's own tokenizer."""
import re

from wire import Refusal


class Tokens:
    def __init__(self, checkpoint, trust_remote_code):
        self._tokenizer, self._why_not = None, ""
        from transformers import AutoTokenizer
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(
                **checkpoint.arguments(), trust_remote_code=trust_remote_code)
        except Exception as error:  # a model without a tokenizer can still be given ids
            self._why_not = f"{type(error).__name__}: {error}".splitlines()[0]
            print("the tokenizer cannot be read:", self._why_not, flush=True)

    def _own(self):
        if self._tokenizer is None:
            raise Refusal("no_tokenizer", f"it reads no tokenizer there ({self._why_not})",
                          "tokenize", "give the prompt as ids: --tokens 1,2,3", "bad_input")
        return self._tokenizer

    def encode(self, data, bos, parse_special):
        tokenizer = self._own()
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise Refusal("not_utf8", "the text is not UTF-8, and this tokenizer takes no other: "
                          + error.reason, f"byte {error.start}",
                          "give the prompt as ids: --tokens 1,2,3", "bad_input") from None

        def ids(add_special):
            return tokenizer(text, add_special_tokens=add_special,
                             split_special_tokens=not parse_special)["input_ids"]

        if bos == "off":
            return ids(False)
        found = ids(True)
        first = tokenizer.bos_token_id
        if bos == "on" and first is not None and found[:1] != [first]:
            found.insert(0, first)
        return found

    def render(self, messages):
        """What the chat template makes of them, up to where an answer begins; None: there is none."""
        tokenizer = self._tokenizer
        if tokenizer is None or not getattr(tokenizer, "chat_template", None):
            return None
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    def pieces(self, ids):
        """The bytes of each id: special tokens as written, nothing for what is out of range."""
        tokenizer = self._own()
        added = tokenizer.added_tokens_decoder
        of_bytes = _is_byte_level(tokenizer)
        known = [token for token in ids if token >= 0]
        texts = dict(zip(known, tokenizer.convert_ids_to_tokens(known)))
        found = []
        for token in ids:
            text = texts.get(token)
            if text is None:
                found.append(b"")
            elif token in added:
                found.append(added[token].content.encode())
            elif of_bytes:
                found.append(bytes(_BYTES[char] for char in text if char in _BYTES))
            elif match := re.fullmatch("<0x([0-9A-F]{2})>", text):
                found.append(bytes.fromhex(match[1]))
            else:
                found.append(text.replace("\u2581", " ").encode())
        return found


def _is_byte_level(tokenizer):
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return backend is not None and '"ByteLevel"' in _decoder_of(backend.to_str())


def _decoder_of(text):
    import json
    return json.dumps(json.loads(text).get("decoder"))


def _byte_characters():
    """The characters that byte-level vocabularies write bytes with: printable ones stand for
    themselves, the others for those from U+0100 on, in order."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in plain}
    for byte in range(256):
        if byte not in plain:
            table[chr(0x100 + len(table) - len(plain))] = byte
    return table


_BYTES = _byte_characters()
