#include "verdict/result.h"

#include <algorithm>

#include "base/error.h"

namespace crossval {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

const ErrorReport* pointer_to(const std::optional<ErrorReport>& error) {
  return error ? &*error : nullptr;
}

}  // namespace

Status status_of(const Result& result) {
  return std::visit(Overloaded{[](const Report& r) { return r.status; },
                               [](const ParityReport& r) { return r.status(); },
                               [](const RunReport& r) { return r.status; },
                               [](const InspectReport& r) { return r.status; },
                               [](const ConversionReport& r) { return r.status; },
                               [](const TraceReport& r) { return r.base.status; }},
                    result);
}

const ErrorReport* error_of(const Result& result) {
  return std::visit(Overloaded{[](const Report& r) { return pointer_to(r.error); },
                               [](const ParityReport& r) {
                                 for (const Report& pair : r.pairs) {
                                   if (pair.error) return pointer_to(pair.error);
                                 }
                                 return static_cast<const ErrorReport*>(nullptr);
                               },
                               [](const RunReport& r) { return pointer_to(r.error); },
                               [](const InspectReport& r) { return pointer_to(r.error); },
                               [](const ConversionReport& r) { return pointer_to(r.error); },
                               [](const TraceReport& r) { return pointer_to(r.base.error); }},
                    result);
}

Finding finding_of(const Result& result) {
  return std::visit([](const auto& r) { return finding_of(r); }, result);
}

bool holds_something(const Result& result) {
  return std::visit(Overloaded{[](const Report& r) {
                                 return !r.error || !r.positions.empty() ||
                                        r.tokens.first_mismatch.has_value();
                               },
                               [](const ParityReport& r) { return !r.participants.empty(); },
                               [](const RunReport& r) { return !r.error || !r.positions.empty(); },
                               [](const InspectReport& r) { return !r.error.has_value(); },
                               [](const ConversionReport& r) { return !r.error.has_value(); },
                               [](const TraceReport& r) {
                                 return !r.base.error || !r.taps.empty() ||
                                        r.base.tokens.first_mismatch.has_value();
                               }},
                    result);
}

std::vector<TokenDump> dumps_of(const Result& result) {
  return std::visit(Overloaded{[](const Report& r) { return r.dumps; },
                               [](const ParityReport& r) {
                                 std::vector<TokenDump> all;
                                 for (const Report& pair : r.pairs) {
                                   all.insert(all.end(), pair.dumps.begin(), pair.dumps.end());
                                 }
                                 return all;
                               },
                               [](const RunReport&) { return std::vector<TokenDump>(); },
                               [](const InspectReport&) { return std::vector<TokenDump>(); },
                               [](const ConversionReport&) { return std::vector<TokenDump>(); },
                               [](const TraceReport& r) { return r.base.dumps; }},
                    result);
}

void set_error(Result& result, const Error& error) {
  std::visit(Overloaded{[&](Report& r) { set_error(r, error); },
                        [&](ParityReport& r) { r.receipt_error = error_report(error); },
                        [&](RunReport& r) { set_error(r, error); },
                        [&](InspectReport& r) {
                          r.status = error.status;
                          r.error = error_report(error);
                        },
                        [&](ConversionReport& r) {
                          r.status = error.status;
                          r.error = error_report(error);
                        },
                        [&](TraceReport& r) { set_error(r.base, error); }},
             result);
}

void set_run(Result& result, const RunInfo& run) {
  std::visit(Overloaded{[&](Report& r) { r.run = run; },
                        [&](ParityReport& r) {
                          r.run = run;
                          for (Report& pair : r.pairs) pair.run = run;
                        },
                        [&](RunReport& r) { r.run = run; }, [&](InspectReport& r) { r.run = run; },
                        [&](ConversionReport& r) { r.run = run; },
                        [&](TraceReport& r) { r.base.run = run; }},
             result);
}

}  // namespace crossval
