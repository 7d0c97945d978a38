import { AbstractSnapshot } from 'abstract-level';
import { invalid } from '../error.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Formatted } from './codecs.ts';

type Moment = Snapshot<Formatted, Formatted>;

/** @internal An explicit snapshot: Thermocline's own, counted by abstract-level. */
export class LevelSnapshot extends AbstractSnapshot {
  readonly #moment: Moment;

  constructor(options: object, moment: Snapshot<never, never>) {
    super(...([options] as unknown as []));
    this.#moment = moment as unknown as Moment;
  }

  /** @throws ERR_INVALID_ARGUMENT for a snapshot of another kind of database, LEVEL_SNAPSHOT_NOT_OPEN */
  static of(snapshot: unknown): Moment {
    if (!(snapshot instanceof LevelSnapshot)) throw invalid('the snapshot belongs to another database');
    snapshot.ref(); // throws if it is closed
    snapshot.unref();
    return snapshot.#moment;
  }

  /** @internal */
  _close(): Promise<void> {
    return this.#moment.close();
  }
}
