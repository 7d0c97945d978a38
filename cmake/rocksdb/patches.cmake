# Mends faults of RocksDB 9.7.4 (docs/decisions/0017): a patched copy takes the place of the source in ROCKSDB_SOURCES.
# Each replacement must find its text exactly once, so that another version cannot pass for patched.

function(thermocline_patch file)
  file(READ ${ROCKSDB_SOURCE}/${file} text)
  set(edits ${ARGN})
  while(edits)
    list(POP_FRONT edits before after)
    string(FIND "${text}" "${${before}}" first)
    string(FIND "${text}" "${${before}}" last REVERSE)
    if(first EQUAL -1 OR NOT first EQUAL last)
      message(FATAL_ERROR "${ROCKSDB_SOURCE}/${file} does not hold once what ${before} replaces.")
    endif()
    string(REPLACE "${${before}}" "${${after}}" text "${text}")
  endwhile()
  set(patched ${CMAKE_CURRENT_BINARY_DIR}/patched/${file})
  file(CONFIGURE OUTPUT ${patched} CONTENT [[@text@]] @ONLY)
  list(TRANSFORM ROCKSDB_SOURCES REPLACE "^${ROCKSDB_SOURCE}/${file}$" ${patched})
  set(ROCKSDB_SOURCES ${ROCKSDB_SOURCES} PARENT_SCOPE)
endfunction()

# A flush job that meets a background error leaves its request in the queue, but the request's claim to a job is spent.
# The flush that a later Resume() queues behind it then gets the job that was meant for it, and its own never comes.
set(job_before [==[
    status = error_handler_.GetBGError();
  }

  if (!status.ok()) {
    return status;
  }

  autovector<BGFlushArg> bg_flush_args;
]==])
set(job_after [==[
    status = error_handler_.GetBGError();
  }

  if (!status.ok()) {
    if (!flush_queue_.empty()) ++unscheduled_flushes_;
    return status;
  }

  autovector<BGFlushArg> bg_flush_args;
]==])

# A flush that Resume() asks for is not queued where one of the column family waits already. That one is dropped because
# it is none of a recovery, and Resume() waits for ever. It becomes one.
set(queue_before [==[
      flush_queue_.push_back(flush_req);
      enqueued = true;
    }
  } else {
]==])
set(queue_after [==[
      flush_queue_.push_back(flush_req);
      enqueued = true;
    } else if (IsRecoveryFlush(flush_req.flush_reason)) {
      for (FlushRequest& queued : flush_queue_) {
        if (queued.cfd_to_max_mem_id_to_persist.begin()->first == cfd) queued = flush_req;
      }
    }
  } else {
]==])

thermocline_patch(db/db_impl/db_impl_compaction_flush.cc job_before job_after queue_before queue_after)

# No log or manifest is recycled here (recycle_log_file_num is 0), so a record that says so has a damaged type. RocksDB reads
# such a record again and again for ever, or, if it is the first of its log, takes the log for empty.
set(record_before [==[
      if (first_record_read_ && !recycled_) {
        // A recycled log should have started with a recycled record
        return kBadRecord;
      }
      recycled_ = true;
]==])
set(record_after [==[
      if (!recycled_) {
        *drop_size = buffer_.size();
        buffer_.clear();
        return kBadRecordChecksum;
      }
]==])
set(fragment_before [==[
    if (first_record_read_ && !recycled_) {
      // A recycled log should have started with a recycled record
      *fragment_type_or_err = kBadRecord;
      return true;
    }
    recycled_ = true;
]==])
set(fragment_after [==[
    if (!recycled_) {
      *drop_size = buffer_.size();
      buffer_.clear();
      *fragment_type_or_err = kBadRecordChecksum;
      return true;
    }
]==])

thermocline_patch(db/log_reader.cc record_before record_after fragment_before fragment_after)
