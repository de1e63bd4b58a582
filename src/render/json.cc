#include "render/json.h"

namespace crossval {
namespace {

std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string write_json(const Json& object, const RenderOptions& options) {
  if (options.one_line) return dump(object) + "\n";
  std::string out = "{";
  const char* separator = "\n ";
  for (const auto& [key, value] : object.items()) {
    out += separator + dump(Json(key)) + ": ";
    separator = ",\n ";
    if (!value.is_array() || value.empty() || !value.front().is_object()) {
      out += dump(value);
      continue;
    }
    const char* before = "[\n  ";
    for (const Json& element : value) {
      out += before + dump(element);
      before = ",\n  ";
    }
    out += "]";
  }
  return out + "\n}\n";
}

Json to_json(const std::map<std::string, std::string>& texts) {
  Json out = Json::object();
  for (const auto& [key, value] : texts) out[key] = value;
  return out;
}

Json to_json(const char* text) { return text; }

Json to_json(const InspectReport& report) {
  JsonWriter head;
  describe_head(head, "crossval/inspect/1",
                report.status == Status::agree ? "ok" : status_name(report.status),
                static_cast<int>(report.status), finding_of(report), report.run);
  Json out = head.take();
  for (const auto& [key, value] : report.facts.items()) out[key] = value;
  out["error"] = to_json(report.error);
  return out;
}

std::string json_result(const Result& result, const RenderOptions& options) {
  return std::visit([&](const auto& report) { return write_json(to_json(report), options); },
                    result);
}

}  // namespace crossval
