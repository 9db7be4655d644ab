// Puts file, environment and flags together into a Config. Used by Config::Load alone.
#pragma once

#include "runtime/config/config.h"
#include "runtime/config/keys.h"

namespace millrace::runtime {

class ConfigLoader {
 public:
  explicit ConfigLoader(const ConfigInputs& inputs) : inputs_(inputs) {}
  Config Load();

 private:
  void SetDefaults();
  void ReadFile();
  void ReadGroup(base::YamlMap& map, const std::string& prefix);
  void ReadSections(base::YamlMap& map);
  void ReadEnvironment();
  void ReadPoolMaximum();
  void ReadFlags();
  void ResolveDatabase();  // database.cc, with the four below
  void ResolveFile(bool has_url);
  void ResolvePostgres(bool has_url);
  void ResolvePassword();
  void WarnOfUnused();
  void CheckLater();
  void CheckWorker();

  [[nodiscard]] std::optional<std::string> Variable(const std::string& name) const;
  Setting& Find(std::string_view key);
  // Sets a key from text outside the file; `place` names it in problems ("environment variable LOG_LEVEL").
  void SetText(const KeySpec& spec, const std::string& text, const std::string& place, Origin origin);
  void Assign(const KeySpec& spec, const base::YamlReader& reader, Origin origin);
  void Problem(const Setting& setting, std::string message);

  const ConfigInputs& inputs_;
  Config config_;
  std::map<std::string, std::string> defaults_;  // by key, as Setting::value
};

// Reads a value of the key's type. False, and a problem in the reader, when it is none.
bool ReadSetting(const KeySpec& spec, const base::YamlReader& reader, bool from_file, Setting& out);

}  // namespace millrace::runtime
