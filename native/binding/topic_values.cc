#include "binding/topic_values.h"

#include <cstring>
#include <memory>
#include <utility>

namespace thermocline {

namespace {

// Below this a copy costs less than handing over the memory.
constexpr size_t kCopyBytes = 8 << 10;

template <class T>
void ReadNumber(const Napi::Object& object, const char* name, T* out) {
  const Napi::Value value = object.Get(name);
  if (value.IsNumber()) *out = static_cast<T>(value.As<Napi::Number>().DoubleValue());
}

napi_value Number(napi_env env, uint64_t number) {
  napi_value value = nullptr;
  napi_create_double(env, static_cast<double>(number), &value);
  return value;
}

napi_value BlockToJs(napi_env env, std::shared_ptr<MemoryBlock> block) {
  napi_value buffer = nullptr;
  if (!block) {
    napi_get_undefined(env, &buffer);
    return buffer;
  }
  char* const data = block->data();
  const size_t size = block->size();
  if (size > kCopyBytes) {
    auto* const owner = new std::shared_ptr<MemoryBlock>(std::move(block));
    const napi_status status = napi_create_external_buffer(
        env, size, data,
        [](napi_env, void*, void* hint) {
          delete static_cast<std::shared_ptr<MemoryBlock>*>(hint);
        },
        owner, &buffer);
    if (status == napi_ok) return buffer;
    // Some programs that embed Node.js know no memory but their own.
    block = std::move(*owner);
    delete owner;
  }
  napi_create_buffer_copy(env, size, data, nullptr, &buffer);
  return buffer;
}

}  // namespace

void ReadTopicOptions(const Napi::Object& object, topic::TopicOptions* options) {
  ReadNumber(object, "partitions", &options->partitions);
  ReadNumber(object, "codec", &options->compression.codec);
  ReadNumber(object, "level", &options->compression.level);
  ReadNumber(object, "segmentBytes", &options->segment_bytes);
  ReadNumber(object, "segmentMs", &options->segment_ms);
  ReadNumber(object, "segmentRecords", &options->segment_records);
  ReadNumber(object, "retentionMs", &options->retention_ms);
  ReadNumber(object, "retentionBytes", &options->retention_bytes);
}

Napi::Object TopicOptionsToJs(Napi::Env env, const topic::TopicOptions& options) {
  Napi::Object object = Napi::Object::New(env);
  const auto set = [&](const char* name, uint64_t value) {
    object.Set(name, Napi::Value(env, Number(env, value)));
  };
  set("partitions", options.partitions);
  set("codec", static_cast<uint64_t>(options.compression.codec));
  object.Set("level", Napi::Number::New(env, options.compression.level));
  set("segmentBytes", options.segment_bytes);
  set("segmentMs", options.segment_ms);
  set("segmentRecords", options.segment_records);
  set("retentionMs", options.retention_ms);
  set("retentionBytes", options.retention_bytes);
  return object;
}

napi_value TopicChunkToJs(napi_env env, topic::ReadResult& result) {
  constexpr size_t kFields = 5;
  napi_value chunk = nullptr;
  napi_value memory = nullptr;
  napi_value batches = nullptr;
  void* data = nullptr;
  const size_t fields = result.batches.size() * kFields;
  napi_create_array_with_length(env, 5, &chunk);
  if (napi_create_arraybuffer(env, fields * sizeof(double), &data, &memory) != napi_ok ||
      napi_create_typedarray(env, napi_float64_array, fields, memory, 0, &batches) != napi_ok) {
    return nullptr;
  }
  auto* field = static_cast<double*>(data);
  for (const topic::BatchView& batch : result.batches) {
    *field++ = static_cast<double>(batch.base_offset);
    *field++ = batch.count;
    *field++ = static_cast<double>(batch.first_timestamp);
    *field++ = static_cast<double>(batch.begin);
    *field++ = static_cast<double>(batch.size);
  }
  napi_set_element(env, chunk, 0, BlockToJs(env, std::move(result.block)));
  napi_set_element(env, chunk, 1, batches);
  napi_set_element(env, chunk, 2, Number(env, result.next_offset));
  napi_set_element(env, chunk, 3, Number(env, result.end_offset));
  napi_value lost = nullptr;
  napi_create_array_with_length(env, result.lost.size() * 4, &lost);
  uint32_t index = 0;
  for (const topic::LostRange& range : result.lost) {
    napi_value segment = nullptr;
    napi_create_string_utf8(env, range.segment.data(), range.segment.size(), &segment);
    napi_set_element(env, lost, index++, segment);
    napi_set_element(env, lost, index++, Number(env, range.position));
    napi_set_element(env, lost, index++, Number(env, range.from_offset));
    napi_set_element(env, lost, index++, Number(env, range.to_offset));
  }
  napi_set_element(env, chunk, 4, lost);
  return chunk;
}

napi_value AppendOutcomeToJs(napi_env env, const topic::AppendOutcome& outcome) {
  napi_value array = nullptr;
  napi_create_array(env, &array);
  uint32_t index = 0;
  for (const topic::AppendOutcome::Part& part : outcome.parts) {
    napi_set_element(env, array, index++, Number(env, part.partition));
    napi_set_element(env, array, index++, Number(env, part.count));
    napi_set_element(env, array, index++, Number(env, part.base_offset));
    napi_set_element(env, array, index++, Number(env, part.repeated ? 1 : 0));
  }
  if (!outcome.partition_of.empty()) {
    napi_value memory = nullptr;
    napi_value of = nullptr;
    void* data = nullptr;
    const size_t count = outcome.partition_of.size();
    if (napi_create_arraybuffer(env, count * sizeof(uint32_t), &data, &memory) == napi_ok &&
        napi_create_typedarray(env, napi_uint32_array, count, memory, 0, &of) == napi_ok) {
      std::memcpy(data, outcome.partition_of.data(), count * sizeof(uint32_t));
      napi_set_element(env, array, index, of);
    }
  }
  return array;
}

napi_value TopicReportToJs(napi_env env, topic::TopicReport& report) {
  Napi::Object object = Napi::Object::New(env);
  const auto set = [env](Napi::Object& target, const char* name, uint64_t value) {
    target.Set(name, Napi::Value(env, Number(env, value)));
  };
  set(object, "partitions", report.partitions);
  set(object, "segments", report.segments);
  set(object, "batches", report.batches);
  set(object, "messages", report.messages);
  set(object, "bytes", report.bytes);
  set(object, "lostMessages", report.lost_messages);
  Napi::Array problems = Napi::Array::New(env, report.problems.size());
  for (uint32_t i = 0; i < report.problems.size(); i++) {
    const topic::TopicProblem& problem = report.problems[i];
    Napi::Object one = Napi::Object::New(env);
    one.Set("path", problem.path);
    set(one, "position", problem.position);
    set(one, "offset", problem.offset);
    one.Set("what", problem.what);
    problems.Set(i, one);
  }
  object.Set("problems", problems);
  return object;
}

napi_value TopicRepairToJs(napi_env env, topic::TopicRepair& repair) {
  Napi::Object object = Napi::Object::New(env);
  const auto set = [&](const char* name, uint64_t value) {
    object.Set(name, Napi::Value(env, Number(env, value)));
  };
  set("rewrittenSegments", repair.rewritten_segments);
  set("lostMessages", repair.lost_messages);
  set("cutBytes", repair.cut_bytes);
  set("deletedIndexes", repair.deleted_indexes);
  return object;
}

}  // namespace thermocline
