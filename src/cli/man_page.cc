// crossval man-page: the manual in man(7)'s macros on stdout, made from the flags themselves; what
// `make install` puts beside the program. Not shown in the help.
#include <fmt/format.h>

#include <cstdio>

#include "base/version.h"
#include "cli/app_words.h"
#include "cli/commands.h"

namespace crossval {
namespace {

// Text that is no request and no escape of roff.
std::string roff(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    out += c == '\\' ? std::string("\\e") : c == '-' ? std::string("\\-") : std::string(1, c);
    line_begins = c == '\n';
  }
  return out;
}

std::string page(const CLI::App& app) {
  std::string out = fmt::format(".TH CROSSVAL 1 \"\" \"crossval {}\"\n", version());
  out += ".SH NAME\ncrossval \\- compare two inference engines token by token, tensor by tensor\n";
  out +=
      ".SH SYNOPSIS\n.B crossval\n.I COMMAND\n[flags]\n.br\n.B crossval\\-per\\-token\n[flags]\n";
  out += ".SH DESCRIPTION\n" + roff(app.get_description()) + "\n";
  out += ".SH COMMANDS\n";
  for (const CLI::App* command : commands_of(app)) {
    out += fmt::format(".SS {}\n{}\n", roff(command->get_name()), roff(command->get_description()));
    for (const FlagWords& flag : flags_of(*command)) {
      const std::string name =
          flag.names.empty() ? flag.positional : fmt::format("{}", fmt::join(flag.names, ", "));
      out +=
          fmt::format(".TP\n.B {}\n{}\n", roff(name + (flag.type.empty() ? "" : " " + flag.type)),
                      roff(flag.meaning));
    }
    if (!command->get_footer().empty()) {
      out += ".PP\n.nf\n" + roff(command->get_footer()) + "\n.fi\n";
    }
  }
  out += ".SH EXIT STATUS\n.nf\n" + roff(app.get_footer()) + "\n.fi\n";
  out +=
      ".SH ENVIRONMENT\n.TP\n.B LLAMA_CPP_DIR, BITNET_CPP_DIR, IK_LLAMA_CPP_DIR\n"
      "The engine's folder for this run.\n.TP\n.B CROSSVAL_HOME\n"
      "Where setup keeps workers and what it remembers.\n";
  return out;
}

}  // namespace

void add_man_page(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("man-page", "The manual, for man");
  command->group("");  // hidden
  command->callback([&app, &action] {
    action = [&app] {
      std::fputs(page(app).c_str(), stdout);
      return 0;
    };
  });
}

}  // namespace crossval
