// Reads DT_NEEDED of a 64-bit ELF library (elf(5)); a file that is anything else gives nothing.
#include <elf.h>

#include <cstring>
#include <fstream>

#include "backends/locate.h"

namespace crossval {
namespace {

// Sizes are bounded so that a strange file costs little.
constexpr uint64_t kMaxSectionBytes = 16u << 20;

template <typename T>
bool read_at(std::ifstream& in, uint64_t offset, T* out, size_t count) {
  in.clear();
  in.seekg(static_cast<std::streamoff>(offset));
  in.read(reinterpret_cast<char*>(out), static_cast<std::streamsize>(count * sizeof(T)));
  return in.good();
}

}  // namespace

std::vector<std::string> elf_needed(const std::filesystem::path& library) {
  std::ifstream in(library, std::ios::binary);
  Elf64_Ehdr header{};
  if (!in || !read_at(in, 0, &header, 1) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shentsize != sizeof(Elf64_Shdr)) {
    return {};
  }
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!read_at(in, header.e_shoff, sections.data(), sections.size())) {
    return {};
  }
  std::vector<std::string> needed;
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_DYNAMIC || section.sh_link >= sections.size()) {
      continue;
    }
    const Elf64_Shdr& names = sections[section.sh_link];
    if (section.sh_size > kMaxSectionBytes || names.sh_size > kMaxSectionBytes) {
      return {};
    }
    std::vector<Elf64_Dyn> entries(section.sh_size / sizeof(Elf64_Dyn));
    std::string text(names.sh_size, '\0');
    if (!read_at(in, section.sh_offset, entries.data(), entries.size()) ||
        !read_at(in, names.sh_offset, text.data(), text.size())) {
      return {};
    }
    for (const Elf64_Dyn& entry : entries) {
      if (entry.d_tag == DT_NEEDED && entry.d_un.d_val < text.size()) {
        needed.emplace_back(text.c_str() + entry.d_un.d_val);
      }
    }
  }
  return needed;
}

}  // namespace crossval
