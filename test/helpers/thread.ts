// Worker threads that run TypeScript: tsx registers itself on the main thread alone.

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

const programs = path.join(import.meta.dirname, 'programs');
const BOOT = `
  const { workerData } = require('node:worker_threads');
  const { tsx, program } = workerData.boot;
  import(tsx).then(({ register }) => {
    register();
    return import(program);
  });
`;

/** Starts a program of test/helpers/programs in a worker thread. */
export function startWorker(program: string, data: object): Worker {
  const boot = {
    tsx: import.meta.resolve('tsx/esm/api'),
    program: pathToFileURL(path.join(programs, program)).href,
  };
  return new Worker(BOOT, { eval: true, workerData: { ...data, boot } });
}
