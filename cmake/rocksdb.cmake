# Finds RocksDB, or builds it once into a cache that all checkouts share.
#
# thermocline_rocksdb_prefix(<out>)  the prefix (lib/librocksdb.a, include/); nothing is built
# thermocline_build_rocksdb()        builds that prefix unless it is complete
#
# Both work in a project and in script mode (build-rocksdb.cmake). They read:
#   $THERMOCLINE_ROCKSDB          an installed RocksDB >= 9 to use instead of the cache
#   $THERMOCLINE_ROCKSDB_SOURCE   other sources of the version below
#   THERMOCLINE_SANITIZE          build the instrumented variant, under its own key
#
# A prefix appears by one rename, so what exists is complete. A lock beside it makes concurrent checkouts wait for one
# build; an interrupted build leaves its object files in <prefix>.build, where the next one carries on.

include_guard()
set(THERMOCLINE_ROCKSDB_VERSION 9.7.4)
set(THERMOCLINE_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

# The version of the headers in <include>; empty if there are none.
function(thermocline_rocksdb_version out include)
  set(lines "")
  if(EXISTS ${include}/rocksdb/version.h)
    file(STRINGS ${include}/rocksdb/version.h lines REGEX "#define ROCKSDB_(MAJOR|MINOR|PATCH) [0-9]+")
  endif()
  string(REGEX MATCHALL "[0-9]+" numbers "${lines}")
  string(REPLACE ";" "." version "${numbers}")
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

function(thermocline_rocksdb_source out)
  if(DEFINED ENV{THERMOCLINE_ROCKSDB_SOURCE})
    set(source $ENV{THERMOCLINE_ROCKSDB_SOURCE})
  else()
    cmake_path(SET source NORMALIZE
      ${THERMOCLINE_CMAKE_DIR}/../node_modules/@nxtedition/rocksdb/deps/rocksdb/rocksdb)
  endif()
  if(NOT EXISTS ${source}/src.mk)
    message(FATAL_ERROR "No RocksDB sources in ${source}. Run `npm ci` first, or set THERMOCLINE_ROCKSDB to the "
      "prefix of an installed RocksDB 9 or newer.")
  endif()
  thermocline_rocksdb_version(version ${source}/include)
  if(NOT version VERSION_EQUAL THERMOCLINE_ROCKSDB_VERSION)
    message(FATAL_ERROR "${source} holds RocksDB ${version}, but ${THERMOCLINE_ROCKSDB_VERSION} is needed.")
  endif()
  set(${out} ${source} PARENT_SCOPE)
endfunction()

# The key covers everything that decides what the library contains: the version, this directory's recipe with its flags,
# the list of sources, the compiler and its target.
function(thermocline_rocksdb_key out source)
  if(CMAKE_CXX_COMPILER)
    set(compiler ${CMAKE_CXX_COMPILER})
  elseif(DEFINED ENV{CXX})
    set(compiler $ENV{CXX})
  else()
    set(compiler c++)
  endif()
  set(parts "")
  foreach(question --version -dumpmachine)
    execute_process(COMMAND ${compiler} ${question} OUTPUT_VARIABLE answer RESULT_VARIABLE failed ERROR_QUIET)
    if(failed)
      message(FATAL_ERROR "The C++ compiler '${compiler}' does not run.")
    endif()
    string(APPEND parts "${answer}")
  endforeach()
  file(GLOB recipe ${THERMOCLINE_CMAKE_DIR}/flags.cmake ${THERMOCLINE_CMAKE_DIR}/rocksdb/*)
  foreach(file ${source}/src.mk ${recipe})
    file(SHA256 ${file} hash)
    string(APPEND parts "${hash}\n")
  endforeach()
  string(SHA256 key "${parts}${THERMOCLINE_SANITIZE}")
  string(SUBSTRING ${key} 0 12 key)
  if(THERMOCLINE_SANITIZE)
    string(APPEND key -${THERMOCLINE_SANITIZE})
  endif()
  set(${out} ${key} PARENT_SCOPE)
endfunction()

function(thermocline_rocksdb_prefix out)
  if(DEFINED ENV{THERMOCLINE_ROCKSDB} AND NOT "$ENV{THERMOCLINE_ROCKSDB}" STREQUAL "")
    set(${out} $ENV{THERMOCLINE_ROCKSDB} PARENT_SCOPE)
    return()
  endif()
  if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(cache $ENV{XDG_CACHE_HOME})
  else()
    set(cache $ENV{HOME}/.cache)
  endif()
  thermocline_rocksdb_source(source)
  thermocline_rocksdb_key(key ${source})
  set(${out} ${cache}/thermocline/rocksdb-${THERMOCLINE_ROCKSDB_VERSION}-${key} PARENT_SCOPE)
endfunction()

function(thermocline_run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE failed)
  if(failed)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "Building RocksDB failed (${failed}): ${command}")
  endif()
endfunction()

function(thermocline_build_rocksdb)
  thermocline_rocksdb_prefix(prefix)
  if("${prefix}" STREQUAL "$ENV{THERMOCLINE_ROCKSDB}")
    thermocline_rocksdb_version(version ${prefix}/include)
    if(version VERSION_LESS 9)
      message(FATAL_ERROR "THERMOCLINE_ROCKSDB names ${prefix}, which holds no RocksDB 9 or newer (found: '${version}').")
    endif()
    return()
  endif()
  if(EXISTS ${prefix})
    return()
  endif()
  thermocline_rocksdb_source(source)

  cmake_path(GET prefix PARENT_PATH cache)
  file(MAKE_DIRECTORY ${cache})
  file(LOCK ${prefix}.lock GUARD FUNCTION TIMEOUT 0 RESULT_VARIABLE busy)
  if(busy)
    message(STATUS "Another checkout is building RocksDB; waiting for it")
    file(LOCK ${prefix}.lock GUARD FUNCTION)
    if(EXISTS ${prefix})
      return()
    endif()
  endif()

  set(compiler "")
  if(CMAKE_CXX_COMPILER)
    set(compiler -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER})
  endif()
  set(configure ${CMAKE_COMMAND} -S ${THERMOCLINE_CMAKE_DIR}/rocksdb -B ${prefix}.build -G Ninja
    -DCMAKE_BUILD_TYPE=Release -DROCKSDB_SOURCE=${source} -DTHERMOCLINE_SANITIZE=${THERMOCLINE_SANITIZE} ${compiler})
  execute_process(COMMAND ${configure} RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(failed)  # such as a directory left by a checkout that has moved since
    file(REMOVE_RECURSE ${prefix}.build)
    thermocline_run(${configure})
  endif()
  thermocline_run(${CMAKE_COMMAND} --build ${prefix}.build)
  file(REMOVE_RECURSE ${prefix}.new)
  thermocline_run(${CMAKE_COMMAND} --install ${prefix}.build --prefix ${prefix}.new OUTPUT_QUIET)
  file(RENAME ${prefix}.new ${prefix})
  file(REMOVE_RECURSE ${prefix}.build)
endfunction()
