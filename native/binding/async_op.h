// An operation that runs on an engine thread and ends in a JavaScript promise.
//
// Execute has no environment: it cannot touch JavaScript by construction. Its result is turned into
// a JavaScript value later, on the environment's thread.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "binding/environment.h"
#include "engine/platform/thread_pool.h"

namespace thermocline {

struct NoResult {};

template <class Result = NoResult>
struct AsyncOp : Completion {
  using Completion::Completion;

  std::function<Status(Result*)> execute;
  std::function<napi_value(napi_env, Result&)> to_js;  // absent: undefined
  std::shared_ptr<Session> session;                    // absent: no session is involved
  Result result{};

  napi_value ToJs(napi_env env) override {
    return to_js ? to_js(env, result) : Completion::ToJs(env);
  }
};

// Runs `op` on `pool`. If it has a session, the operation counts as in flight until it has ended;
// a closed session is reported like any other failure.
template <class Result>
void StartAsync(Environment* environment, ThreadPool& pool, std::shared_ptr<AsyncOp<Result>> op) {
  environment->Began();
  const std::shared_ptr<CompletionQueue>& queue = environment->queue();
  if (op->session) op->status = op->session->Begin();
  if (!op->status.ok()) return queue->Post(std::move(op));
  queue->TaskBegan();
  pool.Post([queue, op = std::move(op)]() mutable {
    try {
      op->status = op->execute(&op->result);
    } catch (const std::exception& error) {
      op->status = {Code::kIo, std::string("the operation failed: ") + error.what()};
    }
    op->execute = nullptr;
    const std::shared_ptr<Session> session = std::move(op->session);
    queue->Post(std::move(op));
    if (session) session->End();
    queue->TaskEnded();
  });
}

}  // namespace thermocline
