// The suite against the model itself: what the model may not do, no driver may either.
#include "storage/conformance/model.h"
#include "storage/conformance/suite.h"

namespace millrace::storage {
namespace {

Instance OpenMemory(const StorageOptions& options) {
  auto clock = std::make_shared<base::ManualClock>(Time(std::chrono::seconds(1'700'000'000)));
  const std::shared_ptr<MemoryStorage> first = std::make_shared<MemoryStorage>(options, *clock);
  Instance instance;
  instance.storage = first->Reopen();
  instance.advance = [clock, first](Duration by) {
    clock->Advance(by);
    first->Poke();
  };
  instance.reopen = [first] { return first->Reopen(); };
  return instance;
}

}  // namespace

INSTANTIATE_CONFORMANCE(Memory, Driver{"memory", OpenMemory});

}  // namespace millrace::storage
