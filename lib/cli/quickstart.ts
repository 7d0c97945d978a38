// What `npm start` runs when everything is set up: quickstart.js [folder]
import { exitAfter } from './exit.ts';

exitAfter(async () => (await import('./quickstart/run.ts')).runQuickstart(process.argv.slice(2)));
