// Any bytes as a chat template: a text, or an Error.
#include "confined_text.h"
#include "support/damage_words.h"
#include "target.h"

namespace crossval::fuzz {

Seed good_input() {
  return {
      .bytes =
          "{%- macro say(m) -%}<|{{ m.role }}|>{{ m['content'] | trim }}{% endmacro -%}{% set n = "
          "namespace(i=0) %}{{ bos_token }}{% for m in messages %}{% set n.i = n.i + 1 %}{% if "
          "m.role == 'system' and loop.first %}{{ say(m) ~ '\\n' }}{% elif loop.index0 % 2 == 1 %}"
          "{{ m.content.split(' ')[-1] | upper | replace('A', 'b') }}{% else %}{{ [1, 2, 3] | "
          "join(',') "
          "}}{{ '%3d' | format(n.i) }}{% endif %}{% endfor %}{% if add_generation_prompt is "
          "defined "
          "%}{{ messages | tojson(indent=2) }}{{ range(3) | list | batch(2, 'x') | list }}{% endif "
          "%}",
      .damage = testing::damaged_words};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  static fuzz::ConfinedText text;
  static const auto tokenizer = text.open("");
  fuzz::read_or_refuse([&] {
    tokenizer->format({"fuzz", {reinterpret_cast<const char*>(data), size}, "fuzz.jinja"}, "a b",
                      "be brief");
  });
  return 0;
}
