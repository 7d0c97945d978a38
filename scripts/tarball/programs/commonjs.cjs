const { open, ThermoclineError } = require('thermocline');
const { ThermoclineLevel } = require('thermocline/level');

async function main() {
  const db = await open('./cjs-db', { valueEncoding: 'json' });
  await db.put('city/oslo', { people: 709_000 });
  console.log(JSON.stringify(await db.get('city/oslo')));
  for await (const [key] of db.iterator({ prefix: 'city/' })) console.log(key);
  console.log((await db.get(5).catch((error) => error)) instanceof ThermoclineError);
  await db.close();

  const level = new ThermoclineLevel('./level-db');
  await level.put('k', 'v');
  console.log(await level.get('k'));
  await level.close();
}

main();
