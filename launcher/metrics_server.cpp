#include "launcher/metrics_server.h"

#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <system_error>

namespace bit::launcher {
namespace {

constexpr timeval kClientPatience{.tv_sec = 2,
                                  .tv_usec = 0};  // for each read and write of a client
constexpr std::size_t kLongestRequest = 8192;     // bytes

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses resolve(const std::string& host, unsigned port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  const bool bracketed = host.size() > 1 && host.front() == '[' && host.back() == ']';  // IPv6
  const std::string name = bracketed ? host.substr(1, host.size() - 2) : host;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    throw std::system_error(std::make_error_code(std::errc::address_not_available),
                            gai_strerror(error));
  }
  return {found, &freeaddrinfo};
}

int listen_on(const addrinfo& address, const std::string& name) {
  const int listener =
      socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol);
  if (listener < 0) fail("socket");
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes,
             sizeof(yes));  // a run that is resumed takes the port at once
  if (bind(listener, address.ai_addr, address.ai_addrlen) != 0 || listen(listener, 16) != 0) {
    const int error = errno;
    close(listener);
    errno = error;
    fail(name);
  }
  return listener;
}

unsigned port_of(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) fail("getsockname");
  return address.ss_family == AF_INET6
             ? ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port)
             : ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

// What the client sends up to the empty line; shorter when it is slow, too long or gone.
std::string read_request(int client) {
  std::string request;
  std::array<char, 1024> buffer{};
  while (request.size() < kLongestRequest && request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = recv(client, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    request.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return request;
}

void send_all(int client, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = send(client, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;  // the client is gone
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

}  // namespace

MetricsServer::MetricsServer(const std::string& host, unsigned port,
                             std::function<std::string()> page)
    : page_(std::move(page)) {
  const Addresses addresses = resolve(host, port);
  listener_ = listen_on(*addresses, fmt::format("{}:{}", host, port));
  port_ = port_of(listener_);
  wake_ = eventfd(0, EFD_CLOEXEC);
  if (wake_ < 0) {
    close(listener_);
    fail("eventfd");
  }
  thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

MetricsServer::~MetricsServer() {
  thread_.request_stop();
  eventfd_write(wake_, 1);
  thread_.join();
  close(wake_);
  close(listener_);
}

void MetricsServer::serve(const std::stop_token& stop) const {
  std::array<pollfd, 2> waited = {pollfd{listener_, POLLIN, 0}, pollfd{wake_, POLLIN, 0}};
  while (!stop.stop_requested()) {
    if (poll(waited.data(), waited.size(), -1) <= 0 || (waited[0].revents & POLLIN) == 0) continue;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    answer(client);
    close(client);
  }
}

void MetricsServer::answer(int client) const {
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &kClientPatience, sizeof(kClientPatience));
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &kClientPatience, sizeof(kClientPatience));
  const std::string request = read_request(client);
  const bool known = request.starts_with("GET /metrics ") || request.starts_with("GET /metrics?");
  const std::string body = known ? page_() : "the page is /metrics\n";
  send_all(client,
           fmt::format("HTTP/1.1 {}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                       "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
                       known ? "200 OK" : "404 Not Found", body.size(), body));
}

}  // namespace bit::launcher
