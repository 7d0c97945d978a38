/**
 * The data every store works on: random 16-byte keys, half-compressible values and random visiting orders, all from
 * seeded generators, so that every trial of every store sees the same bytes. bench/native/workload.h repeats the
 * generator; the fingerprints of both are compared before any figure is printed.
 */

export const KEY_SIZE = 16;
export const BATCH = 1000;
export const WORKING_SET = 10_000;

/** Marsaglia's xorshift32: three shifts, trivially the same in C++. */
function xorshift32(seed) {
  let x = seed >>> 0;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/** @param {Buffer} out filled with little-endian 32-bit words @param {number} seed not 0 */
function fillRandom(out, seed) {
  const words = new Uint32Array(out.buffer, out.byteOffset, out.length >>> 2);
  const next = xorshift32(seed);
  for (let i = 0; i < words.length; i++) words[i] = next();
}

/** Every value is random bytes written twice: a compressor finds the second half and nothing else. */
function halfCompressible(count, size) {
  const half = size >>> 1;
  const random = Buffer.allocUnsafeSlow((count * half + 3) & ~3);
  fillRandom(random, 0x7e57da7a);
  const out = Buffer.allocUnsafeSlow(count * size);
  for (let i = 0; i < count; i++) {
    const from = i * half;
    random.copy(out, i * size, from, from + half);
    random.copy(out, i * size + half, from, from + (size - half));
  }
  return out;
}

/** @param {number} count @param {number} seed @returns {Uint32Array} 0..count-1 in random order (Fisher-Yates) */
export function shuffled(count, seed) {
  const next = xorshift32(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = next() % (i + 1);
    const kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
  return order;
}

/** FNV-1a over the bytes: a fingerprint to compare with the C++ driver's, nothing more. */
function fingerprint(bytes) {
  let h = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i], 0x01000193);
  return h >>> 0;
}

function slices(slab, size) {
  const out = new Array(slab.length / size);
  for (let i = 0; i < out.length; i++) out[i] = slab.subarray(i * size, (i + 1) * size);
  return out;
}

/**
 * @typedef {object} Workload
 * @property {number} records
 * @property {number} valueSize bytes
 * @property {Buffer[]} keys
 * @property {Buffer[]} values values[i] belongs to keys[i]
 * @property {Uint32Array} everyKey indices of all keys in random order
 * @property {Uint32Array} workingSet `records` visits to WORKING_SET of the keys, each pass in the same random order
 * @property {number} keyFingerprint
 */

/** @param {number} records @param {number} valueSize @returns {Workload} */
export function makeWorkload(records, valueSize) {
  const keySlab = Buffer.allocUnsafeSlow(records * KEY_SIZE);
  fillRandom(keySlab, 0x1234567);
  const everyKey = shuffled(records, 0xabcdef);
  const setSize = Math.min(WORKING_SET, records);
  const workingSet = new Uint32Array(records);
  for (let i = 0; i < records; i++) workingSet[i] = everyKey[i % setSize];
  return {
    records,
    valueSize,
    keys: slices(keySlab, KEY_SIZE),
    values: slices(halfCompressible(records, valueSize), valueSize),
    everyKey,
    workingSet,
    keyFingerprint: fingerprint(keySlab),
  };
}
