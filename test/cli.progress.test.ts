import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { suite } from 'uvu';
import { startProgress } from '../lib/cli/progress.ts';

const test = suite('command line: progress');

/** What a stream is given, as if it were a terminal or a pipe. */
class Screen extends Writable {
  readonly isTTY: boolean;
  readonly columns = 120;
  text = '';

  constructor(isTTY: boolean) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: string, _: string, done: () => void): void {
    this.text += chunk;
    done();
  }
}

function progressOn(screen: Screen, totalBytes: number | undefined) {
  return startProgress(totalBytes, screen as unknown as NodeJS.WriteStream & { fd: 2 });
}

test('a terminal shows a bar with percentage, records, rate and time left, and nothing of it stays', () => {
  const screen = new Screen(true);
  const progress = progressOn(screen, 1000);
  progress.update(250, 480_493);
  progress.stop();
  assert.match(stripVTControlCharacters(screen.text), /█{7}░{21} 25% {2}480,493 records {2}[\d,]+\/s {2}1 s left/);
  assert.ok(
    screen.text.endsWith('\x1b[2K'),
    `the line is cleared at the end: ${JSON.stringify(screen.text.slice(-30))}`,
  );
});

test('standard input has no total, and so no bar', () => {
  const screen = new Screen(true);
  const progress = progressOn(screen, undefined);
  progress.update(250, 7);
  progress.stop();
  assert.match(screen.text, /7 records/);
  assert.doesNotMatch(screen.text, /%|█|left/);
});

test('a line stands above the bar, on a line that was cleared, and the bar comes back', () => {
  const screen = new Screen(true);
  const progress = progressOn(screen, 100);
  progress.update(50, 1);
  progress.note('a.csv:3: bad');
  const [before, after] = screen.text.split('a.csv:3: bad\n') as [string, string];
  assert.ok(before.endsWith('\x1b[2K'), JSON.stringify(before.slice(-30)));
  assert.match(after, /█{14}░{14} 50% {2}1 records/);
  progress.stop();
});

test('a pipe gets the lines alone', () => {
  const screen = new Screen(false);
  const progress = progressOn(screen, 100);
  progress.update(50, 1);
  progress.note('a.csv:3: bad');
  progress.stop();
  assert.equal(screen.text, 'a.csv:3: bad\n');
});

test.run();
