// An event log: orders are appended, or committed together with records, and two groups of consumers follow at their own
// pace. A consumer that comes back goes on where its group has committed.
// Run it from a checkout: node --import tsx examples/events.ts [folder]
import { open, type Topic } from '../lib/index.ts';

interface Order {
  customer: string;
  total: number;
}

const db = await open(process.argv[2] ?? 'events-db', { valueEncoding: 'json' });
for (const name of await db.topics.list()) await db.topics.delete(name); // from an earlier run
await db.deleteRange({});
const orders: Topic<Order> = (await db.topics.create('orders', { partitions: 2 })) as Topic<Order>;

/** Gives the next `count` events that a group has not had yet to `handle`, and commits after each batch that it took. */
async function follow(group: string, count: number, handle: (order: Order) => void): Promise<void> {
  const consumer = orders.consumer({ group });
  for (let had = 0; had < count; ) {
    const batch = await consumer.next(); // waits for one
    if (batch === undefined) return;
    for (const { value } of batch) handle(value);
    had += batch.length;
    await consumer.commit();
  }
  await consumer.close();
}

// Messages of one customer stay in order: the same key, the same partition.
for (const [customer, total] of [
  ['kari', 10],
  ['ola', 20],
  ['kari', 5],
] as const) {
  await orders.append({ key: customer, value: { customer, total } });
}
// A record and its event, both or neither; the event reaches the topic soon after.
await db.batch([{ type: 'put', key: 'stock/apples', value: 41 }], {
  messages: [{ topic: orders, key: 'ola', value: { customer: 'ola', total: 1 } }],
});

const mails: string[] = [];
await follow('mail', 4, ({ customer, total }) => void mails.push(`${customer} pays ${total}`));
console.log(mails.sort().join(', '));

// Another group, which begins where it has been: at the beginning.
const sums = new Map<string, number>();
await follow('sums', 4, ({ customer, total }) => void sums.set(customer, (sums.get(customer) ?? 0) + total));
await db.batch([...sums].map(([customer, sum]) => ({ type: 'put', key: `sum/${customer}`, value: sum })));
for await (const [key, sum] of db.iterator({ prefix: 'sum/' })) console.log(key, sum);

await orders.append({ key: 'kari', value: { customer: 'kari', total: 7 } });
const later: string[] = [];
await follow('mail', 1, ({ customer, total }) => void later.push(`${customer} pays ${total}`));
console.log('only the new one:', later.join(', '));
await db.close();
