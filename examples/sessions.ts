// A session store: sessions end by themselves, are found by user, and can be ended all at once.
// Run it from a checkout: node --import tsx examples/sessions.ts [folder]
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, json, open } from '../lib/index.ts';

interface Session {
  user: string;
  agent: string;
}

class Sessions {
  readonly #db: Database<string, Session>;
  readonly #ttl: number;

  /** @param ttl milliseconds that a session lives without being used */
  constructor(db: Database<string, Session>, ttl: number) {
    this.#db = db;
    this.#ttl = ttl;
  }

  async begin(session: Session): Promise<string> {
    const id = randomUUID();
    await this.#write(id, session);
    return id;
  }

  /** Finds a session and lets it live on. */
  async use(id: string): Promise<Session | undefined> {
    const session = await this.#db.get(`session/${id}`);
    if (session !== undefined) await this.#write(id, session);
    return session;
  }

  /** Ends all sessions of a user: those that begin meanwhile make the transaction run again. */
  async endAll(user: string): Promise<number> {
    return this.#db.transaction(async (tx) => {
      let ended = 0;
      for await (const [key] of tx.iterator({ prefix: `user/${user}/` })) {
        tx.delete(key);
        tx.delete(`session/${key.slice(key.lastIndexOf('/') + 1)}`);
        ended++;
      }
      return ended;
    });
  }

  async count(user: string): Promise<number> {
    return (await this.#db.keys({ prefix: `user/${user}/` }).nextMany(1000)).length;
  }

  /** The session, and the entry that finds it by its user: both or neither, and both end together. */
  #write(id: string, session: Session): Promise<void> {
    const ttl = this.#ttl;
    return this.#db.batch([
      { type: 'put', key: `session/${id}`, value: session, ttl },
      { type: 'put', key: `user/${session.user}/${id}`, value: session, ttl },
    ]);
  }
}

await using db = await open(process.argv[2] ?? 'sessions-db', { valueEncoding: json<Session>() });
const sessions = new Sessions(db, 60_000);
const phone = await sessions.begin({ user: 'kari', agent: 'phone' });
await sessions.begin({ user: 'kari', agent: 'laptop' });
console.log('kari uses', await sessions.use(phone));
console.log('sessions of kari:', await sessions.count('kari'));
console.log('ended:', await sessions.endAll('kari'));
console.log('the phone is', (await sessions.use(phone)) === undefined ? 'logged out' : 'logged in');

const brief = new Sessions(db, 20);
const id = await brief.begin({ user: 'ola', agent: 'browser' });
await sleep(40);
console.log('after its time ola has', await brief.count('ola'), 'sessions, and this one is', await brief.use(id));
