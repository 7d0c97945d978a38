// Conversions between the topics' types and JavaScript values.
#pragma once

#include <napi.h>

#include "engine/topic/appender.h"
#include "engine/topic/check.h"
#include "engine/topic/partition_reader.h"
#include "engine/topic/topic.h"

namespace thermocline {

// Reads the settings that lib/topics/options.ts has checked; absent ones stay as they are.
void ReadTopicOptions(const Napi::Object& object, topic::TopicOptions* options);
Napi::Object TopicOptionsToJs(Napi::Env env, const topic::TopicOptions& options);

// [block Buffer or undefined, Float64Array of (base offset, count, first timestamp, begin, size)
// for each batch, next offset, end offset, lost ranges as [segment, position, from, to, ...]]
napi_value TopicChunkToJs(napi_env env, topic::ReadResult& result);

napi_value AppendOutcomeToJs(napi_env env, const topic::AppendOutcome& outcome);

napi_value TopicReportToJs(napi_env env, topic::TopicReport& report);
napi_value TopicRepairToJs(napi_env env, topic::TopicRepair& repair);

}  // namespace thermocline
