// npm run prebuild: builds what is not fresh, and fills prebuilds/ for this machine. `npm pack` takes that along.

import { placeBinary } from './binary.mjs';
import { main } from './common.mjs';
import { setup } from './setup.mjs';

await main(import.meta.url, async () => {
  await setup();
  const { file, bytes } = await placeBinary();
  console.log(`${file}: ${(bytes / 1e6).toFixed(1)} MB`);
});
