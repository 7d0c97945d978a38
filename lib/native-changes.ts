import addon from '#addon';
import type { NativeDatabase } from './native.ts';

/** Keys and values; numbers as native/engine/feed/change_feed.h has them. */
export type NativeChangeChunk = [block: Buffer, numbers: Float64Array];

export interface NativeChanges {
  /** Answers with `undefined` if there is nothing to read yet. */
  read(ticket: number, bytes: number): void;
  /** Answers when there is more to read, or the feed has ended. */
  wait(ticket: number): void;
  position(): number;
  close(): void;
}

interface NativeChangesAddon {
  /** `since` below 0: from now on. */
  openChanges(database: NativeDatabase, since: number, durable: boolean): NativeChanges | undefined;
}

export const nativeChanges = addon as NativeChangesAddon;
