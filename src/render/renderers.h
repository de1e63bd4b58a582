// The output formats. A renderer turns a result into the whole of stdout; it never throws on data.
#pragma once

#include <span>
#include <string>

#include "verdict/result.h"

namespace crossval {

struct RenderOptions {
  bool color = false;     // text: ANSI colours
  bool one_line = false;  // json: the object on a single line (--prompts)
  int number = 0;         // of the prompt, from 1, where there are several; 0 = the only one
};

struct Renderer {
  const char* name;     // --format
  const char* meaning;  // for --help
  std::string (*render)(const Result& result, const RenderOptions& options);
  // What stands before the first and behind the last result, where several make one document.
  std::string (*begin)() = nullptr;
  std::string (*end)() = nullptr;
  // A result of which nothing is known but an error is shown; else stderr has it alone.
  bool shows_errors = true;
};

std::span<const Renderer> renderers();
// Throws bad_input for an unknown name.
const Renderer& find_renderer(const std::string& name);

}  // namespace crossval
