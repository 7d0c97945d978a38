// Static objects of the addon, RocksDB's above all, are never destroyed. Part of the addon alone.
//
// `process.exit` and an uncaught exception end the process at once: Node.js calls exit(), which
// destroys static objects, while threads of the engine flush, compact, open stores or create column
// families. Those read RocksDB's tables of options, and would read freed memory. Nothing that those
// destructors give back outlives the process.
//
// The linker (--wrap=__cxa_atexit) points every registration of a destructor here instead.
// Destructors of thread_local objects are registered elsewhere and run as ever.
// test/build.test.ts checks the result.
//
// Alternative rejected: waiting for the threads at exit. A compaction takes minutes, and a program
// that calls process.exit wants to end.

extern "C" int __wrap___cxa_atexit(void (*)(void*), void*, void*) noexcept { return 0; }
