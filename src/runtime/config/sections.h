// The structured sections of the configuration: queues, content_sources, pipelines, handlers, schedules.
// Each reader adds what it understood to `out` and every mistake to the reader's problems.
#pragma once

#include "base/yaml.h"
#include "runtime/config/config.h"

namespace millrace::runtime {

struct Sections {
  std::vector<QueueOptions> queues;
  std::vector<FileSourceConfig> sources;
  std::vector<PipelineConfig> pipelines;
  std::vector<HandlerConfig> handlers;
};

void ReadQueues(const base::YamlReader& reader, Sections& out);
void ReadSources(const base::YamlReader& reader, Sections& out);
void ReadHandlers(const base::YamlReader& reader, Sections& out);
void ReadSchedules(const base::YamlReader& reader);
// After ReadSources: a pipeline names sources, or holds them itself.
void ReadPipelines(const base::YamlReader& reader, Sections& out);

}  // namespace millrace::runtime
