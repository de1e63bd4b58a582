// A process that may speak to one port tries that port, others, and other kinds of sockets.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "base/unique_fd.h"
#include "sandbox/rights.h"

namespace crossval {
namespace {

constexpr int kNotConfined = 254;

// A port of this machine that listens.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(socket_.get(), 4);
    socklen_t size = sizeof address;
    ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }

 private:
  UniqueFd socket_;
  int port_ = 0;
};

int connect_to(int port) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0
             ? 0
             : errno;
}

int open_socket(int family, int type) {
  const UniqueFd socket(::socket(family, type, 0));
  return socket ? 0 : errno;
}

class NetworkRight : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kernel_offers().missing().empty()) GTEST_SKIP() << kernel_offers().missing().front();
    ASSERT_EQ(connect_to(server_.port()), 0);
    ASSERT_EQ(connect_to(other_.port()), 0);
  }

  // Under our own cover and, inside it, a worker's: as a worker runs.
  int in_worker(const Rights& ours, const Rights& workers, const std::function<int()>& body) const {
    const pid_t pid = ::fork();
    if (pid == 0) {
      const OwnCover cover = confine_self(ours);
      const PreparedRights prepared(workers);
      if (!cover.files || !cover.calls || prepared.enter() != 0) ::_exit(kNotConfined);
      ::_exit(body());
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  Rights to_server() const {
    Rights rights;
    rights.connect_ports = {server_.port()};
    return rights;
  }

  Listener server_, other_;
};

TEST_F(NetworkRight, is_of_the_one_port) {
  const Rights rights = to_server();
  EXPECT_EQ(in_worker(rights, rights, [&] { return connect_to(server_.port()); }), 0);
  EXPECT_EQ(in_worker(rights, rights, [&] { return connect_to(other_.port()); }), EACCES);
  EXPECT_EQ(in_worker(rights, rights, [] { return open_socket(AF_INET6, SOCK_STREAM); }), 0);
}

TEST_F(NetworkRight, is_of_no_other_socket) {
  const Rights rights = to_server();
  for (const auto& [family, type] :
       {std::pair(AF_UNIX, SOCK_STREAM), std::pair(AF_NETLINK, SOCK_RAW),
        std::pair(AF_INET, SOCK_DGRAM), std::pair(AF_INET, SOCK_RAW),
        std::pair(AF_PACKET, SOCK_RAW)}) {
    EXPECT_EQ(in_worker(rights, rights, [f = family, t = type] { return open_socket(f, t); }),
              EPERM)
        << family << " " << type;
  }
}

TEST_F(NetworkRight, of_names_takes_datagrams) {
  Rights rights = to_server();
  rights.resolves_names = true;
  EXPECT_EQ(in_worker(rights, rights, [] { return open_socket(AF_INET, SOCK_DGRAM); }), 0);
  EXPECT_EQ(in_worker(rights, rights, [] { return open_socket(AF_UNIX, SOCK_DGRAM); }), EPERM);
  EXPECT_EQ(in_worker(rights, rights, [&] { return connect_to(other_.port()); }), EACCES);
}

TEST_F(NetworkRight, of_the_program_is_not_every_workers) {
  EXPECT_EQ(in_worker(to_server(), {}, [&] { return connect_to(server_.port()); }), EPERM);
  EXPECT_EQ(in_worker({}, to_server(), [&] { return connect_to(server_.port()); }), EPERM);
}

}  // namespace
}  // namespace crossval
