#include "pipeline/convert/tfrecord_input.h"

#include <utility>

#include "pipeline/convert/list_containers.h"
#include "storage/example.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Of a class by its number in the records. By name where there are names: the text of a number
// could be the name of another class. Throws storage::DataError with the reason alone.
std::string label_text(std::int32_t label, const std::vector<std::string>& class_names) {
  if (class_names.empty()) return std::to_string(label);
  if (static_cast<std::size_t>(label) >= class_names.size()) {
    throw storage::DataError("label " + std::to_string(label) + " (from 0), but there are " +
                             std::to_string(class_names.size()) + " classes");
  }
  return class_names[static_cast<std::size_t>(label)];
}

// Throws storage::DataError with the reason alone.
void add_record(const storage::RecordReader::Record& record,
                const std::vector<std::string>& class_names, const std::string& name,
                ContainerWalk& walk) {
  const storage::ImageExample image = storage::parse_image_example(record.data);
  FoundImage found;
  found.key = image.key.empty() ? file_name(walk.part().path) + "#" + std::to_string(record.index)
                                : std::string(image.key);
  found.name = name;
  for (const std::int32_t label : image.labels) {
    found.labels.push_back(label_text(label, class_names));
  }
  const auto in_data = static_cast<std::uint64_t>(image.encoded.data() - record.data.data());
  found.offset = walk.keep(record.offset + storage::kRecordHeaderBytes + in_data, image.encoded);
  found.bytes = image.encoded.size();
  walk.add(std::move(found));
}

}  // namespace

TfrecordInput::TfrecordInput(storage::FileSystem& files, TfrecordOptions options)
    : files_(files), options_(std::move(options)) {}

void TfrecordInput::list(ListingWriter& listing) {
  std::vector<ContainerPart> parts(options_.paths.size());
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i].path = options_.paths[i];
  list_containers(files_, listing, parts, options_.threads, 0, [&](ContainerWalk& walk) {
    storage::RecordReader reader(walk.file());
    while (const auto record = reader.next()) {
      const std::string name =
          "record " + std::to_string(record->index) + " at byte " + std::to_string(record->offset);
      if (record->fault) {
        walk.add_problem(name, storage::describe(*record));
        continue;
      }
      try {
        add_record(*record, options_.class_names, name, walk);
      } catch (const storage::DataError& error) {
        walk.add_problem(name, error.what());
      }
    }
  });
}

}  // namespace bit::pipeline
