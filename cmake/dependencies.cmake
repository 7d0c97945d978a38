# RocksDB::rocksdb: the library itself (found or built, see rocksdb.cmake) and what it links to, all static, so that the
# addon depends on libc alone.

include(${CMAKE_CURRENT_LIST_DIR}/rocksdb.cmake)
thermocline_build_rocksdb()
thermocline_rocksdb_prefix(prefix)
message(STATUS "RocksDB: ${prefix}")
# The scripts compare this with where RocksDB ought to be, and configure again where it differs.
set(THERMOCLINE_ROCKSDB_PREFIX ${prefix} CACHE INTERNAL "The RocksDB in use")

find_package(Threads REQUIRED)

# What an installed RocksDB was compiled with is unknown, so there only the libraries that exist are linked.
set(libraries "")
set(names zstd lz4 snappy z)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  list(APPEND names uring)
endif()
foreach(name IN LISTS names)
  find_library(THERMOCLINE_LIB_${name} lib${name}.a)
  if(THERMOCLINE_LIB_${name})
    list(APPEND libraries ${THERMOCLINE_LIB_${name}})
  elseif(NOT DEFINED ENV{THERMOCLINE_ROCKSDB})
    message(FATAL_ERROR "lib${name}.a is missing (Debian: apt-get install lib${name}-dev).")
  endif()
endforeach()

find_library(THERMOCLINE_LIB_rocksdb librocksdb.a REQUIRED NO_CACHE
  PATHS ${prefix} PATH_SUFFIXES lib lib64 lib/${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH)
add_library(RocksDB::rocksdb STATIC IMPORTED)
set_target_properties(RocksDB::rocksdb PROPERTIES
  IMPORTED_LOCATION ${THERMOCLINE_LIB_rocksdb}
  INTERFACE_INCLUDE_DIRECTORIES ${prefix}/include
  INTERFACE_LINK_LIBRARIES "${libraries};Threads::Threads;${CMAKE_DL_LIBS}")
