#include "base/sha256.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "base/error.h"

namespace crossval {
namespace {

template <typename T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

// With a context of OpenSSL of its own: the default one is made in passing, and where there is no
// memory for it, used all the same.
struct Sha256 {
  Sha256() {
    if (library == nullptr) throw std::bad_alloc();
    sha256.reset(EVP_MD_fetch(library.get(), "SHA256", nullptr));
    if (sha256 == nullptr || context == nullptr ||
        EVP_DigestInit_ex(context.get(), sha256.get(), nullptr) != 1) {
      throw std::bad_alloc();
    }
  }

  Owned<OSSL_LIB_CTX> library{OSSL_LIB_CTX_new(), OSSL_LIB_CTX_free};
  Owned<EVP_MD> sha256{nullptr, EVP_MD_free};
  Owned<EVP_MD_CTX> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

}  // namespace

std::string sha256_file(const std::string& path) {
  struct Descriptor {
    int fd;
    ~Descriptor() {
      if (fd >= 0) ::close(fd);
    }
  } file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  const auto fail = [&path](int code) {
    bad_input("unreadable_file",
              fmt::format("the file cannot be read for its checksum: {}", std::strerror(code)),
              path, "check that the file exists and its permissions");
  };
  if (file.fd < 0) fail(errno);

  const Sha256 sha;
  std::vector<unsigned char> buffer(1 << 20);
  for (;;) {
    const ssize_t n = ::read(file.fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(errno);
    if (n == 0) break;
    EVP_DigestUpdate(sha.context.get(), buffer.data(), static_cast<size_t>(n));
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (EVP_DigestFinal_ex(sha.context.get(), digest.data(), &length) != 1) throw std::bad_alloc();
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace crossval
