/**
 * What an adapter offers. Each uses its store in the best documented way that was found by measuring, and leaves out
 * what the store does not have: a missing method is reported as n/a and never emulated.
 *
 * @typedef {import('../workload.mjs').Workload} Workload
 * @typedef {(key: Uint8Array, value: Uint8Array) => void} Visit
 *
 * @typedef {object} Store an open database
 * @property {(work: Workload, from: number, to: number) => Promise<unknown>} load writes records from..to as one atomic
 *   batch, by the fastest way there is; resolves when it is acknowledged
 * @property {(work: Workload, from: number, to: number) => Promise<unknown>} [loadArray] the same by one call that takes
 *   an array of operations
 * @property {(key: Buffer, value: Buffer) => Promise<unknown>} put
 * @property {(key: Buffer) => Uint8Array | undefined} [getSync]
 * @property {(key: Buffer) => Promise<Uint8Array | undefined> | Uint8Array | undefined} [get] the caller awaits it
 * @property {(keys: Buffer[]) => Promise<(Uint8Array | undefined)[]>} [getMany]
 * @property {(visit: Visit) => Promise<void>} [scanBatches] every record in key order, by the fastest way there is
 * @property {(visit: Visit) => Promise<void>} [scanAwait] every record in key order, by `for await`
 * @property {(key: Buffer, count: number, visit: Visit) => Promise<void>} scanFrom `count` records in key order, from
 *   `key` on
 * @property {() => Promise<unknown>} close
 *
 * @typedef {object} Adapter
 * @property {string | null} package folder under node_modules; null: this project
 * @property {string} uses calls and options in use, for the report
 * @property {string} durability what an acknowledged write survives, for the report
 * @property {number} [budgetBytes] memory it may hold by its options, where it promises such a thing
 * @property {boolean} [readsNothing] values read are not those written (the store that does nothing)
 * @property {(dir: string, options: { hotCache?: number }) => Promise<Store>} open
 */

/**
 * Every store that takes a cache size gets what Thermocline's defaults spend on caching (64 MiB of records and
 * 128 MiB of blocks), so that none is faster for having more memory.
 */
export const CACHE_BYTES = 192 * 1024 * 1024;

/** The array of put operations that the level family and Thermocline take. */
export function putOperations({ keys, values }, from, to) {
  const operations = [];
  for (let i = from; i < to; i++) operations.push({ type: 'put', key: keys[i], value: values[i] });
  return operations;
}
