import { Block } from './block.ts';
import { native } from './native.ts';
import { shared } from './shared.ts';

/** The longest key, in bytes. */
export const MAX_KEY_BYTES = 64 * 1024;
/** The longest value, in bytes. */
export const MAX_VALUE_BYTES = 1024 * 1024 * 1024;

const SLAB_BYTES = 64 * 1024;
/** Larger values get a buffer of their own, so that a kept view never pins more than a slab. */
export const STANDALONE_BYTES = 16 * 1024;

/**
 * The memory that single-key lookups use: the key is written to `request`, the engine writes the value to the slab, and
 * the caller gets a view of the slab. The engine knows both addresses, so a lookup passes numbers alone.
 */
export const request: Buffer = shared('request', () => {
  const buffer = Buffer.allocUnsafeSlow(MAX_KEY_BYTES + 16);
  native.pinRequest(buffer);
  return buffer;
});

export const slab: { block: Block; offset: number } = shared('slab', () => ({
  block: new Block(Buffer.alloc(0)),
  offset: 0,
}));

/** Starts a new slab; views of the old one keep it alive. */
export function renewSlab(): void {
  const buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  slab.block = Block.shared(buffer);
  slab.offset = 0;
  native.pinSlab(buffer);
}

/** Whether the engine may write to the slab: not if a program has detached its memory. */
export function slabIsAttached(): boolean {
  return slab.block.bytes.length === SLAB_BYTES;
}

if (slab.block.bytes.length === 0) renewSlab();
