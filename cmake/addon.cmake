# The addon. Only cmake-js comes here: it supplies CMAKE_JS_INC, the Node-API headers and node-addon-api.

file(GLOB_RECURSE binding_sources CONFIGURE_DEPENDS native/binding/*.cc)
add_library(thermocline MODULE ${binding_sources} ${CMAKE_JS_SRC})
set_target_properties(thermocline PROPERTIES PREFIX "" SUFFIX ".node")
target_include_directories(thermocline SYSTEM PRIVATE ${CMAKE_JS_INC})
target_compile_definitions(thermocline PRIVATE NAPI_VERSION=8 NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS
  # A worker that is being terminated cannot be thrown at; that must not end the process.
  NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS)
target_link_libraries(thermocline PRIVATE thermocline_engine thermocline_warnings ${CMAKE_JS_LIB})

if(APPLE)
  target_link_options(thermocline PRIVATE -undefined dynamic_lookup -Wl,-dead_strip)
  return()
endif()

# libstdc++ inside: the addon runs wherever glibc is new enough.
# Only the Node-API entries leave: other addons and node itself export RocksDB's, zlib's and libuv's names.
# -Bsymbolic: our calls stay ours even so. nodelete: a finished worker must not unload code that RocksDB's threads run.
target_sources(thermocline PRIVATE ${CMAKE_CURRENT_LIST_DIR}/libc_floor.cc ${CMAKE_CURRENT_LIST_DIR}/lasting_statics.cc)
set(exports ${CMAKE_CURRENT_LIST_DIR}/exports.map)
target_link_options(thermocline PRIVATE
  -static-libstdc++ -static-libgcc
  -Wl,--wrap=stderr  # see libc_floor.cc
  -Wl,--wrap=__cxa_atexit  # see lasting_statics.cc
  -Wl,--version-script=${exports} -Wl,--exclude-libs,ALL -Wl,-Bsymbolic -Wl,-z,nodelete -Wl,--gc-sections)
set_target_properties(thermocline PROPERTIES LINK_DEPENDS ${exports})
