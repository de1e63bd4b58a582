#include "reading.h"

#include "base/error.h"
#include "base/printable.h"

namespace crossval::http {

std::string choose_model(const Client& client, const nlohmann::json& answer, const char* list_key,
                         const char* name_key, const std::string& wanted) {
  constexpr size_t max_listed = 8;
  std::string names;
  std::string only;
  size_t n = 0;
  const auto list = answer.is_object() ? answer.find(list_key) : answer.end();
  if (answer.is_object() && list != answer.end() && list->is_array()) {
    for (const nlohmann::json& one : *list) {
      const std::string name = text_or(one, name_key);
      if (name.empty()) continue;
      if (name == wanted) return name;
      only = name;
      if (n++ < max_listed) names += (names.empty() ? "" : ", ") + printable(name);
    }
  }
  if (n == 0) {
    backend_failed("no_model", "the server has no model", client.url().origin(),
                   "load one in the server first");
  }
  if (n == 1 && wanted.empty()) return only;
  bad_input("which_model",
            wanted.empty() ? "the server has several models" : "the server has no such model",
            client.url().origin(), "--backend-opt model=NAME, one of: " + names);
}

}  // namespace crossval::http
