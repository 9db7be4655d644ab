#include "support/owner.h"

#include <csignal>

namespace millrace::tests {

void OwnerTest::SetUp() {
  WriteFile(folder_ / "in" / "note.txt", "A note about the wobbegong.\n");
  WriteFile(folder_ / "in" / "broken.pdf", "%PDF-1.4 broken");
  const Ended ended = RunMillrace(folder_.path(), {"run", "documents", "in", "--db", "m.db"});
  ASSERT_EQ(ended.code, 3) << Describe(ended);
  worker_ = std::make_unique<Child>(Millrace(folder_.path(), {"worker", "--db", "m.db", "--worker-id", "the-owner"}));
  while (!worker_->WaitForExit(std::chrono::milliseconds(1))) {
    if (RunMillrace(folder_.path(), {"healthcheck", "--ready", "--db", "m.db"}).code == 0) return;
  }
  FAIL() << "the worker ended: " << Describe(worker_->Wait());
}

void OwnerTest::TearDown() {
  if (worker_ == nullptr) return;
  worker_->Kill(SIGTERM);
  const Ended ended = worker_->Wait(std::chrono::seconds(30));
  EXPECT_EQ(ended.code, 0) << Describe(ended);
}

}  // namespace millrace::tests
