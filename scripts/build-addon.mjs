// The action of binding.gyp: what node-gyp and prebuildify build is what `npm run setup` builds.

import { main } from './common.mjs';
import { buildAddon } from './native.mjs';

await main(import.meta.url, buildAddon);
