/* C interface of the Rust static library crossval_hf: Hugging Face `tokenizers` and `minijinja`.
 * Every function is total: no Rust panic and no exception crosses it. A failing function returns
 * NULL or a negative number and stores a message in *error (free it with hf_string_free).
 * Strings are pointer + length and need no terminator; they are copied before a call returns.
 * A tokenizer is immutable after it was built and may be used by several threads at once. */
#ifndef CROSSVAL_HF_H
#define CROSSVAL_HF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hf_str {
  const char* data;
  size_t size;
} hf_str;

typedef struct hf_tokenizer hf_tokenizer;

/* What hf_bpe_new builds. Array index in `tokens` = id; a token that is not UTF-8 or empty never
 * comes out of text. `merges` are "left right" in rank order (the separator is the first space
 * after the first byte); a repeated merge keeps its first rank. Each of `patterns` splits the
 * pieces of the one before it and isolates its matches. What the
 * vocabulary has no token for comes out as an id of n_tokens or above, to be dropped by the caller.
 */
typedef struct hf_bpe_config {
  const hf_str* tokens;
  size_t n_tokens;
  const hf_str* merges;
  size_t n_merges;
  const hf_str* patterns;
  size_t n_patterns;
  int ignore_merges; /* a whole piece that is a token is taken before any merge is tried */
  int byte_level;    /* GPT-2's byte alphabet; 0: raw UTF-8 with <0xNN> tokens for the rest */
} hf_bpe_config;

/* *n_skipped_merges = merges that name a token which the vocabulary lacks (they can never apply
 * here); may be NULL. */
hf_tokenizer* hf_bpe_new(const hf_bpe_config* config, size_t* n_skipped_merges, char** error);

/* Index = id; a token that is not UTF-8 or empty never comes out of text. `unknown`: the id that
 * stands for text without a token, < n_tokens; negative: such text is an error. */
typedef struct hf_unigram_config {
  const hf_str* tokens;
  const float* scores; /* as many; none is NaN */
  size_t n_tokens;
  int64_t unknown;
} hf_unigram_config;

/* Text is taken as it is: neither normalised nor cut into words. */
hf_tokenizer* hf_unigram_new(const hf_unigram_config* config, char** error);

/* BERT's normaliser, its splitting into words, and WordPiece: tokens that begin a word carry U+2581
 * in front, the others nothing. */
typedef struct hf_bert_config {
  const hf_str* tokens;
  size_t n_tokens;
  int64_t unknown;
  int lowercase;
  int strip_accents;
} hf_bert_config;

hf_tokenizer* hf_bert_new(const hf_bert_config* config, char** error);

/* From the text of a tokenizer.json. parse_special: special added tokens written in a text become
 * their ids; 0: they are split like any other text. */
hf_tokenizer* hf_tokenizer_from_json(const char* json, size_t size, int parse_special,
                                     char** error);

void hf_tokenizer_free(hf_tokenizer* tokenizer);

/* Ids of `text` (UTF-8). add_special: with the post-processor's tokens (only a tokenizer.json has
 * one). 0 on success; *ids is freed with hf_ids_free(*ids, *n_ids). */
int hf_encode(const hf_tokenizer* tokenizer, const char* text, size_t size, int add_special,
              uint32_t** ids, size_t* n_ids, char** error);
void hf_ids_free(uint32_t* ids, size_t n_ids);

/* Number of ids, added tokens included (the highest id + 1). */
size_t hf_vocab_size(const hf_tokenizer* tokenizer);

/* The token of an id as the vocabulary writes it, or NULL; free it with hf_string_free. */
char* hf_id_to_token(const hf_tokenizer* tokenizer, uint32_t id, size_t* size);

/* 1 when the id is an added token that is marked special, else 0. */
int hf_is_special(const hf_tokenizer* tokenizer, uint32_t id);

/* Renders a Jinja chat template as `transformers` does (trim_blocks, lstrip_blocks, Python's
 * string, list and dict methods, tojson, raise_exception, strftime_now) with the members of the
 * JSON object `context` as variables. Returns the text (size in *size) or NULL. */
char* hf_render_template(const char* source, size_t source_size, const char* context,
                         size_t context_size, size_t* size, char** error);

void hf_string_free(char* text);

#ifdef __cplusplus
}
#endif

#endif
