// Lets a build on a recent Linux run on glibc 2.34, and links archives that were not compiled for
// shared libraries. Part of the addon alone. test/build.test.ts checks the result.

#include <cstdio>
#include <cstdlib>

#ifdef __GLIBC__
#include <dlfcn.h>
#include <link.h>
#include <sys/random.h>
#endif

extern "C" {

// Debian's libzstd.a reaches for stderr in a way that a shared library cannot offer for another
// library's variable. The linker (--wrap=stderr) points it here instead.
extern FILE* __real_stderr;
FILE* __wrap_stderr;
__attribute__((constructor(101))) static void FindStderr() { __wrap_stderr = __real_stderr; }

#ifdef __GLIBC__
// libstdc++'s std::random_device calls this where the build machine has it (glibc 2.36).
__UINT32_TYPE__ arc4random() noexcept {
  __UINT32_TYPE__ value;
  if (getentropy(&value, sizeof value) != 0) abort();
  return value;
}

#if __GLIBC_PREREQ(2, 35)
// libgcc's unwinder calls this where the build machine has it (glibc 2.35): which loaded object
// holds an address, and where its table of frames is. Found here the way older unwinders do it;
// only thrown exceptions come by.
namespace {

struct Search {
  ElfW(Addr) address;
  dl_find_object* result;
};

int MatchObject(dl_phdr_info* object, size_t, void* argument) {
  auto* search = static_cast<Search*>(argument);
  bool holds_address = false;
  search->result->dlfo_eh_frame = nullptr;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& header = object->dlpi_phdr[i];
    const auto begin = object->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && search->address >= begin &&
        search->address < begin + header.p_memsz) {
      holds_address = true;
      search->result->dlfo_map_start = reinterpret_cast<void*>(begin);
      search->result->dlfo_map_end = reinterpret_cast<void*>(begin + header.p_memsz);
    } else if (header.p_type == PT_GNU_EH_FRAME) {
      search->result->dlfo_eh_frame = reinterpret_cast<void*>(begin);
    }
  }
  return holds_address && search->result->dlfo_eh_frame != nullptr;
}

}  // namespace

int _dl_find_object(void* address, dl_find_object* result) noexcept {
  *result = {};
  Search search{reinterpret_cast<ElfW(Addr)>(address), result};
  return dl_iterate_phdr(MatchObject, &search) == 1 ? 0 : -1;
}
#endif  // __GLIBC_PREREQ
#endif  // __GLIBC__

}  // extern "C"
