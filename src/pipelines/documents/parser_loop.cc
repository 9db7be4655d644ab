// The sink and the main loop of a parser's process.
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>
#include <span>
#include <stdexcept>
#include <thread>

#include "pipelines/documents/parser_protocol.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kFlushBytes = 256 << 10;
constexpr std::size_t kMaxWarningBytes = 500;
// More tells nothing new of the language, and asking costs as much as parsing.
constexpr std::size_t kSampleBytes = 4 << 10;
// Heap kept from one document for the next: to give pages back and get them again costs more than most documents do.
constexpr int kKeepHeap = 32 << 20;
constexpr int kMappedBlock = 4 << 20;          // blocks from here on are mapped, and given back when freed
constexpr std::size_t kReadWhole = 256 << 10;  // larger documents are mapped
constexpr rlim_t kMaxOpenFiles = 64;

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitMemory = false;  // a sanitizer's shadow memory is larger than any limit
#else
constexpr bool kLimitMemory = true;
#endif

void Limit(int resource, rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
}

// For the process's whole life.
void LimitProcess(const ParseLimits& limits) {
  Limit(RLIMIT_CORE, 0, 0);
  Limit(RLIMIT_NOFILE, kMaxOpenFiles, kMaxOpenFiles);
  const auto output = static_cast<rlim_t>(limits.max_output) + kMaxTrailerBytes + kFlushBytes;
  Limit(RLIMIT_FSIZE, output, output);
  if (kLimitMemory) Limit(RLIMIT_AS, static_cast<rlim_t>(limits.memory), static_cast<rlim_t>(limits.memory));
}

Duration Time(const timeval& time) { return std::chrono::seconds(time.tv_sec) + Duration(time.tv_usec); }

void KeepHeap() {
  ::mallopt(M_TRIM_THRESHOLD, kKeepHeap);
  ::mallopt(M_MMAP_THRESHOLD, kMappedBlock);
}

// What a large document left.
void TrimHeap() {
  if (::mallinfo2().arena > static_cast<std::size_t>(kKeepHeap)) ::malloc_trim(1 << 20);
}

// The kernel ends the process when it used this much more processor time than now, in whole seconds.
void LimitCpu(Duration more) {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto limit = std::chrono::ceil<std::chrono::seconds>(Time(used.ru_utime) + Time(used.ru_stime) + more);
  Limit(RLIMIT_CPU, static_cast<rlim_t>(limit.count()), RLIM_INFINITY);
}

// A thread that ends the process when the parent has closed its end of the socket, in the middle of a document too.
// (The signal on a parent's death would come when the thread that started this process ends; signals of the socket come
// for other reasons as well.)
void DieWithParent() {
  std::thread([] {
    pollfd hangup{kParserSocketFd, POLLRDHUP, 0};
    while (::poll(&hangup, 1, -1) < 0 && errno == EINTR) {
    }
    ::_exit(0);
  }).detach();
}

struct Request {
  RequestFrame frame;
  int fd = -1;
};

// The descriptor in a message's control data; -1 without one.
int SentDescriptor(msghdr& message) {
  int fd = -1;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) std::memcpy(&fd, CMSG_DATA(part), sizeof(fd));
  }
  return fd;
}

