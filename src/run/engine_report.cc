#include "run/engine_report.h"

namespace crossval {

EngineReport describe_engine(Engine& engine, const std::string& selected_by) {
  EngineReport report;
  report.info = engine.info();
  const auto numerics = report.info.settings.find("numerics");
  if (numerics != report.info.settings.end()) report.numerics = numerics->second;
  report.selected_by = selected_by;
  report.log = engine.warnings();
  return report;
}

EngineTiming timing_since(EngineTiming now, const EngineTiming& before) {
  now.tokenize_ms -= before.tokenize_ms;
  now.eval_ms -= before.eval_ms;
  now.prompt_eval_ms -= before.prompt_eval_ms;
  now.decode_ms -= before.decode_ms;
  return now;
}

void show_log(Engine& engine, Progress& progress) {
  for (const std::string& line : engine.log_tail()) {
    progress.verbose(engine.info().name + ": " + line);
  }
}

}  // namespace crossval
