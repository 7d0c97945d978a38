import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import { type Device, measureByProbe } from '../lib/cli/bench/device.ts';
import { type Result, sharesOf } from '../lib/cli/bench/shares.ts';
import type { Trial } from '../lib/cli/bench/trial.ts';
import { start, succeed, thermocline, Workplace } from './cli.helper.test.ts';

const test = suite('command line: bench');
const place = new Workplace();
const disk = place.path('disk');
mkdirSync(disk);

const never = new AbortController().signal;

test.after(() => place.remove());

const device: Device = {
  source: 'told',
  direct: true,
  fsyncsPerSecond: 1000,
  fsyncP50Seconds: 0.001,
  fsyncP99Seconds: 0.002,
  writeBytesPerSecond: 4e8,
  readBytesPerSecond: 8e8,
  randomReads: [
    { depth: 1, readsPerSecond: 10_000, p50Seconds: 0.0001, p99Seconds: 0.0002 },
    { depth: 16, readsPerSecond: 80_000, p50Seconds: 0.0002, p99Seconds: 0.0004 },
  ],
};
const trial: Trial = { kind: 'read', location: '', records: 1, valueSize: 1, seconds: 1, width: 1, part: 0 };

test('every result stands beside the figure of the disk that limits it', () => {
  const results: Result[] = [
    { trial: { ...trial, kind: 'durable', width: 16 }, figures: { writesPerSecond: 8000, fsyncsPerSecond: 500 } },
    { trial: { ...trial, kind: 'load' }, figures: { bytesPerSecond: 1e8, diskBytesPerSecond: 2e8 } },
    { trial: { ...trial, width: 16 }, figures: { readsPerSecond: 20_000, diskBytesPerRead: 8192 } },
    { trial: { ...trial, width: 2 }, figures: { readsPerSecond: 20_000, diskBytesPerRead: 8192 } },
    { trial: { ...trial, kind: 'scan' }, figures: { bytesPerSecond: 4e8, diskBytesPerSecond: 2e8 } },
  ];
  assert.deepEqual(
    sharesOf(device, results).map(({ what, share }) => [what.trim(), share]),
    [
      ['durable puts, 16 writers', 8],
      ['their syncs', 0.5],
      ['load until flushed', 0.25],
      ['what the disk wrote', 0.5],
      ['cold get, 16 outstanding', 0.25],
      ['cold scan', 0.5],
      ['what the disk read', 0.25],
    ],
    'a width that the disk was not measured at has no share',
  );
});

test('the own probe measures what fio would', async () => {
  const measured = await measureByProbe({ folder: disk, fileBytes: 4 << 20, seconds: 0.05, depths: [1, 2] }, never);
  assert.equal(measured.source, 'own probe');
  assert.deepEqual(
    measured.randomReads.map(({ depth }) => depth),
    [1, 2],
  );
  const { fsyncsPerSecond, writeBytesPerSecond, readBytesPerSecond, randomReads } = measured;
  for (const figure of [fsyncsPerSecond, writeBytesPerSecond, readBytesPerSecond, randomReads[1]?.readsPerSecond]) {
    assert.ok(figure !== undefined && figure > 0);
  }
  await assert.rejects(
    measureByProbe({ folder: place.path('none'), fileBytes: 1, seconds: 1, depths: [1] }, never),
    /the probe failed: cannot use .*none: No such file or directory/,
  );
  const ended = measureByProbe({ folder: disk, fileBytes: 4 << 20, seconds: 60, depths: [1] }, AbortSignal.timeout(50));
  await assert.rejects(ended, { name: 'AbortError' });
});

test('a run measures disk and store, checks what it reads, and leaves nothing behind', async () => {
  const size = ['--records', '4000', '--value-size', '200', '--seconds', '1', '--file-size', '8MB'];
  const text = await succeed(['bench', '--disk', disk, ...size, '--json']);
  const { disk: measured, trials, shares, thermocline: version } = JSON.parse(text);
  assert.match(version, /^\d+\.\d+\.\d+$/);
  assert.ok(measured.fsyncsPerSecond > 0);
  assert.equal(measured.randomReads.length, 4);
  assert.equal(trials.length, 9);
  assert.equal(shares.length, 14);
  for (const { what, store, disk: limit, share } of shares) {
    // A disk of this size writes nothing before the end of a trial, and small reads may all come from memory.
    if (!/the disk/.test(what)) assert.ok(store > 0, what);
    if (limit > 0) assert.ok(Math.abs(share - store / limit) < 1e-9, what);
  }
  assert.deepEqual(readdirSync(disk), []);
});

test('what is no folder, or no size, is refused as a command typed wrongly', async () => {
  const file = place.path('file');
  writeFileSync(file, '');
  for (const args of [
    ['--disk', file],
    ['--disk', place.path('missing')],
    ['--disk', disk, '--file-size', 'huge'],
    ['--disk', disk, '--records', '1'],
    [],
  ]) {
    const { code, stderr } = await thermocline(['bench', ...args]);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, /^thermocline: .+\n$/);
  }
});

test('Ctrl-C ends a run and removes what it wrote', async () => {
  const { child, ended } = start('main', ['bench', '--disk', disk, '--seconds', '30', '--file-size', '8MB']);
  child.stderr.once('data', () => child.kill('SIGINT'));
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  assert.match(stderr, /interrupted; what was written is removed/);
  assert.deepEqual(readdirSync(disk), []);
});

test.run();
