// What is shown of a failed test's output, and which tests failed by it. Logs are cut, by whoever keeps them, somewhere in
// the middle, so that no failure may take much room, and every one is named again in a line at the end.

const HEAD = 40; // lines shown of a failure's beginning, where the message stands
const TAIL = 20; // and of its end, where the stack and the seed do
const WIDTH = 500; // characters of a line
const BLOCKS = 12; // failures of one program that are shown
const NAMES = 3; // and named again at the end

/** Splits output before every line that begins a part. */
function blocks(output, begins) {
  const parts = [[]];
  for (const line of output.split('\n')) {
    if (begins.test(line)) parts.push([]);
    parts.at(-1).push(line);
  }
  return parts;
}

function cutBlock(lines) {
  const narrow = lines.map((line) =>
    line.length <= WIDTH ? line : `${line.slice(0, WIDTH)} [${line.length - WIDTH} characters left out]`,
  );
  if (narrow.length <= HEAD + TAIL + 1) return narrow;
  return [...narrow.slice(0, HEAD), `[${narrow.length - HEAD - TAIL} lines left out]`, ...narrow.slice(-TAIL)];
}

function cut(parts) {
  const left = parts.length - BLOCKS;
  const shown =
    left <= 1 ? parts : [...parts.slice(0, BLOCKS - 2), [`[${left} failures left out]`], ...parts.slice(-2)];
  return shown
    .flatMap(cutBlock)
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}

function list(names) {
  const left = names.length - NAMES;
  return left <= 0 ? names.join(', ') : `${names.slice(0, NAMES).join(', ')} and ${left} more`;
}

/**
 * Of a uvu file.
 * @param {string} output without colours
 * @param {string} ending how the process ended, if not by itself and well
 * @returns {{ shown: string, named: string }} named: one line, with what failed
 */
export function uvuFailures(output, ending) {
  const names = [...output.matchAll(/^ +FAIL +.*?(".*")$/gm)].map(([, name]) => name);
  const shown = cut([...blocks(output, /^ +FAIL /), [ending]]);
  return { shown, named: names.length > 0 ? list(names) : ending };
}

const STARTED = /^\[ RUN {6}\] (\S+)/;
const UNIMPORTANT = /^\[(?: {7}OK |-{10}|={10})\]|^Note: This is test shard|^Running main\(\)|^\s*$/;
const NOTICED = /Sanitizer|runtime error:/; // by a sanitizer, which fails the process and not the test

/**
 * Of a GoogleTest program that prints every test it begins.
 * @param {string} output without colours
 * @param {string} ending how the process ended, if not by itself and well
 * @returns {{ shown: string, named: string }}
 */
export function engineFailures(output, ending) {
  const tests = blocks(output, STARTED);
  const nameOf = (lines) => STARTED.exec(lines[0])?.[1];
  const named = (holds) => tests.filter((lines) => nameOf(lines) && holds(lines.join('\n'))).map(nameOf);
  const names = named((text) => /^\[ {2}FAILED {2}\] .* ms\)/m.test(text));
  const unfinished = named((text) => !/^\[ (?: {6}OK| {1}FAILED {1}| {1}SKIPPED) \]/m.test(text));
  names.push(...unfinished.map((name) => `${name} (it did not end)`));
  if (names.length === 0) names.push(...named((text) => NOTICED.test(text)));
  // Of the tests that passed, only what they printed.
  const talking = tests
    .map((lines) => lines.filter((line) => !UNIMPORTANT.test(line)))
    .filter((lines) => lines.some((line) => !STARTED.test(line)));
  return { shown: cut([...talking, [ending]]), named: names.length > 0 ? list(names) : ending };
}
