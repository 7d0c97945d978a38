# Compiler flags that RocksDB and our own code share. Changing this file changes RocksDB's cache key (see rocksdb.cmake).

# The processor floor. lib/processor.cjs checks it before the addon is loaded; keep the two in step.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(THERMOCLINE_ARCH_FLAGS -march=haswell)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(THERMOCLINE_ARCH_FLAGS -march=armv8-a+crc)
else()
  message(FATAL_ERROR "Thermocline supports x64 and arm64, not ${CMAKE_SYSTEM_PROCESSOR}.")
endif()

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

# Hidden: other addons in the process export thousands of RocksDB symbols that must not mix with ours.
# Own sections: the final link drops what nothing reaches.
set(THERMOCLINE_COMMON_FLAGS
  ${THERMOCLINE_ARCH_FLAGS} -fvisibility=hidden -ffunction-sections -fdata-sections)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # A unique symbol is bound process-wide, past every visibility rule, and pins the library that defined it first.
  list(APPEND THERMOCLINE_COMMON_FLAGS -fno-gnu-unique)
endif()

# THERMOCLINE_SANITIZE: empty, "address" (with UBSan for our own code) or "thread".
# Less optimisation and some debug information, so that the reports name lines.
set(THERMOCLINE_SANITIZE_FLAGS "")
if(THERMOCLINE_SANITIZE MATCHES "^(address|thread)$")
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -g1 -DNDEBUG")
  set(THERMOCLINE_SANITIZE_FLAGS -fsanitize=${THERMOCLINE_SANITIZE} -fno-omit-frame-pointer)
elseif(THERMOCLINE_SANITIZE)
  message(FATAL_ERROR "THERMOCLINE_SANITIZE is '${THERMOCLINE_SANITIZE}'; it must be 'address' or 'thread'.")
endif()
