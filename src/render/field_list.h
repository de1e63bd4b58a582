// The fields of each result as a list: paths, kinds, meanings (verdict/fields.h). docs/json.md is
// made of it, and receipts are checked against it.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace crossval {

enum class FieldKind { text, number, integer, flag, object, list, any };
const char* kind_name(FieldKind kind);  // as messages say it: "text", "a whole number", ...

struct ListedField {
  std::string path;  // "tokens.first_mismatch.index", "positions[].cosine"
  FieldKind kind;
  std::string meaning;  // "" = the name says it
};

struct ListedSchema {
  const char* name;  // "crossval/run/1"
  std::vector<ListedField> fields;
};
std::span<const ListedSchema> listed_schemas();

// The tables of docs/json.md between its markers, one for each schema.
std::string fields_table(const ListedSchema& schema);

}  // namespace crossval
