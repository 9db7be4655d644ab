// For tests: a TCP proxy that can lose the answer of a request which the server has carried out.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace millrace::storage::postgres {

// Passes bytes between its own port of 127.0.0.1 and the server's. After LoseAnswerTo(text) the next request that has
// this text still reaches the server; its answer is waited for and thrown away, and that client's connection closed.
class LossyProxy {
 public:
  explicit LossyProxy(int server_port) : server_port_(server_port), listener_(Socket()) {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 16) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("the proxy cannot listen");
    }
    port_ = ntohs(address.sin_port);
    accepting_ = std::jthread([this](const std::stop_token& stop) { Accept(stop); });
  }
  ~LossyProxy() {
    accepting_.request_stop();
    shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    for (auto& pump : pumps_) pump.request_stop();
    pumps_.clear();
    close(listener_);
  }
  LossyProxy(const LossyProxy&) = delete;
  LossyProxy& operator=(const LossyProxy&) = delete;

  [[nodiscard]] int port() const { return port_; }
  // The text must not be empty.
  void LoseAnswerTo(std::string text) {
    const std::lock_guard lock(mutex_);
    lose_ = std::move(text);
  }
  // Whether an answer was lost since LoseAnswerTo.
  [[nodiscard]] bool lost() {
    const std::lock_guard lock(mutex_);
    return lose_.empty();
  }

 private:
  static int Socket() { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }
  static sockaddr_in Loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  // Whether the server's answer ends with this: ReadyForQuery, which it sends when it has committed.
  static bool IsWhole(std::string_view answer) {
    constexpr std::string_view kReady("Z\0\0\0\5", 5);  // and a byte that says whether a transaction is open
    return answer.size() > kReady.size() && answer.substr(answer.size() - kReady.size() - 1).starts_with(kReady);
  }
  // Once for each LoseAnswerTo.
  bool IsToLose(std::string_view request) {
    const std::lock_guard lock(mutex_);
    const bool found = !lose_.empty() && request.find(lose_) != std::string_view::npos;
    if (found) lose_.clear();
    return found;
  }

  void Accept(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const int client = accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      pumps_.emplace_back([this, client](const std::stop_token& pump_stop) { Pump(client, pump_stop); });
    }
  }

  void Pump(int client, const std::stop_token& stop) {
    const int server = Socket();
    const sockaddr_in address = Loopback(server_port_);
    bool open = connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    bool losing = false;
    std::array<char, 65536> bytes{};
    while (open && !stop.stop_requested()) {
      std::array<pollfd, 2> ends = {pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
      if (poll(ends.data(), ends.size(), 20) <= 0) continue;  // the time-out only notices `stop`
      if (ends[0].revents != 0) {
        const ssize_t got = read(client, bytes.data(), bytes.size());
        losing = losing || (got > 0 && IsToLose({bytes.data(), static_cast<std::size_t>(got)}));
        open = got > 0 && write(server, bytes.data(), static_cast<std::size_t>(got)) == got;
      }
      if (open && ends[1].revents != 0) {
        const ssize_t got = read(server, bytes.data(), bytes.size());
        const std::string_view answer(bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
        open = got > 0 && (losing ? !IsWhole(answer) : write(client, bytes.data(), answer.size()) == got);
      }
    }
    close(server);
    close(client);
  }

  const int server_port_;
  const int listener_;
  int port_ = 0;
  std::mutex mutex_;
  std::string lose_;  // empty: none
  std::vector<std::jthread> pumps_;
  std::jthread accepting_;
};

}  // namespace millrace::storage::postgres
