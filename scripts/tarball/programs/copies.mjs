// Two copies of the package in one program: each with its own binary, and the lock between them as between processes.
import { createRequire } from 'node:module';
import * as one from 'thermocline';

const two = createRequire(new URL('./copy/x.js', import.meta.url))('thermocline');
console.log(one.open !== two.open);
const first = await one.open('./one-db', { valueEncoding: 'utf8' });
const second = await two.open('./two-db', { valueEncoding: 'utf8' });
await Promise.all([first.put('k', 'one'), second.put('k', 'two')]);
console.log(await first.get('k'), await second.get('k'));
console.log(await two.open('./one-db').catch(({ code }) => code));
await first.close();
const again = await two.open('./one-db', { valueEncoding: 'utf8' });
console.log(again.getSync('k'));
await Promise.all([again.close(), second.close()]);
