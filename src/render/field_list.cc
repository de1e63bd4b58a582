#include "render/field_list.h"

#include <fmt/format.h>

#include <map>
#include <type_traits>

#include "compare/metrics.h"
#include "render/json_writer.h"

namespace crossval {
namespace {

// Walks over the types: values are what a default one holds.
class FieldLister {
 public:
  explicit FieldLister(std::vector<ListedField>& out, std::string prefix = "")
      : out_(out), prefix_(std::move(prefix)) {}

  template <class T>
  void operator()(const char* key, const T& value, const char* meaning) {
    visit(key, value, meaning);
  }
  void known(const char* key, const std::string&, const char* meaning) {
    add(key, FieldKind::text, meaning);
  }
  void known(const char* key, int, const char* meaning) { add(key, FieldKind::integer, meaning); }
  template <class T, class Describe>
  void list(const char* key, const std::vector<T>&, const Describe& describe_one) {
    add(key, FieldKind::list, "");
    const T sample{};
    FieldLister inner(out_, prefix_ + key + "[].");
    describe(inner, describe_one(sample));
  }
  void metrics(const PositionMetrics&, const MetricSet&) {
    for (const MetricInfo& row : metric_table()) {
      Json keys = Json::object();
      metric_json(row, nullptr, keys);
      for (const auto& [key, value] : keys.items()) {
        const std::string meaning =
            fmt::format("{}{}{}", row.meaning, *row.unit != '\0' ? ", in " : "", row.unit);
        const bool nested = value.is_object();
        add(key.c_str(), nested ? FieldKind::object : FieldKind::number, meaning);
        if (!nested) continue;
        for (const auto& [name, inner] : value.items()) {
          add(fmt::format("{}.{}", key, name).c_str(), FieldKind::any, "");
        }
      }
    }
  }

 private:
  void add(const char* key, FieldKind kind, const std::string& meaning) {
    out_.push_back({prefix_ + key, kind, meaning});
  }

  template <class T>
  void visit(const char* key, const std::optional<T>& value, const char* meaning) {
    if constexpr (std::is_default_constructible_v<T>) {
      visit(key, value ? *value : T{}, meaning);
    } else {
      static const Report none;  // the only kind of view that may be absent
      visit(key, T{none}, meaning);
    }
  }
  void visit(const char* key, const std::map<std::string, std::string>&, const char* meaning) {
    add(key, FieldKind::object, meaning);
  }
  template <class T>
  void visit(const char* key, const std::vector<T>&, const char* meaning) {
    add(key, FieldKind::list, meaning);
    if constexpr (std::is_same_v<T, Report>) return;  // a schema of its own
    if constexpr (std::is_class_v<T> && !std::is_same_v<T, std::string>) {
      FieldLister inner(out_, prefix_ + key + "[].");
      const T sample{};
      describe(inner, sample);
    }
  }
  template <class T>
  void visit(const char* key, const T& value, const char* meaning) {
    if constexpr (std::is_same_v<T, bool>) {
      add(key, FieldKind::flag, meaning);
    } else if constexpr (std::is_integral_v<T>) {
      add(key, FieldKind::integer, meaning);
    } else if constexpr (std::is_floating_point_v<T>) {
      add(key, FieldKind::number, meaning);
    } else if constexpr (std::is_convertible_v<T, std::string_view>) {
      add(key, FieldKind::text, meaning);
    } else {
      add(key, FieldKind::object, meaning);
      FieldLister inner(out_, prefix_ + key + ".");
      describe(inner, value);
    }
  }

  std::vector<ListedField>& out_;
  std::string prefix_;
};

template <class T>
ListedSchema list_fields(const char* name, const T& sample) {
  ListedSchema schema{name, {}};
  FieldLister lister(schema.fields);
  describe(lister, sample);
  return schema;
}

}  // namespace

const char* kind_name(FieldKind kind) {
  switch (kind) {
    case FieldKind::text:
      return "text";
    case FieldKind::number:
      return "number";
    case FieldKind::integer:
      return "whole number";
    case FieldKind::flag:
      return "true or false";
    case FieldKind::object:
      return "object";
    case FieldKind::list:
      return "list";
    case FieldKind::any:
      return "value";
  }
  return "value";
}

std::span<const ListedSchema> listed_schemas() {
  static const std::vector<ListedSchema> schemas = [] {
    TraceReport trace;
    trace.self.emplace();
    return std::vector<ListedSchema>{list_fields("crossval/per-token/1", Report()),
                                     list_fields("crossval/parity/1", ParityReport()),
                                     list_fields("crossval/trace/1", trace),
                                     list_fields("crossval/run/1", RunReport()),
                                     list_fields("crossval/conversion/1", ConversionReport())};
  }();
  return schemas;
}

std::string fields_table(const ListedSchema& schema) {
  // What several schemas have is told once, with the first.
  static const std::map<std::string, std::string> first_place = [] {
    std::map<std::string, std::string> places;
    for (const ListedSchema& one : listed_schemas()) {
      for (const ListedField& field : one.fields)
        places.emplace(field.path + "|" + field.meaning, one.name);
    }
    return places;
  }();
  std::string out = "| key | kind | means |\n|---|---|---|\n";
  for (const ListedField& field : schema.fields) {
    if (first_place.at(field.path + "|" + field.meaning) != schema.name) continue;
    out += fmt::format("| `{}` | {} | {} |\n", field.path, kind_name(field.kind), field.meaning);
  }
  return out;
}

}  // namespace crossval
