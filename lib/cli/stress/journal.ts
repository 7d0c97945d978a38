import { writeSync } from 'node:fs';
import { codeOf } from '../errors.ts';
import type { Group, Model } from './model.ts';

/**
 * How the process that writes tells the one that watches what it is about to do, over a pipe: what is in a pipe survives
 * the death of its writer. Frames of uint32: kind, then the frame's own numbers.
 */
const ANNOUNCE = 1; // id, ordered, length, entries...
const ACKNOWLEDGE = 2; // id
const WITHDRAW = 3; // id
const SETTLE = 4; // length, version of every key...

const PAUSE = new Int32Array(new SharedArrayBuffer(4));

/** The writing end. */
export class Journal {
  readonly #fd: number;
  #buffer = new Uint32Array(16 * 1024);
  #used = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Returns when the frame is in the pipe: only then may the write begin. */
  announce({ id, ordered, entries }: Group): void {
    this.#add([ANNOUNCE, id, ordered ? 1 : 0, entries.length], entries);
    this.flush();
  }

  acknowledge(id: number): void {
    this.#add([ACKNOWLEDGE, id]);
  }

  withdraw(id: number): void {
    this.#add([WITHDRAW, id]);
  }

  settle(versions: Uint32Array): void {
    this.#add([SETTLE, versions.length], versions);
    this.flush();
  }

  flush(): void {
    const bytes = new Uint8Array(this.#buffer.buffer, 0, this.#used * 4);
    for (let at = 0; at < bytes.length; ) at += this.#write(bytes, at);
    this.#used = 0;
  }

  /** Waits while the pipe is full, whether or not the system does that by itself. */
  #write(bytes: Uint8Array, at: number): number {
    try {
      return writeSync(this.#fd, bytes, at);
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
      Atomics.wait(PAUSE, 0, 0, 1);
      return 0;
    }
  }

  #add(head: readonly number[], tail: ArrayLike<number> = []): void {
    const needed = this.#used + head.length + tail.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint32Array(2 * needed);
      larger.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = larger;
    }
    this.#buffer.set(head, this.#used);
    this.#buffer.set(tail, this.#used + head.length);
    this.#used = needed;
  }
}

/** The reading end: applies frames to a model as they arrive. A frame cut off by the writer's death is left out. */
export class JournalReader {
  readonly #model: Model;
  readonly #onSettled: () => void;
  #rest: Buffer = Buffer.alloc(0);

  /** @param onSettled called when the writer has checked the whole database */
  constructor(model: Model, onSettled: () => void = () => {}) {
    this.#model = model;
    this.#onSettled = onSettled;
  }

  feed(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (;;) {
      const taken = this.#frame(bytes, at);
      if (taken === 0) break;
      at += taken;
    }
    this.#rest = Buffer.from(bytes.subarray(at));
  }

  /** @returns the frame's length in bytes, or 0 if it is not whole yet */
  #frame(bytes: Buffer, at: number): number {
    const word = (i: number) => bytes.readUInt32LE(at + 4 * i);
    const holds = (words: number) => bytes.length - at >= 4 * words;
    if (!holds(2)) return 0;
    switch (word(0)) {
      case ANNOUNCE: {
        if (!holds(4) || !holds(4 + word(3))) return 0;
        const entries = Array.from({ length: word(3) }, (_, i) => word(4 + i));
        this.#model.announce({ id: word(1), ordered: word(2) === 1, entries });
        return 4 * (4 + entries.length);
      }
      case ACKNOWLEDGE:
        this.#model.acknowledge(word(1));
        return 8;
      case WITHDRAW:
        this.#model.withdraw(word(1));
        return 8;
      case SETTLE: {
        const length = word(1);
        if (!holds(2 + length)) return 0;
        this.#model.settle(Uint32Array.from({ length }, (_, i) => word(2 + i)));
        this.#onSettled();
        return 4 * (2 + length);
      }
      default:
        throw new Error(`unknown journal frame ${word(0)}`);
    }
  }
}
