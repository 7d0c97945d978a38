// The random choices of bench/ycsb against what is known of them: fixed points of the published implementation, and
// the probabilities that follow from the definitions. Every generator is seeded, so a failure repeats.

import assert from 'node:assert/strict';
import { suite } from 'uvu';

// Plain JavaScript without declarations.
const bench = (file: string) => import(new URL(`../bench/ycsb/${file}`, import.meta.url).href);
const { Discrete, hashModulo, InsertCounter, keyName, Random, ScrambledZipfian, SkewedLatest, Uniform, Zipfian, zeta } =
  await bench('generators.mjs');
const { SCRAMBLED_ITEMS, SCRAMBLED_ZETA, ZIPFIAN_CONSTANT } = await bench('generators.mjs');
const { Choices, WORKLOADS } = await bench('workloads.mjs');
const { RECORD_BYTES, Records } = await bench('records.mjs');

const test = suite('benchmarks: the choices of YCSB');
const DRAWS = 200_000;

/** How often each of `count` numbers comes in DRAWS draws. */
function histogram(count: number, draw: () => number): number[] {
  const counts = new Array<number>(count).fill(0);
  for (let i = 0; i < DRAWS; i++) {
    const drawn = draw();
    assert.ok(Number.isInteger(drawn) && drawn >= 0 && drawn < count, `drew ${drawn}`);
    counts[drawn] = (counts[drawn] ?? 0) + 1;
  }
  return counts;
}

/** Whether a count is within five standard deviations of what its probability lets expect. */
function isLikely(count: number | undefined, probability: number, what: string): void {
  const expected = DRAWS * probability;
  const deviation = Math.sqrt(expected * (1 - probability));
  assert.ok(count !== undefined && Math.abs(count - expected) <= 5 * deviation, `${what}: ${count}, not ${expected}`);
}

test('keys are those that YCSB makes', () => {
  assert.equal(keyName(0), 'user6284781860667377211');
  assert.equal(keyName(1), 'user8517097267634966620');
  assert.equal(keyName(2), 'user1820151046732198393');
});

test('a hash is folded without losing bits', () => {
  for (const value of [0, 1, 255, 256, 2 ** 32, 2 ** 32 + 7, SCRAMBLED_ITEMS, 2 ** 53 - 1]) {
    const hash = BigInt(keyName(value).slice('user'.length));
    for (const modulus of [1, 7, 1000, 65_537, 2 ** 31, 2 ** 32 - 5]) {
      assert.equal(hashModulo(value, modulus), Number(hash % BigInt(modulus)), `${value} mod ${modulus}`);
    }
  }
});

test('the constant of the scrambled choice is the sum it stands for', () => {
  // By Euler's and Maclaurin's formula from the thousandth term on.
  const [s, n, m] = [ZIPFIAN_CONSTANT, SCRAMBLED_ITEMS, 1000];
  const integral = (n ** (1 - s) - m ** (1 - s)) / (1 - s);
  const corrections = (n ** -s - m ** -s) / 2 + (s / 12) * (m ** (-s - 1) - n ** (-s - 1));
  assert.ok(Math.abs(zeta(0, m) + integral + corrections - SCRAMBLED_ZETA) < 1e-8);
  assert.ok(Math.abs(zeta(0, 2) - (1 + 2 ** -s)) < 1e-15);
  assert.ok(Math.abs(zeta(0, 500) + zeta(500, 1000) - zeta(0, 1000)) < 1e-12);
});

test('the two most popular numbers of a zipfian choice have exactly their shares, the others about theirs', () => {
  const items = 1000;
  const zipfian = new Zipfian(0, items - 1, new Random(1));
  const counts = histogram(items, () => zipfian.next());
  const sum = zeta(0, items);
  isLikely(counts[0], 1 / sum, 'the first');
  isLikely(counts[1], 0.5 ** ZIPFIAN_CONSTANT / sum, 'the second');
  // Gray's approximation: within a few percent over ranges of ranks.
  for (const [from, to] of [
    [2, 10],
    [10, 100],
    [100, 1000],
  ] as const) {
    const drawn = counts.slice(from, to).reduce((a, b) => a + b) / DRAWS;
    const share = zeta(from, to) / sum;
    assert.ok(Math.abs(drawn / share - 1) < 0.15, `ranks ${from} to ${to}: ${drawn}, not ${share}`);
  }
});

