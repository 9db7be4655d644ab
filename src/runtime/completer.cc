#include "runtime/completer.h"

#include <iterator>

namespace millrace::runtime {

void Completer::Fire() {
  if (armed_) armed_->request_stop();
  changed_.notify_one();
}

void Completer::Add(std::vector<storage::Report> reports, bool urgent) {
  const std::lock_guard lock(mutex_);
  const std::size_t before = reports_.size();
  if (before == 0) first_added_ = std::chrono::steady_clock::now();
  std::move(reports.begin(), reports.end(), std::back_inserter(reports_));
  // The loop needs to hear of the first outcome, of a full batch, and of an idle slot; of nothing in between.
  const bool filled = before < full_ && reports_.size() >= full_;
  const bool newly_urgent = urgent && !urgent_;
  urgent_ = urgent_ || urgent;
  if (before == 0 || filled || newly_urgent) Fire();
}

std::vector<storage::Report> Completer::Take() {
  std::unique_lock lock(mutex_);
  if (!reports_.empty()) {
    changed_.wait_until(lock, first_added_ + linger_,
                        [&] { return urgent_ || interrupted_ || reports_.size() >= full_; });
  }
  urgent_ = false;
  return std::exchange(reports_, {});
}

void Completer::Wait(std::chrono::microseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return !reports_.empty() || urgent_ || interrupted_; });
  interrupted_ = false;
}

void Completer::Interrupt() {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  Fire();
}

std::stop_token Completer::Arm() {
  const std::lock_guard lock(mutex_);
  armed_.emplace();
  if (!reports_.empty() || urgent_ || interrupted_) armed_->request_stop();
  return armed_->get_token();
}

void Completer::Disarm() {
  const std::lock_guard lock(mutex_);
  armed_.reset();
  interrupted_ = false;
}

bool Completer::Empty() const {
  const std::lock_guard lock(mutex_);
  return reports_.empty();
}

}  // namespace millrace::runtime
