// npm run sanitize: the engine's tests under ASan with UBSan, then under TSan, RocksDB instrumented as well.
//
//   node scripts/sanitize.mjs [address | thread] [text...]    text: only the suites whose names contain one of these

import { executable, Failure, inRoot, main } from './common.mjs';
import { buildEngineTests } from './native.mjs';
import { prepare } from './setup.mjs';
import { runEngineTests } from './test.mjs';

const VARIANTS = {
  address: {
    ASAN_OPTIONS: 'detect_leaks=1:detect_stack_use_after_return=1:check_initialization_order=1',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  },
  thread: {
    TSAN_OPTIONS: `second_deadlock_stack=1:suppressions=${inRoot('scripts/tsan.supp')}`,
  },
};

await main(import.meta.url, async (args) => {
  const named = Object.keys(VARIANTS).filter((name) => args.includes(name));
  const filters = args.filter((text) => !(text in VARIANTS));
  await prepare(['test']);

  const lines = [];
  let failures = 0;
  for (const sanitize of named.length > 0 ? named : Object.keys(VARIANTS)) {
    const program = await buildEngineTests(`build-${sanitize}`, { sanitize });
    // TSan of this age knows only the usual address layout, and a kernel may randomise further than that.
    const wrapper = sanitize === 'thread' && executable('setarch') ? ['setarch', '-R'] : [];
    const options = { name: `engine (${sanitize} sanitizer)`, filters, env: VARIANTS[sanitize], wrapper };
    const { passed, failed, named } = await runEngineTests(program, options);
    lines.push(...named);
    if (passed === 0) failures++;
    failures += failed;
  }
  if (failures > 0) throw new Failure(['The sanitizers found something.', ...lines].join('\n'));
});
