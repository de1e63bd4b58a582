// Prompts of every kind that tokenizers and engines stumble over, for tests on the real model.
#pragma once

#include <string>
#include <vector>

namespace crossval::testing {

// All but the long one have fewer than some 60 ids; most of the engines' time goes into it.
inline std::vector<std::string> short_prompts() {
  return {
      "What is 2+2?",
      "The quick brown fox jumps over the lazy dog, and then it's off to the woods; they'll see.",
      "def fib(n):\n\tif n < 2:\n\t\treturn n\n    return fib(n-1)+fib(n-2)  # O(2**n)\n",
      "今日は天気がいいから散歩しましょう。日本語と中文混在的句子，还有한국어도 있어요.",
      "مرحبا بالعالم، كيف حالك اليوم؟ שלום עולם",
      "Emoji: 😀👩‍👩‍👧‍👦🏳️‍🌈 flags 🇫🇷🇯🇵 and keycaps "
      "1️⃣",
      "Combining: e\u0301 a\u0308\u0323 Z\u0351\u036b\u0343\u032a \u1100\u1161\u11a8 ﬁ ① Å",
      "   leading and   inner    runs\n\n\n\nof \t\t tabs \r\n and spaces   \n ",
      "<|im_start|>system\nYou are terse.<|im_end|>\n<|im_start|>user\nHi<|endoftext|> "
      "there<|im_end|>",
      "3.14159 1,000,000 0xDEADBEEF 2024-11-22T10:00:00Z 99%% $5.00 #1 1st 2nd 1234567890123",
      "x",
      " ",
      "\n",
      "Supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
  };
}

inline std::string long_prompt(int n_lines) {
  std::string text;
  for (int i = 0; i < n_lines; ++i) {
    text += "The " + std::to_string(i * 7) + "th line of the list.\n";
  }
  return text;
}

// With the long one of some 600 ids.
inline std::vector<std::string> real_prompts() {
  std::vector<std::string> prompts = short_prompts();
  prompts.push_back(long_prompt(60));
  return prompts;
}

// With one of some 100 ids instead.
inline std::vector<std::string> quick_prompts() {
  std::vector<std::string> prompts = short_prompts();
  prompts.push_back(long_prompt(10));
  return prompts;
}

}  // namespace crossval::testing
