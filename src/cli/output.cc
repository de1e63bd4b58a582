#include "cli/output.h"

#include <unistd.h>

#include <iostream>

#include "cli/command_line.h"
#include "render/json.h"
#include "render/text.h"

namespace crossval {

Output::Output(const CommonOptions& options, const std::string& receipt_path, Results results)
    : options_(options),
      renderer_(find_renderer(options.format)),
      results_(results),
      receipt_(receipt_path.empty() ? nullptr : std::make_unique<LineFile>(receipt_path)) {
  also_writes("--receipt", receipt_path, OutputKind::receipt);
}

void Output::also_writes(std::string_view flag, const std::string& path, OutputKind kind,
                         const std::vector<std::string>& inputs) {
  if (refusal_) return;
  try {
    check_replaceable(flag, path, kind, inputs);
  } catch (const Error& error) {
    refusal_ = error;
  }
}

int Output::refuse(Result result) {
  receipt_.reset();
  set_error(result, *refusal_);
  return emit(std::move(result));
}

Output::~Output() {
  if (n_emitted_ > 0 && renderer_.end != nullptr) std::cout << renderer_.end() << std::flush;
}

int Output::emit(Result result) {
  const bool many = results_ == Results::many;
  ++n_emitted_;
  set_run(result, run_info());
  print_dumps(result);
  if (receipt_ != nullptr) {
    try {
      receipt_->append(json_result(result, {.one_line = many}));
    } catch (const Error& error) {
      // The comparison stands and is printed; that its record is lost decides the exit code.
      print_errors(result, false);
      set_error(result, error);
    }
  }
  const bool shown = renderer_.shows_errors || holds_something(result);
  if (n_emitted_ == 1 && renderer_.begin != nullptr) std::cout << renderer_.begin();
  if (shown) {
    std::cout << renderer_.render(
        result,
        {.color = isatty(STDOUT_FILENO) == 1, .one_line = many, .number = many ? n_emitted_ : 0});
  }
  std::cout << std::flush;
  print_errors(result, shown);
  return exit_code_of(result);
}

// --dump-ids and --dump-cpp-ids; stdout holds the result alone, where a program reads it.
void Output::print_dumps(const Result& result) const {
  std::ostream& to = options_.format == "text" ? std::cout : std::cerr;
  for (const TokenDump& dump : dumps_of(result)) to << token_list_text(dump.side, dump.tokens);
}

void Output::print_errors(const Result& result, bool shown) const {
  const RenderOptions options = {.color = isatty(STDERR_FILENO) == 1};
  const auto print = [&](const ErrorReport& error, Status status) {
    std::cerr << error_text(error, status, options);
  };
  const auto* parity = std::get_if<ParityReport>(&result);
  if (parity == nullptr) {
    if (const ErrorReport* error = error_of(result)) print(*error, status_of(result));
    return;
  }
  std::string last;  // an engine that cannot be used fails alike in each of its pairs
  for (const Report& pair : parity->pairs) {
    if (!pair.error || pair.error->what == last) continue;
    last = pair.error->what;
    if (options_.format != "text" || !shown) print(*pair.error, pair.status);
  }
  if (parity->receipt_error) print(*parity->receipt_error, Status::bad_input);
}

}  // namespace crossval
