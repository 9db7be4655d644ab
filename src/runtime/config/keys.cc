#include "runtime/config/keys.h"

#include <array>

namespace millrace::runtime {
namespace {

using enum KeyType;

constexpr std::int64_t kMillion = 1'000'000;

// key, type, default, environment, words, min, max, secret
constexpr KeySpec kSpecs[] = {
    {"environment", kText, "development", "ENVIRONMENT", ""},
    {"processing.mode", kChoice, "single", "", "single|distributed"},

    {"storage.backend", kChoice, "sqlite", "", "sqlite|postgresql"},
    {"storage.path", kText, "./millrace.db", "", ""},
    {"storage.url", kText, "", "DATABASE_URL", ""},
    {"storage.host", kText, "", "", ""},
    {"storage.port", kInteger, "5432", "", "", 1, 65535},
    {"storage.database", kText, "", "", ""},
    {"storage.user", kText, "", "", ""},
    {"storage.sslmode", kChoice, "prefer", "", "disable|allow|prefer|require|verify-ca|verify-full"},
    {"storage.read_url", kText, "", "", ""},
    {"storage.listen_url", kText, "", "", ""},
    {"storage.password", kText, "", "DB_PASSWORD", "", 0, 0, true},
    {"storage.password_env", kText, "", "", ""},
    {"storage.password_file", kText, "", "", ""},
    {"storage.schema", kText, "millrace", "", ""},
    {"storage.pool_size", kInteger, "2", "DB_POOL_MIN_SIZE", "", 1, 1000},
    {"storage.max_overflow", kInteger, "8", "", "", 0, 1000},
    {"storage.pool_timeout", kDuration, "30s", "", ""},
    {"storage.pool_recycle", kDuration, "3600s", "", ""},

    {"work_queue.claim_timeout", kDuration, "300s", "", "", 1000},
    {"work_queue.heartbeat_interval", kDuration, "5s", "", "", 1000},
    {"work_queue.stale_threshold", kDuration, "30s", "", "", 1000},
    {"work_queue.max_retries", kInteger, "by-priority", "", "by-priority", 0, kMillion},
    {"work_queue.max_crashes", kInteger, "3", "", "", 1, kMillion},
    {"work_queue.batch_size", kInteger, "auto", "", "auto", 1, 10000},
    {"work_queue.prefetch_count", kInteger, "auto", "", "auto", 0, 100000},
    {"work_queue.retries.critical", kInteger, "5", "JOBS_RETRY_MAX_ATTEMPTS_CRITICAL", "", 0, kMillion},
    {"work_queue.retries.high", kInteger, "3", "JOBS_RETRY_MAX_ATTEMPTS_HIGH", "", 0, kMillion},
    {"work_queue.retries.default", kInteger, "3", "JOBS_RETRY_MAX_ATTEMPTS_DEFAULT", "", 0, kMillion},
    {"work_queue.retries.low", kInteger, "3", "JOBS_RETRY_MAX_ATTEMPTS_LOW", "", 0, kMillion},
    {"work_queue.retries.bulk", kInteger, "0", "JOBS_RETRY_MAX_ATTEMPTS_BULK", "", 0, kMillion},
    {"work_queue.capacity.critical", kInteger, "unbounded", "JOBS_QUEUE_CAPACITY_CRITICAL", "unbounded", 1},
    {"work_queue.capacity.high", kInteger, "unbounded", "JOBS_QUEUE_CAPACITY_HIGH", "unbounded", 1},
    {"work_queue.capacity.default", kInteger, "unbounded", "JOBS_QUEUE_CAPACITY_DEFAULT", "unbounded", 1},
    {"work_queue.capacity.low", kInteger, "unbounded", "JOBS_QUEUE_CAPACITY_LOW", "unbounded", 1},
    {"work_queue.capacity.bulk", kInteger, "unbounded", "JOBS_QUEUE_CAPACITY_BULK", "unbounded", 1},

    {"worker.id", kText, "", "WORKER_ID POD_NAME", ""},
    {"worker.type", kText, "all", "WORKER_TYPE", ""},
    {"worker.priorities", kPriorities, "all", "WORKER_PRIORITY_FILTER", ""},
    {"worker.queues", kTexts, "all", "", ""},
    {"worker.concurrency", kInteger, "cores", "", "cores", 1, 10000},
    {"worker.shutdown_timeout", kDuration, "30s", "SHUTDOWN_TIMEOUT", ""},
    {"worker.scheduler_enabled", kBoolean, "true", "SCHEDULER_ENABLED QUARKUS_SCHEDULER_ENABLED", ""},

    {"http.host", kText, "127.0.0.1", "HTTP_HOST", ""},
    {"http.port", kInteger, "off", "HTTP_PORT", "off", 0, 65535},
    {"http.shutdown_delay", kDuration, "0s", "", ""},
    {"http.cors_origins", kTexts, "", "", ""},
    {"http.token", kText, "", "", "", 0, 0, true},
    {"http.token_file", kText, "", "", ""},
    {"http.tls.certificate_file", kText, "", "", ""},
    {"http.tls.key_file", kText, "", "", ""},
    {"http.health_check_interval", kDuration, "30s", "HEALTH_CHECK_INTERVAL", "", 10'000},

    {"log.level", kChoice, "auto", "LOG_LEVEL", "auto|debug|info|warn|warning|error|off"},
    {"log.structured", kChoice, "auto", "STRUCTURED_LOGGING", "auto|true|false"},

    {"documents.max_bytes", kBytes, "256MiB", "", "", 1},
    {"embeddings.provider", kChoice, "built-in", "", "built-in|openai"},
    {"embeddings.model", kText, "", "", ""},
    {"embeddings.url", kText, "", "", ""},
    {"embeddings.api_key_env", kText, "", "", ""},
    {"embeddings.dimension", kInteger, "256", "", "", 1, 65536},
    {"embeddings.threshold", kNumber, "0.75", "", "", 0, 1},

    {"sites.discovery_interval", kDuration, "300s", "", ""},
    {"sites.reporting_interval", kDuration, "600s", "", ""},
    {"sites.cooldown", kDuration, "86400s", "", ""},
    {"sites.max_parishes_per_diocese", kInteger, "50", "MAX_PARISHES_PER_DIOCESE", "", 0, kMillion},
    {"sites.num_parishes_for_schedule", kInteger, "101", "NUM_PARISHES_FOR_SCHEDULE", "", 0, kMillion},
};

}  // namespace

std::span<const KeySpec> KeySpecs() { return kSpecs; }

}  // namespace millrace::runtime
