// npm run bench:topics: appending, reading and seeking in topics, against plain C++ at the same bytes in the same run.
//
//   node bench/topics/run.mjs [--dir <folder>] [--append-mb 512] [--read-mb 1024] [--seek-mb 10240] [--rounds 3]
//
// The C++ side is bench/native/topic_log.cc, the side of the API bench/topics/trial.mjs, a fresh process each round.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILD = `${ROOT}build-bench`;

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: tmpdir() },
    'append-mb': { type: 'string', default: '512' },
    'read-mb': { type: 'string', default: '1024' },
    'seek-mb': { type: 'string', default: '10240' },
    rounds: { type: 'string', default: '3' },
  },
});

function cmake(...args) {
  const { status, stdout, stderr } = spawnSync('cmake', args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`building the C++ program failed:\n${stdout}${stderr}`);
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

cmake('-S', '.', '-B', BUILD, '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release', '-DTHERMOCLINE_BENCH=ON');
cmake('--build', BUILD, '--target', 'topic_log');

const folder = mkdtempSync(path.join(values.dir, 'thermocline-topics-'));
try {
  const sizes = [values['append-mb'], values['read-mb'], values['seek-mb']];
  const native = JSON.parse(
    execFileSync(`${BUILD}/topic_log`, [path.join(folder, 'native'), ...sizes], { encoding: 'utf8' }),
  );
  const trials = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const db = path.join(folder, `api-${round}`);
    const messages = String(Math.round(Number(values['append-mb']) * 10_000));
    const trial = [path.join(ROOT, 'bench/topics/trial.mjs'), db, messages, values['read-mb']];
    trials.push(JSON.parse(execFileSync(process.execPath, trial, { encoding: 'utf8' })));
    rmSync(db, { recursive: true, force: true });
  }
  const of = (name) => median(trials.map((trial) => trial[name]));
  const millions = (number) => `${(number / 1e6).toFixed(2)}M/s`;
  const { append, read, seek } = native;
  console.log(`${cpus()[0]?.model}, ${cpus().length} processors, Node.js ${process.version}\n`);
  console.log(`append, 100 bytes, batches of 1,000, page cache, C++: ${millions(append.perSecond)}`);
  console.log(
    `  ${append.gbPerSecond} GB/s, plain pwrite ${append.plainGbPerSecond} GB/s: ${Math.round(100 * append.ratio)}%`,
  );
  console.log(`append, likewise through the API: ${millions(of('appendPerSecond'))}`);
  console.log(`read, 1 KB, uncompressed, verified, C++: ${read.gbPerSecond} GB/s`);
  console.log(`  plain read ${read.plainGbPerSecond} GB/s: ${Math.round(100 * read.ratio)}%`);
  console.log(`read through the API, values: ${of('valuesGbPerSecond').toFixed(2)} GB/s`);
  console.log(`read through the API, message objects: ${of('messagesGbPerSecond').toFixed(2)} GB/s`);
  for (const { logBytes, by, indexProbes, walkedBytes, microseconds } of seek ?? []) {
    console.log(
      `seek by ${by} in ${(logBytes / 1e9).toFixed(1)} GB: ${indexProbes} index entries compared, ` +
        `${walkedBytes} bytes walked, ${microseconds} µs with the read of a batch`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
