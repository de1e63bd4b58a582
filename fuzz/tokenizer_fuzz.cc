// Any bytes as a tokenizer file: the prompt's ids, or an Error.
#include "confined_text.h"
#include "support/damage_json.h"
#include "target.h"

namespace crossval::fuzz {

// One of each part that a tokenizer.json can have, in one line.
Seed good_input() {
  return {
      .bytes =
          R"j({"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":0,)j"
          R"j("content":"<s>","single_word":false,"lstrip":false,"rstrip":true,"normalized":false,)j"
          R"j("special":true}],"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},)j"
          R"j({"type":"Replace","pattern":{"String":"b"},"content":"a"},{"type":"Prepend",)j"
          R"j("prepend":"a"}]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split",)j"
          R"j("pattern":{"Regex":"\\p{L}+|\\s+(?!\\S)"},"behavior":"Isolated","invert":false},)j"
          R"j({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]},)j"
          R"j("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>",)j"
          R"j("type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A",)j"
          R"j("type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<s>":{"id":)j"
          R"j("<s>","ids":[0],"tokens":["<s>"]}}},"decoder":{"type":"ByteLevel",)j"
          R"j("add_prefix_space":true,"trim_offsets":true,"use_regex":true},"model":{"type":"BPE",)j"
          R"j("dropout":null,"unk_token":null,"continuing_subword_prefix":null,)j"
          R"j("end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"vocab":{"<s>":0,)j"
          R"j("a":1,"aa":2,"aaaa":3,"Ġ":4},"merges":[["a","a"],["aa","aa"]]}})j"
          "\n",
      .damage = testing::damaged_json_lines};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return crossval::fuzz::encode_or_refuse(data, size);
}
