// Creates a database and waits to be killed: creator.ts <location>

import { open } from '../../../lib/index.ts';

const location = process.argv[2] as string;
console.log('opening');
await open(location, { shards: 24 });
setInterval(() => {}, 1000); // waits to be killed
