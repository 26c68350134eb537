// A small HTTP server with one page, /metrics. Own, because civetweb (prometheus-cpp's) gives its
// threads a stack of 100 kB, from which the C library takes LibTorch's thread-local storage: too
// little is left to print a number.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace bit::launcher {

class MetricsServer {
 public:
  // Listens on host:port (port 0: a free one) and answers on a thread of its own, one client at a
  // time; `page` is called there. Throws std::system_error when it cannot listen; its what() ends
  // with the reason.
  MetricsServer(const std::string& host, unsigned port, std::function<std::string()> page);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  unsigned port() const { return port_; }

 private:
  void serve(const std::stop_token& stop) const;
  void answer(int client) const;

  std::function<std::string()> page_;
  int listener_ = -1;
  int wake_ = -1;  // becomes readable when the server has to stop
  unsigned port_ = 0;
  std::jthread thread_;
};

}  // namespace bit::launcher
