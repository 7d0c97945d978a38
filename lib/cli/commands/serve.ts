import type { Command } from 'commander';
import type { ServeOptions } from '../../index.ts';
import { writing } from '../database.ts';
import { catchInterrupts } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { wholeNumber } from '../range.ts';

interface ServeFlags {
  port?: number;
  host?: string;
  token?: string;
  name?: string[];
  readOnly?: boolean;
}

/** `thermocline serve <db>` */
export function addServe(program: Command, output: Output): void {
  program
    .command('serve')
    .description(
      'serve the live page of a database until interrupted, with /metrics for Prometheus, /stats and /health',
    )
    .argument('<db>', 'folder of the database; in a running program use db.serve()')
    .option('--port <port>', 'default 7379; 0: any that is free', wholeNumber(0, 65535))
    .option('--host <address>', 'default 127.0.0.1; others need a token')
    .option('--token <token>', 'what callers must present (default: THERMOCLINE_TOKEN)')
    .option('--name <names...>', 'names of a proxy under which the page is asked for')
    .option('--read-only', 'open without writing anything, as several programs may at once')
    .action(async (location: string, flags: ServeFlags) => {
      const readOnly = flags.readOnly === true;
      await writing(location, { readOnly, createIfMissing: false }, async (db) => {
        const interrupt = catchInterrupts();
        try {
          const server = await db.serve(settingsOf(flags));
          await output.line(`serving ${db.location} at ${server.url}`);
          if (!interrupt.signal.aborted) {
            await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve, { once: true }));
          }
          await server.close();
        } finally {
          interrupt.dispose();
        }
      });
    });
}

function settingsOf({ port, host, token = process.env.THERMOCLINE_TOKEN, name }: ServeFlags): ServeOptions {
  const settings: ServeOptions = {};
  if (port !== undefined) settings.port = port;
  if (host !== undefined) settings.host = host;
  if (token !== undefined) settings.token = token;
  if (name !== undefined) settings.names = name;
  return settings;
}