test('the scrambled choice has the same popularities, strewn by the hash', () => {
  const count = 1000;
  const scrambled = new ScrambledZipfian(0, count - 1, new Random(2));
  const counts = histogram(count, () => scrambled.next());
  // Whatever else falls on them: the rest of the draws is spread over all numbers.
  const rest = 1 - (1 + 0.5 ** ZIPFIAN_CONSTANT) / SCRAMBLED_ZETA;
  const first = counts[hashModulo(0, count)] ?? 0;
  const second = counts[hashModulo(1, count)] ?? 0;
  assert.ok(first > DRAWS / SCRAMBLED_ZETA && first < DRAWS * (1 / SCRAMBLED_ZETA + (10 * rest) / count));
  assert.ok(second > (DRAWS * 0.5 ** ZIPFIAN_CONSTANT) / SCRAMBLED_ZETA);
  assert.equal(Math.max(...counts), first);
  assert.ok(counts.filter((drawn) => drawn > 0).length > 0.99 * count, 'every number comes');
  const range = new ScrambledZipfian(50, 59, new Random(3));
  for (let i = 0; i < 1000; i++) {
    const drawn = range.next();
    assert.ok(drawn >= 50 && drawn <= 59);
  }
});

test('the latest record is the most popular, and stays so while records are inserted', () => {
  const counter = new InsertCounter(1000);
  const latest = new SkewedLatest(counter, new Random(4));
  const before = histogram(1000, () => latest.next());
  isLikely(before[999], 1 / zeta(0, 999), 'the latest');
  isLikely(before[998], 0.5 ** ZIPFIAN_CONSTANT / zeta(0, 999), 'the one before it');
  for (let i = 0; i < 500; i++) counter.acknowledge(counter.next());
  const after = histogram(1500, () => latest.next());
  isLikely(after[1499], 1 / zeta(0, 1499), 'the latest of more');
});

test('a number counts as inserted once all before it are', () => {
  const counter = new InsertCounter(10);
  assert.equal(counter.last(), 9);
  assert.deepEqual([counter.next(), counter.next(), counter.next()], [10, 11, 12]);
  counter.acknowledge(12);
  counter.acknowledge(11);
  assert.equal(counter.last(), 9);
  counter.acknowledge(10);
  assert.equal(counter.last(), 12);
});

test('a uniform choice is even: its chi-squared statistic is that of chance', () => {
  const count = 100;
  const uniform = new Uniform(0, count - 1, new Random(5));
  const counts = histogram(count, () => uniform.next());
  const expected = DRAWS / count;
  const statistic = counts.reduce((sum, drawn) => sum + (drawn - expected) ** 2 / expected, 0);
  // 99 degrees of freedom: below 45 or above 180 comes once in a million.
  assert.ok(statistic > 45 && statistic < 180, `chi-squared ${statistic}`);
});

test('operations come in the shares of their workload', () => {
  for (const [name, definition] of Object.entries<{ shares: [string, number][] }>(WORKLOADS)) {
    assert.equal(
      definition.shares.reduce((sum, [, share]) => sum + share, 0),
      1,
      name,
    );
    const choices = new Choices(definition, { records: 1000, operations: DRAWS, seed: 6 });
    const counts = new Map<string, number>();
    for (let i = 0; i < DRAWS; i++) {
      const operation = choices.operation();
      counts.set(operation, (counts.get(operation) ?? 0) + 1);
    }
    assert.equal(counts.size, definition.shares.length, name);
    for (const [operation, share] of definition.shares) isLikely(counts.get(operation), share, `${name} ${operation}`);
  }
  const only = new Discrete([['never', 0], ['always', 1]], new Random(7)); // biome-ignore format: one line
  for (let i = 0; i < 1000; i++) assert.equal(only.next(), 'always');
});

test('records asked for exist, and scans are 1 to 100 records long, each length as often', () => {
  for (const distribution of ['uniform', 'zipfian', 'latest']) {
    const choices = new Choices(WORKLOADS.e, { records: 500, operations: 10_000, seed: 8, distribution });
    for (let i = 0; i < 10_000; i++) {
      const number = choices.record();
      assert.ok(number >= 0 && number < 500, `${distribution}: ${number}`);
    }
    const lengths = histogram(101, () => choices.scanLength());
    assert.equal(lengths[0], 0);
    isLikely(lengths[1], 0.01, 'one record');
    isLikely(lengths[100], 0.01, 'a hundred');
  }
});

test('a record has ten fields of a hundred bytes, and an update changes one', () => {
  const records = new Records(10, 1);
  assert.equal(RECORD_BYTES, 10 * (4 + 6 + 4 + 100));
  const record: Buffer = records.make();
  assert.equal(record.length, RECORD_BYTES);
  const changed: Buffer = records.change(record, 3);
  const field = (of: Buffer, number: number) => of.subarray(number * 114, (number + 1) * 114);
  for (let number = 0; number < 10; number++) {
    assert.equal(field(record, number).toString('latin1', 4, 10), `field${number}`);
    assert.equal(field(record, number).readInt32BE(10), 100);
    assert.equal(field(record, number).equals(field(changed, number)), number !== 3);
  }
  assert.equal(String(records.key(1)), keyName(1));
  assert.equal(String(records.key(10_000)), keyName(10_000));
});

test.run();
