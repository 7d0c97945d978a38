import { resolve } from 'node:path';
import { alertBounds } from './alerts/options.ts';
import { withConfig } from './config.ts';
import { Database } from './database.ts';
import { call } from './dispatcher.ts';
import {
  type Codec,
  type KeyCodec,
  type KeyEncoding,
  keyCodec,
  type TupleEncoding,
  type ValueCodec,
  type ValueEncoding,
  valueCodec,
} from './encoding.ts';
import { invalid } from './error.ts';
import { type NativeDatabase, native } from './native.ts';
import { nativeOptions, type OpenOptions } from './options.ts';

type KeyOf<E> = E extends TupleEncoding<infer T> ? T : E extends 'buffer' ? Buffer : string;
// biome-ignore format: a table
type ValueOf<E> = E extends 'utf8' ? string : E extends 'json' ? unknown : E extends Codec<infer T> ? T : Buffer;

function checkLocation(location: unknown): string {
  if (typeof location !== 'string' || location === '') throw invalid('the location must be the path of a folder');
  if (location.includes('\0')) throw invalid('the location has a NUL character, which no path can hold');
  return resolve(location);
}

/**
 * Opens the database in a folder, or creates it.
 *
 * The same location opened twice in one process, worker threads included, shares one engine, which keeps the options of
 * whoever came first: later ones' `tiers`, `memory` and so on are without effect while it is open.
 *
 * @param location path of the folder
 * @throws ERR_INVALID_ARGUMENT, ERR_NOT_FOUND, ERR_LOCKED, ERR_CORRUPTION, ERR_FORMAT_VERSION, ERR_IO, ERR_NO_SPACE
 * @example
 * ```ts
 * const db = await open('./data', { valueEncoding: 'json' });
 * ```
 */
export async function open<KE extends KeyEncoding = 'utf8', VE extends ValueEncoding<unknown> = 'buffer'>(
  location: string,
  options?: Omit<OpenOptions, 'keyEncoding' | 'valueEncoding'> & { keyEncoding?: KE; valueEncoding?: VE },
): Promise<Database<KeyOf<KE>, ValueOf<VE>>> {
  const keys = keyCodec(options?.keyEncoding);
  const values = valueCodec(options?.valueEncoding);
  return openWith(location, options, keys as never, values as never);
}

/** @internal Opens with codecs that no option names. */
export async function openWith<K, V>(
  location: string,
  options: object | undefined,
  keys: KeyCodec<K>,
  values: ValueCodec<V>,
): Promise<Database<K, V>> {
  const path = checkLocation(location);
  const all = (await withConfig(options)) as OpenOptions | undefined;
  const checked = nativeOptions(all);
  const handle = await call<NativeDatabase>((ticket) => native.open(ticket, path, checked));
  const durability = all?.durability ?? (handle.hasLog ? 'wal' : 'none');
  return new Database(
    path,
    handle,
    keys,
    values,
    checked.readOnly ?? false,
    durability,
    checked.hardInFlightBytes,
    alertBounds(all?.alerts),
  );
}

/**
 * Deletes the database in a folder: what Thermocline wrote there and nothing else. Does nothing if the folder does not
 * exist.
 *
 * @throws ERR_LOCKED if it is open, ERR_INVALID_ARGUMENT if the folder holds something else
 * @example
 * ```ts
 * await destroy('./old-data');
 * ```
 */
export async function destroy(location: string): Promise<void> {
  const path = checkLocation(location);
  await call<undefined>((ticket) => native.destroy(ticket, path));
}
