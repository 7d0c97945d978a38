import type { Block } from '../block.ts';
import { bufferKeys, bufferValues, type KeyCodec, utf8Keys, utf8Values, type ValueCodec } from '../encoding.ts';

/** A key or value as abstract-level hands it over, in one of the formats of the manifest. */
export type Formatted = string | Uint8Array;

/** @internal The manifest's formats, but for 'view': a Buffer is one. */
export type Format = 'utf8' | 'buffer';

/** @internal */
export function formatOf(encoding: unknown): Format {
  return encoding === 'utf8' ? 'utf8' : 'buffer';
}

const decodeText = (block: Block, start: number, end: number) => block.utf8(start, end);
const decodeBytes = (block: Block, start: number, end: number) => block.view(start, end);

/** Each operation may use another format, so every codec takes both. */
function encode(item: unknown): Formatted {
  return typeof item === 'string' ? item : bufferKeys.encode(item);
}

/** @internal What keys are decoded to. */
export const keyCodecs: Record<Format, KeyCodec<Formatted>> = {
  utf8: { encode, decode: decodeText, text: utf8Keys.text },
  buffer: { encode, decode: decodeBytes, text: bufferKeys.text },
};

/** @internal What values are decoded to. */
export const valueCodecs: Record<Format, ValueCodec<Formatted>> = {
  utf8: { encode, decode: decodeText, keepsBytes: utf8Values.keepsBytes },
  buffer: { encode, decode: decodeBytes, keepsBytes: bufferValues.keepsBytes },
};
