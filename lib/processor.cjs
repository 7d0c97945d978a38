'use strict';

// The addon is compiled for a processor floor (cmake/flags.cmake). Below it, the first unsupported instruction would
// kill the process without a word, so the loader asks here before it loads anything.

/** What gcc's -march=haswell may use, by the names Linux gives the features in /proc/cpuinfo. */
const X64_FEATURES = ['avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'pclmulqdq', 'popcnt'];
const ARM64_FEATURES = ['crc32'];

/**
 * @param {string} arch as process.arch
 * @param {string} cpuinfo the text of /proc/cpuinfo
 * @returns {string[]} the features that this processor lacks; none if it will do
 */
function missingFeatures(arch, cpuinfo) {
  const needed = arch === 'x64' ? X64_FEATURES : arch === 'arm64' ? ARM64_FEATURES : [];
  const line = /^(?:flags|Features)[ \t]*:(.*)$/m.exec(cpuinfo);
  // Some sandboxes hide the list; then there is nothing to judge by.
  if (line === null) return [];
  const present = new Set(line[1].trim().split(/\s+/));
  return needed.filter((feature) => !present.has(feature));
}

/**
 * @param {string} arch as process.arch
 * @param {string} cpuinfo the text of /proc/cpuinfo
 * @throws {Error} with code ERR_UNSUPPORTED, naming what is missing
 */
function checkProcessor(arch, cpuinfo) {
  const missing = missingFeatures(arch, cpuinfo);
  if (missing.length === 0) return;
  const floor =
    arch === 'x64' ? 'Intel Haswell (2013), AMD Excavator (2015) or newer' : 'ARMv8-A with the CRC extension';
  const error = new Error(
    `Thermocline's binary needs ${floor}, but this processor lacks: ${missing.join(', ')}. ` +
      'In a virtual machine, expose the host processor model to the guest.',
  );
  error.code = 'ERR_UNSUPPORTED';
  throw error;
}

module.exports = { checkProcessor };
