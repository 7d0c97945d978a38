import type { Command } from 'commander';
import type { ShardInfo, ShardMove } from '../../index.ts';
import { SLOTS } from '../../shards.ts';
import type { BytesDatabase } from '../database.ts';
import { reading, writing } from '../database.ts';
import { CliError } from '../errors.ts';
import { catchInterrupts } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { startProgress } from '../progress.ts';
import { formatTable, formatTabs } from '../table.ts';
import { formatBytes, formatCount } from '../text.ts';
import { addShardSnapshots } from './shard-snapshots.ts';

/** Slots that one character of the map stands for, and characters of one of its lines. */
const STEP = 64;
const WIDTH = 64;
const SYMBOLS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** `thermocline shards <db>` and, below it, `split`, `merge`, `snapshot`, `restore`, `freeze` and `thaw` */
export function addShards(program: Command, output: Output): void {
  const shards = program
    .command('shards')
    .description('print what each shard holds and when it was used, and which slots belong to which')
    .argument('<db>', 'folder of the database')
    .option('--json', 'everything that is known, as one JSON array')
    .action(async (location: string, flags: { json?: boolean }) => {
      const shards = await reading(location, (db) => db.shards.list());
      if (flags.json) return output.line(JSON.stringify(shards, undefined, 2));
      if (!output.isTerminal) return output.write(formatTabs(shards.map(columns)));
      const head = ['shard', 'slots', 'keys', 'on disk', 'created', 'last access', 'temperature', 'state'];
      const tiers = tiersOf(shards).flatMap((tier) => [`${tier} keys`, `on ${tier} disk`]);
      const rows = shards.map(readable);
      const right = [0, 2, 3, ...tiers.map((_, i) => head.length + i)];
      await output.write(formatTable({ head: [...head, ...tiers], rows, right }, true));
      await output.write(`\n${slotMap(shards)}`);
    });
  shards
    .command('split')
    .description('give the upper slots of a shard to a new one')
    .argument('<db>', 'folder of the database')
    .argument('<id>', 'the shard', numberOf)
    .option('--at <slot>', 'the first slot of the new shard (default: what halves the bytes)', numberOf)
    .action((location: string, id: number, { at }: { at?: number }) =>
      move(location, output, (db) => db.shards.split(id, at === undefined ? {} : { at })),
    );
  shards
    .command('merge')
    .description('join two shards whose slots are next to each other')
    .argument('<db>', 'folder of the database')
    .argument('<a>', 'the shard that stays', numberOf)
    .argument('<b>', 'the shard that is added to it', numberOf)
    .action((location: string, a: number, b: number) => move(location, output, (db) => db.shards.merge(a, b)));
  addShardSnapshots(shards, output);
}

function numberOf(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CliError(`'${text}' is not a whole number`, { code: 'ERR_INVALID_ARGUMENT' });
}

/** Runs a split or merge to its end, or to Ctrl-C, and prints the shards that hold the data now. */
async function move(location: string, output: Output, start: (db: BytesDatabase) => ShardMove): Promise<void> {
  const ids = await writing(location, { createIfMissing: false }, async (db) => {
    const interrupt = catchInterrupts();
    const running = start(db);
    const stop = () => running.abort(new Error('interrupted'));
    interrupt.signal.addEventListener('abort', stop, { once: true });
    const progress = startProgress(running.progress.totalBytes || 1);
    const timer = setInterval(() => {
      const { copiedBytes, copiedRecords } = running.progress;
      progress.update(copiedBytes, copiedRecords);
    }, 200);
    try {
      const moved = await running;
      const all = await db.shards.list();
      return all.filter(({ id }) => moved.includes(id));
    } finally {
      clearInterval(timer);
      progress.stop();
      interrupt.dispose();
    }
  });
  for (const shard of ids) await output.line(`${shard.id}\t${slotsOf(shard)}`);
}

function slotsOf({ slots }: ShardInfo): string {
  return slots.map(([first, last]) => `${first}-${last}`).join(' ');
}

/** The tiers of a database that has colder ones, hotter first; else none, since its shards' figures are those of the hot tier. */
function tiersOf(shards: readonly ShardInfo[]): (keyof ShardInfo['tiers'])[] {
  const tiers = Object.keys(shards[0]?.tiers ?? {}) as (keyof ShardInfo['tiers'])[];
  return tiers.length > 1 ? tiers : [];
}

/** Keys and bytes on disk of every tier, as `tiersOf`. */
function tierColumns(shard: ShardInfo): [keys: number, bytes: number][] {
  return tiersOf([shard]).map((tier) => [shard.tiers[tier]?.keys ?? 0, shard.tiers[tier]?.tableBytes ?? 0]);
}

/** For programs: bytes and times as they are. */
function columns(shard: ShardInfo): string[] {
  const time = (date: Date | undefined) => date?.toISOString() ?? '';
  const { id, keys, bytes, temperature, state } = shard;
  const figures = [String(keys), String(bytes), time(shard.created), time(shard.lastAccess)];
  return [String(id), slotsOf(shard), ...figures, temperature, state, ...tierColumns(shard).flat().map(String)];
}

function readable(shard: ShardInfo): string[] {
  const time = (date: Date | undefined) => date?.toISOString().slice(0, 16).replace('T', ' ') ?? '-';
  const { id, keys, bytes, temperature, state } = shard;
  const figures = [formatCount(keys), formatBytes(bytes), time(shard.created), time(shard.lastAccess)];
  const tiers = tierColumns(shard).flatMap(([keys, bytes]) => [formatCount(keys), formatBytes(bytes)]);
  return [String(id), slotsOf(shard), ...figures, temperature, state, ...tiers];
}

/**
 * Which slots belong to which shard: a character for every 64 slots, that of the shard which owns the first of them. More
 * than 62 shards share characters.
 */
export function slotMap(shards: readonly Pick<ShardInfo, 'id' | 'slots'>[]): string {
  const owner = new Uint32Array(SLOTS);
  for (const [index, { slots }] of shards.entries())
    for (const [first, last] of slots) owner.fill(index, first, last + 1);
  const symbols = Array.from({ length: SLOTS / STEP }, (_, i) => SYMBOLS[(owner[i * STEP] as number) % SYMBOLS.length]);
  let map = '';
  for (let at = 0; at < symbols.length; at += WIDTH) {
    map += `${String(at * STEP).padStart(6)}  ${symbols.slice(at, at + WIDTH).join('')}\n`;
  }
  const legend = shards.slice(0, SYMBOLS.length).map(({ id }, index) => `${SYMBOLS[index]} shard ${id}`);
  return `${map}${shards.length <= 16 ? `\n        ${legend.join('   ')}\n` : ''}`;
}
