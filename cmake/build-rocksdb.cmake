# cmake [-DTHERMOCLINE_SANITIZE=address|thread] -P cmake/build-rocksdb.cmake: builds RocksDB into the cache.
# With -DPRINT_PREFIX=ON it only prints where that is. The setup script calls both.
cmake_minimum_required(VERSION 3.22)
include(${CMAKE_CURRENT_LIST_DIR}/rocksdb.cmake)
if(PRINT_PREFIX)
  thermocline_rocksdb_prefix(prefix)
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo ${prefix})
else()
  thermocline_build_rocksdb()
endif()
