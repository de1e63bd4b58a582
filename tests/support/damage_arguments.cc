#include "support/damage_arguments.h"

#include <random>
#include <sstream>

#include "support/damage.h"

namespace crossval::testing {
namespace {

constexpr const char* kValues[] = {"",
                                   "0",
                                   "-1",
                                   "1",
                                   "00012",
                                   "0x10",
                                   "1e308",
                                   "1e300",
                                   "1e-320",
                                   "nan",
                                   "inf",
                                   "-inf",
                                   "2147483648",
                                   "9223372036854775808",
                                   "1.5",
                                   "1,2,3",
                                   "1,,2",
                                   ",",
                                   "-",
                                   "--",
                                   "=",
                                   "k=v",
                                   "k=",
                                   "=v",
                                   "a=b=c",
                                   "0-3",
                                   "3-0",
                                   "0-",
                                   "-3",
                                   "9999999999-1",
                                   "(",
                                   "[a-",
                                   ".*",
                                   "(a*)*$",
                                   "\\p{L",
                                   "auto",
                                   "native",
                                   "all",
                                   "native,native",
                                   "trace:",
                                   "trace:x",
                                   "worker:",
                                   "llama:x",
                                   "a,b,c",
                                   "\xff\xfe",
                                   "\xc3\xa9",
                                   "\x1b[2J",
                                   "text,json",
                                   "m.gguf",
                                   "p.jsonl",
                                   "ids.txt",
                                   "r.json",
                                   "out.json",
                                   "@ids.txt",
                                   "kl",
                                   "--format=json"};

class ArgumentDamager {
 public:
  ArgumentDamager(const std::vector<CommandWords>& commands, uint64_t seed)
      : commands_(commands), random_(seed) {}

  uint64_t below(uint64_t n) { return n == 0 ? 0 : random_() % n; }

  void damage_once(std::vector<std::string>& words) {
    if (words.empty()) return;
    const size_t at = below(words.size());
    switch (below(10)) {
      case 0:
        words.erase(words.begin() + static_cast<ptrdiff_t>(at));
        break;
      case 1:
        words.insert(words.begin() + static_cast<ptrdiff_t>(at), words[below(words.size())]);
        break;
      case 2:
        std::swap(words[at], words[below(words.size())]);
        break;
      case 3:
        if (at + 1 < words.size()) {
          words[at] += "=" + words[at + 1];
          words.erase(words.begin() + static_cast<ptrdiff_t>(at) + 1);
        }
        break;
      case 4:
        words[0] = commands_[below(commands_.size())].name;
        break;
      case 5:
        words[at] = damaged_copy(words[at], words[at].size(), random_());
        break;
      case 6:
      case 7:
        words[at] = value({});
        break;
      default:
        add_flag(words);
        break;
    }
  }

 private:
  std::string value(const FlagOfCommand& flag) {
    if (!flag.choices.empty() && below(4) != 0) return flag.choices[below(flag.choices.size())];
    if (below(50) == 0) return std::string(70'000, 'x');
    return kValues[below(std::size(kValues))];
  }

  // Of the command mostly, of any other now and then.
  void add_flag(std::vector<std::string>& words) {
    const CommandWords* command = &commands_[below(commands_.size())];
    for (const CommandWords& one : commands_) {
      if (one.name == words[0] && below(8) != 0) command = &one;
    }
    if (command->flags.empty()) return;
    const FlagOfCommand& flag = command->flags[below(command->flags.size())];
    words.push_back(flag.name);
    if (!flag.is_switch) words.push_back(value(flag));
  }

  const std::vector<CommandWords>& commands_;
  std::mt19937_64 random_;
};

}  // namespace

std::string damaged_arguments(const std::string& good, const std::vector<CommandWords>& commands,
                              uint64_t seed) {
  ArgumentDamager damager(commands, seed);
  std::vector<std::string> words;
  std::istringstream lines(good);
  for (std::string line; std::getline(lines, line);) words.push_back(line);
  for (uint64_t n = 1 + damager.below(3); n > 0; --n) damager.damage_once(words);
  std::string damaged;
  for (const std::string& word : words) damaged += word + "\n";
  return damaged;
}

}  // namespace crossval::testing
