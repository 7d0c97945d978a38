# ROCKSDB_SOURCES: RocksDB's own list (LIB_SOURCES of src.mk), less what nothing of ours can reach.
# Reach means by the linker: whatever the rest refers to stays, such as the trace replayer, which DBImpl names.

# Not for this system, or needed by RocksDB's own tests alone.
set(excluded
  ^port/win/
  ^test_util/
  ^utilities/fault_injection_
  ^monitoring/thread_status_.*_debug.cc$
  ^util/build_version.cc$                 # made from its template, see CMakeLists.txt
# Tools and features that Thermocline neither uses nor offers.
  ^tools/
  ^db/c.cc$
  ^db/db_impl/db_impl_follower.cc$
  ^db/experimental.cc$
  ^table/adaptive/
  ^utilities/agg_merge/
  ^utilities/blob_db/                     # the retired one; blob files are in db/blob
  ^utilities/cache_dump_load
  ^utilities/convenience/
  ^utilities/debug.cc$
  ^utilities/env_mirror.cc$
  ^utilities/leveldb_options/
  ^utilities/option_change_migration/
  ^utilities/persistent_cache/
  ^utilities/simulator_cache/
  ^utilities/trace/file_trace_reader_writer.cc$
  ^utilities/transactions/                # a tenth of all compile time; see snapshot_checker.cc here
  ^utilities/ttl/
  ^utilities/types_util.cc$
  ^utilities/write_batch_with_index/)

file(READ ${ROCKSDB_SOURCE}/src.mk makefile)
string(FIND "${makefile}" "\nLIB_SOURCES =" begin)
if(begin EQUAL -1)
  message(FATAL_ERROR "${ROCKSDB_SOURCE}/src.mk has no LIB_SOURCES.")
endif()
string(SUBSTRING "${makefile}" ${begin} -1 makefile)
string(FIND "${makefile}" "\n\n" end)  # the list ends at the first empty line
string(SUBSTRING "${makefile}" 0 ${end} makefile)
string(REGEX MATCHALL "[a-z0-9_/]+\\.cc" all "${makefile}")
set(ROCKSDB_SOURCES "")
foreach(source IN LISTS all)
  set(wanted TRUE)
  foreach(pattern IN LISTS excluded)
    if(source MATCHES ${pattern})
      set(wanted FALSE)
    endif()
  endforeach()
  if(wanted)
    list(APPEND ROCKSDB_SOURCES ${ROCKSDB_SOURCE}/${source})
  endif()
endforeach()