std::optional<Request> Receive() {
  static std::array<char, kMaxFrameBytes> buffer;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t size = -1;
  do {
    size = ::recvmsg(kParserSocketFd, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return std::nullopt;
  Request request;
  request.fd = SentDescriptor(message);
  auto frame = DecodeRequest({buffer.data(), static_cast<std::size_t>(size)});
  if (!frame || request.fd < 0) return std::nullopt;
  request.frame = std::move(*frame);
  return request;
}

bool Send(const ReplyFrame& reply) {
  const std::string bytes = EncodeReply(reply);
  ssize_t size = -1;
  do {
    size = ::send(kParserSocketFd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } while (size < 0 && errno == EINTR);
  return size == static_cast<ssize_t>(bytes.size());
}

ReplyFrame Failed(std::string reason, std::string message) {
  ReplyFrame reply;
  reply.failure = {std::move(reason), std::move(message)};
  return reply;
}

ReplyFrame MachineFailed(std::string message) {
  ReplyFrame reply = Failed("", std::move(message));
  reply.status = ReplyFrame::Status::kMachine;
  return reply;
}

ReplyFrame TooMuchMemory(const ParseLimits& limits) {
  return Failed("memory_limit",
                "the document needs more memory than the limit of " + std::to_string(limits.memory >> 20) + " MiB");
}

// A document in memory, and its descriptor; both end with it. To map a small one costs more than to read it.
class DocumentBytes {
 public:
  // `room` holds a document that is read; it must outlive this.
  DocumentBytes(int fd, std::span<char> room) : fd_(fd) {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) return;
    const auto size = static_cast<std::size_t>(info.st_size);
    ok_ = size <= room.size() ? Read(room.first(size)) : Map(size);
  }
  ~DocumentBytes() {
    if (mapped_) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
    ::close(fd_);
  }
  DocumentBytes(const DocumentBytes&) = delete;
  DocumentBytes& operator=(const DocumentBytes&) = delete;
  // When it is not, errno says why.
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::string_view bytes() const { return bytes_; }

 private:
  bool Read(std::span<char> room) {
    std::size_t have = 0;
    while (have < room.size()) {
      const ssize_t got = ::pread(fd_, room.data() + have, room.size() - have, static_cast<off_t>(have));
      if (got < 0 && errno == EINTR) continue;
      if (got == 0) errno = ESTALE;  // it became shorter
      if (got <= 0) return false;
      have += static_cast<std::size_t>(got);
    }
    bytes_ = std::string_view(room.data(), room.size());
    return true;
  }
  bool Map(std::size_t size) {
    void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd_, 0);
    mapped_ = start != MAP_FAILED;
    if (mapped_) bytes_ = std::string_view(static_cast<const char*>(start), size);
    return mapped_;
  }

  int fd_;
  bool ok_ = false;
  bool mapped_ = false;
  std::string_view bytes_;
};

// Nearly all text is UTF-8 already; `repaired` holds what is not.
std::string_view Utf8Of(std::string_view text, std::string& repaired) {
  if (IsUtf8(text)) return text;
  return repaired = ReplaceBadUtf8(text);
}

ReplyFrame ParseInto(const ParserInput& input, const ParseDispatch& parse, const LanguageOf& language) {
  SpoolSink sink(kParserSpoolFd, input.limits, language ? kSampleBytes : 0);
  if (auto failure = parse(input, sink)) return Failed(std::move(failure->reason), std::move(failure->message));
  DocumentMetadata& metadata = sink.metadata();
  if (language && metadata.language.empty()) metadata.language = language(sink.sample());
  return sink.Finish();
}

ReplyFrame Handle(const Request& request, const ParseDispatch& parse, const LanguageOf& language) {
  static std::array<char, kReadWhole> room;
  const DocumentBytes file(request.fd, room);
  if (!file.ok() && errno == ENOMEM) return TooMuchMemory(request.frame.limits);
  if (!file.ok()) return MachineFailed("cannot read the document: " + std::string(std::strerror(errno)));
  try {
    return ParseInto({file.bytes(), request.frame.name, request.frame.limits}, parse, language);
  } catch (const LimitReached& reached) {
    return Failed(reached.failure.reason, reached.failure.message);
  } catch (const SpoolError& error) {
    return MachineFailed(error.message);
  } catch (const std::bad_alloc&) {
    return TooMuchMemory(request.frame.limits);
  } catch (const std::exception& error) {
    return Failed("broken", "the parser gave up: " + std::string(error.what()));
  }
}

}  // namespace

SpoolSink::SpoolSink(int fd, const ParseLimits& limits, std::size_t sample_bytes)
    : fd_(fd), limits_(limits), sample_bytes_(sample_bytes) {
  buffer_.reserve(kFlushBytes + (16 << 10));
  AddOne(-1, ElementType::kRoot, {}, {}, 0, {});
}

std::int32_t SpoolSink::Add(std::int32_t parent, ElementType type, std::string_view text, std::string_view location,
                            int level, std::string_view metadata) {
  if (parent < 0 || static_cast<std::size_t>(parent) >= depths_.size()) {
    throw std::logic_error("an element's parent must be added before it");
  }
  Sample(text);
  std::string repaired;
  text = Utf8Of(text, repaired);
  std::string_view piece = CutUtf8(text, kMaxElementText);
  const std::int32_t first = AddOne(Flatten(parent), type, piece, location, level, metadata);
  for (text.remove_prefix(piece.size()); !text.empty(); text.remove_prefix(piece.size())) {
    piece = CutUtf8(text, kMaxElementText);
    AddOne(Flatten(first), type, piece, location, level, {});
  }
  return first;
}

