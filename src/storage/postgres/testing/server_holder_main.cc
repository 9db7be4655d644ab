// A program with a TestCluster's server of its own, whose URL it writes to file descriptor 3; it waits to be
// killed. See
// test_cluster_pgtest.cc.
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "storage/postgres/test_cluster.h"

int main() {
  try {
    const std::string url = millrace::storage::postgres::TestCluster::Get().Url("postgres");
    constexpr int kUrl = 3;
    if (write(kUrl, url.data(), url.size()) != static_cast<ssize_t>(url.size())) return 1;
    pause();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
