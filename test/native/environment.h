// What whoever runs the suites asks of them by environment variables: seeds, rounds, samples.
// Thread safety: from any thread, while none sets variables.
#pragma once

#include <cstdlib>

namespace thermocline::test {

// The value of an environment variable, or `otherwise`.
inline int EnvironmentNumber(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

// THERMOCLINE_THOROUGH=1: suites that sample run in full.
inline bool Thorough() { return EnvironmentNumber("THERMOCLINE_THOROUGH", 0) == 1; }

}  // namespace thermocline::test
