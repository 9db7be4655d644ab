#include "engine/job_state.h"

#include <array>

namespace millrace::engine {
namespace {

struct Transition {
  JobState from;
  JobEvent event;
  JobState to;
};

using S = JobState;
using E = JobEvent;

constexpr std::array kTransitions = {
    Transition{S::kWaiting, E::kReady, S::kAvailable},    Transition{S::kWaiting, E::kReadyLater, S::kScheduled},
    Transition{S::kScheduled, E::kDue, S::kAvailable},    Transition{S::kRetryable, E::kDue, S::kAvailable},
    Transition{S::kAvailable, E::kClaim, S::kRunning},    Transition{S::kRunning, E::kOk, S::kCompleted},
    Transition{S::kRunning, E::kError, S::kRetryable},    Transition{S::kRunning, E::kFatal, S::kDead},
    Transition{S::kRunning, E::kSnooze, S::kScheduled},   Transition{S::kRunning, E::kRelease, S::kAvailable},
    Transition{S::kRunning, E::kCrash, S::kAvailable},    Transition{S::kRunning, E::kPoison, S::kDead},
    Transition{S::kWaiting, E::kCancel, S::kCancelled},   Transition{S::kScheduled, E::kCancel, S::kCancelled},
    Transition{S::kAvailable, E::kCancel, S::kCancelled}, Transition{S::kRetryable, E::kCancel, S::kCancelled},
    Transition{S::kRunning, E::kCancel, S::kCancelled},   Transition{S::kDead, E::kRetryDead, S::kAvailable},
};

}  // namespace

std::optional<JobState> Next(JobState state, JobEvent event) {
  for (const Transition& transition : kTransitions) {
    if (transition.from == state && transition.event == event) return transition.to;
  }
  return std::nullopt;
}

bool IsFinished(JobState state) {
  return state == JobState::kCompleted || state == JobState::kCancelled || state == JobState::kDead;
}

bool CountsAsAttempt(JobEvent event) {
  return event == JobEvent::kOk || event == JobEvent::kError || event == JobEvent::kFatal;
}

}  // namespace millrace::engine
