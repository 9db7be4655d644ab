#include "pipelines/documents/parsers/ooxml_package.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "base/json.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxRelationships = 200'000;
constexpr std::size_t kMaxProperty = 64 << 10;

class RelationshipsHandler : public OoxmlHandler {
 public:
  RelationshipsHandler(std::string_view part, OoxmlRelationships& out) : part_(part), out_(out) {}

  void Start(OoxmlTag tag, const OoxmlAttributes& attributes) override {
    if (tag != OoxmlTag::kRelationship || out_.all().size() >= kMaxRelationships) return;
    OoxmlRelationship relationship;
    relationship.id = attributes.Get("Id");
    relationship.type = BaseName(attributes.Get("Type"));
    relationship.external = attributes.Get("TargetMode") == "External";
    const std::string_view target = attributes.Get("Target");
    relationship.target = relationship.external ? std::string(target) : ResolvePartName(part_, target);
    out_.Add(std::move(relationship));
  }
  void End(OoxmlTag) override {}
  void Text(std::string_view) override {}

 private:
  std::string_view part_;
  OoxmlRelationships& out_;
};

// Properties by tag, and custom ones by name.
class PropertiesHandler : public OoxmlHandler {
 public:
  void Start(OoxmlTag tag, const OoxmlAttributes& attributes) override {
    if (tag == OoxmlTag::kPropCustom) {
      custom_name_ = attributes.Get("name");
    } else if (tag != OoxmlTag::kOther) {
      current_ = tag;
    }
  }
  void End(OoxmlTag tag) override {
    if (tag == OoxmlTag::kPropCustom) custom_name_.clear();
    if (tag != OoxmlTag::kOther) current_ = OoxmlTag::kOther;
  }
  void Text(std::string_view text) override {
    std::string* value = nullptr;
    if (!custom_name_.empty()) {
      value = &custom[custom_name_];
    } else if (current_ != OoxmlTag::kOther) {
      value = &values[current_];
    }
    if (value != nullptr && value->size() < kMaxProperty) value->append(text.substr(0, kMaxProperty));
  }

  std::map<OoxmlTag, std::string> values;
  std::map<std::string, std::string> custom;

 private:
  OoxmlTag current_ = OoxmlTag::kOther;
  std::string custom_name_;
};

std::string Trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string ExtraProperties(const PropertiesHandler& properties) {
  using Tag = OoxmlTag;
  constexpr std::pair<Tag, std::string_view> kNames[] = {{Tag::kPropDescription, "description"},
                                                         {Tag::kPropCategory, "category"},
                                                         {Tag::kPropLastModifiedBy, "last_modified_by"},
                                                         {Tag::kPropCompany, "company"},
                                                         {Tag::kPropTemplate, "template"}};
  base::json::object extra;
  for (const auto& [tag, name] : kNames) {
    const auto found = properties.values.find(tag);
    if (found == properties.values.end()) continue;
    if (const std::string value = Trimmed(found->second); !value.empty()) extra[name] = value;
  }
  base::json::object custom;
  for (const auto& [name, value] : properties.custom) {
    if (!Trimmed(value).empty()) custom[name] = Trimmed(value);
  }
  if (!custom.empty()) extra["custom"] = std::move(custom);
  return extra.empty() ? std::string() : base::ToJson(extra);
}

}  // namespace

const OoxmlRelationship* OoxmlRelationships::ById(std::string_view id) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const auto& r) { return r.id == id; });
  return found == all_.end() ? nullptr : &*found;
}

const OoxmlRelationship* OoxmlRelationships::FirstOfType(std::string_view type) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const auto& r) { return r.type == type; });
  return found == all_.end() ? nullptr : &*found;
}

Result<OoxmlRelationships> ReadRelationships(ZipArchive& zip, std::string_view part) {
  const std::size_t slash = part.rfind('/');
  const std::string folder(slash == std::string_view::npos ? std::string_view() : part.substr(0, slash + 1));
  const std::string file = folder + "_rels/" + std::string(BaseName(part)) + ".rels";
  OoxmlRelationships relationships;
  if (zip.Find(file) == nullptr) return relationships;
  RelationshipsHandler handler(part, relationships);
  if (auto r = OoxmlReader::Read(zip, file, handler); !r) return fail(r.error());
  return relationships;
}

void ReadOoxmlProperties(ZipArchive& zip, const OoxmlRelationships& package, ElementSink& sink) {
  PropertiesHandler properties;
  for (const OoxmlRelationship& relationship : package.all()) {
    const std::string& type = relationship.type;
    if (relationship.external || zip.Find(relationship.target) == nullptr) continue;
    if (type != "core-properties" && type != "extended-properties" && type != "custom-properties" &&
        type != "coreProperties" && type != "extendedProperties" && type != "customProperties") {
      continue;
    }
    if (auto r = OoxmlReader::Read(zip, relationship.target, properties); !r) {
      sink.Warn("document properties left out: " + r.error().message);
    }
  }
  DocumentMetadata& metadata = sink.metadata();
  const auto take = [&](OoxmlTag tag, std::string& into) {
    const auto found = properties.values.find(tag);
    if (found != properties.values.end()) into = Trimmed(found->second);
  };
  take(OoxmlTag::kPropTitle, metadata.title);
  take(OoxmlTag::kPropCreator, metadata.author);
  take(OoxmlTag::kPropSubject, metadata.subject);
  take(OoxmlTag::kPropKeywords, metadata.keywords);
  take(OoxmlTag::kPropCreated, metadata.created);
  take(OoxmlTag::kPropModified, metadata.modified);
  take(OoxmlTag::kPropApplication, metadata.producer);
  std::string language;
  take(OoxmlTag::kPropLanguage, language);
  if (language.size() == 2 || (language.size() > 2 && language[2] == '-')) metadata.language = language.substr(0, 2);
  std::string pages;
  take(OoxmlTag::kPropPages, pages);
  std::int32_t number = 0;
  std::from_chars(pages.data(), pages.data() + pages.size(), number);
  if (number > 0) metadata.pages = number;
  metadata.extra = ExtraProperties(properties);
}

std::string ResolvePartName(std::string_view part, std::string_view target) {
  std::vector<std::string_view> steps;
  const auto walk = [&](std::string_view path) {
    for (std::size_t at = 0; at <= path.size();) {
      const std::size_t end = std::min(path.find_first_of("/\\", at), path.size());
      const std::string_view step = path.substr(at, end - at);
      if (step == ".." && !steps.empty()) steps.pop_back();
      if (!step.empty() && step != "." && step != "..") steps.push_back(step);
      at = end + 1;
    }
  };
  const std::size_t slash = part.rfind('/');
  if (!target.starts_with('/') && slash != std::string_view::npos) walk(part.substr(0, slash));
  walk(target);
  std::string name;
  for (const std::string_view step : steps) {
    if (!name.empty()) name += '/';
    name += step;
  }
  return name;
}

std::string_view BaseName(std::string_view part) {
  const std::size_t slash = part.find_last_of("/\\");
  return slash == std::string_view::npos ? part : part.substr(slash + 1);
}

ZipLimits ZipLimitsFor(const ParseLimits& limits) {
  ZipLimits zip;
  // Parts are read in pieces, so the memory of the child does not bound them; its time does, and this.
  zip.max_total = std::max<std::int64_t>(limits.max_bytes, 1 << 20) * 4;
  zip.max_member = zip.max_total / 2;
  return zip;
}

}  // namespace millrace::documents
