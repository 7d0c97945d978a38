import type { Command } from 'commander';
import { writing } from '../database.ts';
import { CliError } from '../errors.ts';
import { job } from '../job.ts';
import type { Output } from '../output.ts';
import { formatTabs } from '../table.ts';
import { formatBytes, formatCount } from '../text.ts';

/** `thermocline shards snapshot <db> <ids> <dir>`, `restore <db> <dir>`, `freeze <db> <id>` and `thaw <db> <id>` */
export function addShardSnapshots(shards: Command, output: Output): void {
  shards
    .command('snapshot')
    .description('write a snapshot of shards, all of one moment, to a folder')
    .argument('<db>', 'folder of the database')
    .argument('<ids>', 'the shards, with commas between them', idsOf)
    .argument('<dir>', 'folder of the snapshot: missing or empty')
    .action(async (location: string, ids: number[], dir: string) => {
      const taken = await job((options) =>
        writing(location, { createIfMissing: false }, (db) => db.shards.snapshot(ids, dir, options)),
      );
      const { shards: of, keys, files, linked, bytes } = taken;
      if (!output.isTerminal) return output.write(formatTabs([[of.join(','), keys, files, linked, bytes].map(String)]));
      const copies = linked === files ? 'hard links all' : `${formatCount(linked)} of them hard links`;
      await output.line(`shards ${of.join(', ')}: ${formatBytes(bytes)} in ${formatCount(files)} files, ${copies}`);
    });
  shards
    .command('restore')
    .description('replace shards by what a snapshot holds, after every checksum of it was compared')
    .argument('<db>', 'folder of the database')
    .argument('<dir>', 'folder of the snapshot')
    .option('--as <id>', 'the shard to replace (default: the one that owns the same slots)', idOf)
    .action(async (location: string, dir: string, { as }: { as?: number }) => {
      const ids = await job((options) =>
        writing(location, { createIfMissing: false }, (db) =>
          db.shards.restore(dir, as === undefined ? options : { ...options, as }),
        ),
      );
      await output.line(ids.join(','));
    });
  for (const verb of ['freeze', 'thaw'] as const) {
    shards
      .command(verb)
      .description(
        verb === 'freeze'
          ? 'move a shard that nobody uses into the archive, compressed as far as possible'
          : 'bring a frozen shard back to the tiers that its records were in',
      )
      .argument('<db>', 'folder of the database')
      .argument('<id>', 'the shard', idOf)
      .action(async (location: string, id: number) => {
        const shard = await job((options) =>
          writing(location, { createIfMissing: false }, async (db) => {
            await db.shards[verb](id, options);
            return db.shards.get(id);
          }),
        );
        await output.line(`${shard.id}\t${shard.state}\t${shard.bytes}`);
      });
  }
}

function idOf(text: string): number {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : 2 ** 32;
  if (id < 2 ** 32) return id;
  throw new CliError(`${text} is no shard id, which is a whole number from 0`, { code: 'ERR_INVALID_ARGUMENT' });
}

function idsOf(text: string): number[] {
  return text.split(',').map(idOf);
}
