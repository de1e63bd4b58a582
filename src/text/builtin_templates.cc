// Written from what each family documents; `instruct` and `llama3-chat` give what BitNet-rs's
// templates of these names give (crates/bitnet-inference/src/prompt_template.rs). Special tokens
// are text here: --special parse turns them into ids.

#include "text/builtin_templates.h"

namespace crossval {
namespace {

constexpr BuiltinTemplate kTemplates[] = {
    {"instruct",
     R"({%- for m in messages -%}
{{- 'System: ' + m.content + '\n\n' if m.role == 'system' else 'Q: ' + m.content + '\nA:' -}}
{%- endfor -%})"},
    {"llama3-chat",
     R"({{- '<|begin_of_text|>' -}}
{%- for m in messages -%}
{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content + '<|eot_id|>' -}}
{%- endfor -%}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}})"},
    {"chatml",  // Qwen, SmolLM, Yi, Hermes
     R"({%- for m in messages -%}
{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' -}}
{%- endfor -%}
{{- '<|im_start|>assistant\n' -}})"},
    {"llama2-chat",
     R"({{- bos_token + '[INST] ' -}}
{%- for m in messages -%}
{{- '<<SYS>>\n' + m.content + '\n<</SYS>>\n\n' if m.role == 'system' else m.content + ' [/INST]' -}}
{%- endfor -%})"},
    {"mistral-v1",  // Mistral-7B-Instruct-v0.1, v0.2
     R"({{- bos_token + ' [INST] ' -}}
{%- for m in messages -%}
{{- m.content + '\n\n' if m.role == 'system' else m.content + ' [/INST]' -}}
{%- endfor -%})"},
    {"mistral-v3",  // Mistral-7B-Instruct-v0.3
     R"({{- bos_token + '[INST] ' -}}
{%- for m in messages -%}
{{- m.content + '\n\n' if m.role == 'system' else m.content + '[/INST]' -}}
{%- endfor -%})"},
    {"mistral-tekken",  // Mistral-Nemo
     R"({{- bos_token + '[INST]' -}}
{%- for m in messages -%}
{{- m.content + '\n\n' if m.role == 'system' else m.content + '[/INST]' -}}
{%- endfor -%})"},
    {"gemma",  // no system role: its text opens the user's turn
     R"({{- bos_token + '<start_of_turn>user\n' -}}
{%- for m in messages -%}
{{- m.content + '\n\n' if m.role == 'system' else m.content -}}
{%- endfor -%}
{{- '<end_of_turn>\n<start_of_turn>model\n' -}})"},
    {"phi3",
     R"({%- for m in messages -%}
{{- '<|' + m.role + '|>\n' + m.content + '<|end|>\n' -}}
{%- endfor -%}
{{- '<|assistant|>\n' -}})"},
    {"zephyr",  // TinyLlama too
     R"({%- for m in messages -%}
{{- '<|' + m.role + '|>\n' + m.content + eos_token + '\n' -}}
{%- endfor -%}
{{- '<|assistant|>\n' -}})"},
    {"vicuna",
     R"({%- for m in messages -%}
{{- m.content + '\n\n' if m.role == 'system' else 'USER: ' + m.content + '\n' -}}
{%- endfor -%}
{{- 'ASSISTANT:' -}})"},
    {"alpaca",
     R"({%- for m in messages -%}
{{- m.content + '\n\n' if m.role == 'system' else '### Instruction:\n' + m.content + '\n\n' -}}
{%- endfor -%}
{{- '### Response:\n' -}})"},
    {"deepseek",  // deepseek-llm, V2
     R"({{- bos_token -}}
{%- for m in messages -%}
{{- m.content + '\n\n' if m.role == 'system' else 'User: ' + m.content + '\n\n' -}}
{%- endfor -%}
{{- 'Assistant:' -}})"},
    {"deepseek-v3",  // V2.5, V3, R1
     R"({{- bos_token -}}
{%- for m in messages -%}
{{- m.content if m.role == 'system' else '<｜User｜>' + m.content -}}
{%- endfor -%}
{{- '<｜Assistant｜>' -}})"},
    {"bitnet",  // microsoft/bitnet-b1.58-2B-4T
     R"({{- bos_token -}}
{%- for m in messages -%}
{{- m.role | capitalize + ': ' + m.content | trim + '<|eot_id|>' -}}
{%- endfor -%}
{{- 'Assistant: ' -}})"},
    {"falcon3",
     R"({%- for m in messages -%}
{{- '<|' + m.role + '|>\n' + m.content + '\n' -}}
{%- endfor -%}
{{- '<|assistant|>\n' -}})"},
    {"granite",
     R"({%- for m in messages -%}
{{- '<|start_of_role|>' + m.role + '<|end_of_role|>' + m.content + '<|end_of_text|>\n' -}}
{%- endfor -%}
{{- '<|start_of_role|>assistant<|end_of_role|>' -}})"},
};

}  // namespace

std::span<const BuiltinTemplate> builtin_templates() { return kTemplates; }

}  // namespace crossval