std::int32_t SpoolSink::AddOne(std::int32_t parent, ElementType type, std::string_view text, std::string_view location,
                               int level, std::string_view metadata) {
  if (static_cast<std::int64_t>(depths_.size()) > limits_.max_elements) {
    throw LimitReached{{"too_large", "the document has more than " + std::to_string(limits_.max_elements) +
                                         " elements, the limit of this worker"}};
  }
  const int depth = parent < 0 ? 0 : depths_[static_cast<std::size_t>(parent)] + 1;
  const auto index = static_cast<std::int32_t>(depths_.size());
  depths_.push_back(static_cast<std::uint16_t>(depth));
  if (depth >= limits_.max_depth) deepest_.emplace(index, parent);
  if (metadata.size() > kMaxElementMetadata / 4) {
    Warn("an element's metadata was too large and is left out");
    metadata = {};
  }
  std::string repaired_location, repaired_metadata;
  EncodeElement(
      {parent, type, static_cast<std::int16_t>(std::clamp(level, -1, 1000)), text,
       Utf8Of(CutUtf8(location, kMaxElementLocation / 4), repaired_location), Utf8Of(metadata, repaired_metadata)},
      buffer_);
  if (buffer_.size() >= kFlushBytes) Flush();
  return index;
}

std::int32_t SpoolSink::Flatten(std::int32_t parent) {
  const auto found = deepest_.find(parent);
  if (found == deepest_.end()) return parent;
  if (!flattened_) {
    Warn("nested deeper than " + std::to_string(limits_.max_depth) + " levels: deeper content is kept at that level");
  }
  flattened_ = true;
  return found->second;
}

void SpoolSink::Warn(std::string warning) {
  std::vector<std::string>& warnings = trailer_.warnings;
  warning = ReplaceBadUtf8(CutUtf8(warning, kMaxWarningBytes));
  if (warnings.size() > kMaxWarnings || std::find(warnings.begin(), warnings.end(), warning) != warnings.end()) return;
  if (warnings.size() == kMaxWarnings) warning = "further warnings are left out";
  warnings.push_back(std::move(warning));
}

void SpoolSink::Sample(std::string_view text) {
  if (sample_.size() >= sample_bytes_ || text.empty()) return;
  sample_ += CutUtf8(text, sample_bytes_ - sample_.size());
  sample_ += '\n';
}

void SpoolSink::Flush() {
  if (written_ + buffer_.size() > static_cast<std::uint64_t>(limits_.max_output)) {
    throw LimitReached{{"too_large", "the document gives more than " + std::to_string(limits_.max_output >> 20) +
                                         " MiB of elements, the limit of this worker"}};
  }
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t size = ::pwrite(fd_, left.data(), left.size(), static_cast<off_t>(written_));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) throw SpoolError{"cannot write the spool: " + std::string(std::strerror(errno))};
    written_ += static_cast<std::uint64_t>(size);
    left.remove_prefix(static_cast<std::size_t>(size));
  }
  buffer_.clear();
}

ReplyFrame SpoolSink::Finish() {
  ReplyFrame reply;
  reply.status = ReplyFrame::Status::kParsed;
  reply.element_count = depths_.size();
  reply.element_bytes = written_ + buffer_.size();
  const std::string trailer = EncodeTrailer(trailer_);
  reply.trailer_bytes = trailer.size();
  buffer_ += trailer;
  Flush();
  return reply;
}

int RunParserChild(const ParseDispatch& parse, const LanguageOf& language) {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  if (::fcntl(kParserSocketFd, F_GETFD) < 0 || ::fcntl(kParserSpoolFd, F_GETFD) < 0) return 1;
  DieWithParent();
  KeepHeap();
  for (bool limited = false;;) {
    const auto request = Receive();
    if (!request) return 0;
    if (!limited) LimitProcess(request->frame.limits);
    limited = true;
    LimitCpu(request->frame.limits.cpu);
    const ReplyFrame reply = Handle(*request, parse, language);
    if (!Send(reply)) return 0;
    // The parent reads the spool now; it is ours again with the next request.
    TrimHeap();
  }
}

}  // namespace millrace::documents
