// What a Client shares with the Workers of its process.
#pragma once

#include <memory>

#include "millrace/client.h"
#include "storage/storage.h"

namespace millrace {

struct Client::Impl {
  std::shared_ptr<storage::Storage> storage;
  StorageOptions options;
};

}  // namespace millrace
