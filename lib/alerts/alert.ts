/** The kinds of trouble that are looked for. */
export type AlertName =
  | 'memory'
  | 'writeLatency'
  | 'fsyncLatency'
  | 'disk'
  | 'tier'
  | 'stall'
  | 'cacheHitShare'
  | 'migration';

/** Something an operator should look at, or that is over. */
export interface Alert {
  /** What kind of trouble. */
  name: AlertName;
  /** Whose: the part of the engine, or the tier, that it is about. */
  subject: string;
  /** `critical`: writes fail or soon will. */
  severity: 'warning' | 'critical';
  /** `true` when it begins, `false` when it is over. */
  active: boolean;
  /** When it began. */
  since: Date;
  /** What was measured, and the bound it crossed, in `unit`. */
  value: number;
  threshold: number;
  unit: 'bytes' | 'seconds' | 'share';
  /** The metric of `db.metrics()` that shows it. */
  metric: string;
  /** One sentence for people: what it means and what to do. */
  cause: string;
}
