// Arbitrary histories of a database: few keys, so that operations meet, of every awkward kind.

import fc from 'fast-check';

/** A put may expire in an hour, or have expired already. */
export type Write =
  | { type: 'put'; key: Buffer; size: number; expiry?: 'later' | 'past' }
  | { type: 'del'; key: Buffer };
export interface Range {
  gt?: Buffer;
  gte?: Buffer;
  lt?: Buffer;
  lte?: Buffer;
  prefix?: Buffer;
}
export interface Walk extends Range {
  reverse?: boolean;
  limit?: number;
}
export type Step = { seek: Buffer } | { take: number } | { next: true };
export type Reader = 'get' | 'getSync' | 'getMany' | 'has' | 'hasMany';

export type Operation =
  | { do: 'writes'; writes: Write[] } // one turn, not awaited one by one
  | { do: 'batch'; writes: Write[] }
  | { do: 'putMany'; writes: Write[] } // of those that are puts and do not expire
  | { do: 'deleteRange'; range: Range }
  | { do: 'read'; reader: Reader; keys: Buffer[]; moment: number }
  | { do: 'walk'; walk: Walk; yields: 'entries' | 'keys' | 'values'; steps: Step[]; moment: number }
  | { do: 'snapshot' }
  | { do: 'closeSnapshot'; moment: number }
  | { do: 'startWalk'; walk: Walk }
  | { do: 'continueWalk'; which: number; steps: Step[] }
  | { do: 'flush' }
  | { do: 'compact'; range: Range }
  | { do: 'reopen' };

export interface Setting {
  shards: number;
  hotCache: number;
  readThreads: number;
}

/** Shards in numbers that do and do not divide the slots; a hot cache that is off, evicts all the time, holds all. */
export const setting: fc.Arbitrary<Setting> = fc.record({
  shards: fc.constantFrom(1, 3, 4, 16),
  hotCache: fc.constantFrom(0, 16 * 1024, 1024 * 1024),
  readThreads: fc.constantFrom(1, 2),
});

const LETTERS = ['a', 'b', '\x00', '\x01', '\x7f', '\x80', '\xfe', '\xff', '{', '}'];

/** Arbitrary bytes from a small alphabet: empty keys, prefixes of each other, hash tags. */
export const binaryKey: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 3, arbitrary: fc.array(fc.constantFrom(...LETTERS), { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(['{t}1'], ['{t}2'], ['x{t}'], ['{}t'], ['a'.repeat(300)], ['\xff'.repeat(70)]) },
).map((letters) => Buffer.from(letters.join(''), 'latin1')); // biome-ignore format: reads better

/** Well-formed text of one to four bytes a character. */
export const textKey: fc.Arbitrary<Buffer> = fc
  .array(fc.constantFrom('', 'a', 'b', '\x00', 'é', 'e\u0301', '\uFEFF', '中', '😀', '\u{10FFFF}', '{', '}'), {
    maxLength: 3,
  })
  .map((parts) => Buffer.from(parts.join('')));

export function operation(key: fc.Arbitrary<Buffer>): fc.Arbitrary<Operation> {
  const size = fc.constantFrom(0, 1, 20, 300, 5000, 20_000);
  const put = fc.record({ type: fc.constant('put' as const), key, size });
  const expiry = fc.constantFrom('later' as const, 'past' as const);
  const expiring = fc.record({ type: fc.constant('put' as const), key, size, expiry });
  const write: fc.Arbitrary<Write> = fc.oneof(
    { weight: 6, arbitrary: put },
    { weight: 1, arbitrary: expiring },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('del' as const), key }) },
  );
  const writes = fc.array(write, { maxLength: 6 });
  const range: fc.Arbitrary<Range> = fc.record(
    { gt: key, gte: key, lt: key, lte: key, prefix: key },
    { requiredKeys: [] },
  );
  // Mostly one or two bounds: five at once cover nothing.
  const narrow: fc.Arbitrary<Range> = fc.oneof(
    fc.record({ gte: key, lt: key }),
    fc.record({ gt: key, lte: key }),
    fc.record({ prefix: key }),
    fc.record({ lt: key }),
    range,
  );
  const walk: fc.Arbitrary<Walk> = fc
    .tuple(
      fc.oneof(fc.constant({}), narrow),
      fc.record({ reverse: fc.boolean(), limit: fc.integer({ min: -1, max: 12 }) }, { requiredKeys: [] }),
    )
    .map(([bounds, how]) => ({ ...bounds, ...how }));
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ seek: key }),
    fc.record({ take: fc.integer({ min: 1, max: 30 }) }),
    fc.constant({ next: true as const }),
  );
  const steps = fc.array(step, { maxLength: 5 });
  const moment = fc.nat(5);
  return fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('writes' as const), writes }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('batch' as const), writes }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('putMany' as const), writes }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteRange' as const), range: narrow }) },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('read' as const),
        reader: fc.constantFrom<Reader>('get', 'getSync', 'getMany', 'has', 'hasMany'),
        keys: fc.array(key, { maxLength: 8 }),
        moment,
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('walk' as const),
        walk,
        yields: fc.constantFrom('entries' as const, 'keys' as const, 'values' as const),
        steps,
        moment,
      }),
    },
    { weight: 1, arbitrary: fc.constant({ do: 'snapshot' as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('closeSnapshot' as const), moment }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('startWalk' as const), walk }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('continueWalk' as const), which: moment, steps }) },
    { weight: 1, arbitrary: fc.constant({ do: 'flush' as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('compact' as const), range: narrow }) },
    { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
  );
}
