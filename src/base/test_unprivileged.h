// For tests: file permissions that count.
#pragma once

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>

namespace millrace::base {

// Makes file permissions count for this thread even when root runs the tests, as long as it lives. (By taking root's
// power to pass them: as another user it could not even enter a root folder that is root's alone.)
class Unprivileged {
 public:
  Unprivileged() {
    if (::syscall(SYS_capget, &header_, before_.data()) != 0) throw std::runtime_error("capget failed");
    auto without = before_;
    without[0].effective &= ~(1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH);
    Set(without);
  }
  ~Unprivileged() { Set(before_); }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

 private:
  using Capabilities = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;
  void Set(Capabilities capabilities) {
    if (::syscall(SYS_capset, &header_, capabilities.data()) != 0) std::abort();
  }

  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  Capabilities before_{};
};

}  // namespace millrace::base
