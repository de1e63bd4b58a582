// Format: numpy/lib/format.py, version 1.0 (a 10-byte preamble, then a Python literal).
#include "support/npy.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <regex>
#include <stdexcept>

namespace crossval::testing {

NpyArray read_npy(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  constexpr size_t kPreamble = 10;
  if (bytes.size() < kPreamble || bytes.compare(0, 8, std::string("\x93NUMPY\x01\x00", 8)) != 0) {
    throw std::runtime_error(path + " is no .npy file of version 1.0");
  }
  const size_t header_len = static_cast<uint8_t>(bytes[8]) | static_cast<uint8_t>(bytes[9]) << 8;
  const std::string header = bytes.substr(kPreamble, header_len);
  if (header.find("'<f4'") == std::string::npos ||
      header.find("'fortran_order': False") == std::string::npos) {
    throw std::runtime_error(path + " is not a row-major array of f32");
  }
  NpyArray array;
  const std::string shape = header.substr(header.find('('));
  size_t n = 1;
  const std::regex number("[0-9]+");
  for (std::sregex_iterator it(shape.begin(), shape.end(), number), end; it != end; ++it) {
    array.shape.push_back(std::stoll(it->str()));
    n *= static_cast<size_t>(array.shape.back());
  }
  if (bytes.size() != kPreamble + header_len + n * sizeof(float)) {
    throw std::runtime_error(path + " has another size than its shape says");
  }
  array.values.resize(n);
  std::memcpy(array.values.data(), bytes.data() + kPreamble + header_len, n * sizeof(float));
  return array;
}

}  // namespace crossval::testing
