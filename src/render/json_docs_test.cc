// docs/json.md says what the results hold: its tables are those that the description makes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "render/field_list.h"

namespace crossval {
namespace {

std::string replace_table(std::string text, const ListedSchema& schema) {
  const std::string begin = std::string("<!-- fields of ") + schema.name + " -->\n";
  const std::string end = "<!-- end of fields -->";
  const size_t from = text.find(begin);
  EXPECT_NE(from, text.npos) << schema.name << " has no place in docs/json.md";
  if (from == text.npos) return text;
  const size_t to = text.find(end, from);
  return text.replace(from + begin.size(), to - from - begin.size(), fields_table(schema));
}

TEST(JsonDocs, TablesAreThoseOfTheDescription) {
  const std::string path = std::string(CROSSVAL_ROOT) + "/docs/json.md";
  std::ostringstream read;
  read << std::ifstream(path).rdbuf();
  std::string wanted = read.str();
  for (const ListedSchema& schema : listed_schemas()) wanted = replace_table(wanted, schema);
  if (std::getenv("CROSSVAL_WRITE_DOCS") != nullptr) std::ofstream(path) << wanted;
  EXPECT_EQ(read.str() == wanted || std::getenv("CROSSVAL_WRITE_DOCS") != nullptr, true)
      << "run: make docs";
}

TEST(JsonDocs, EveryFieldHasAMeaningOrFieldsOfItsOwn) {
  for (const ListedSchema& schema : listed_schemas()) {
    EXPECT_GT(schema.fields.size(), 10u);
    for (const ListedField& field : schema.fields) {
      EXPECT_EQ(field.path.find(' '), std::string::npos) << field.path;
    }
  }
}

}  // namespace
}  // namespace crossval
