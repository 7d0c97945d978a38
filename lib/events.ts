import type { Alert } from './alerts/alert.ts';
import type { Migration } from './tiers.ts';

/**
 * Events: `'drain'` after {@link Database.needsDrain} was true, `'alert'` when something needs an operator's eye and when
 * it is over (looked at every second while there is a listener), `'migration'` after each step of a migration that
 * the program asked for, `'closed'` once closed.
 */
export interface DatabaseEvents {
  alert: [alert: Alert];
  drain: [];
  migration: [progress: Migration];
  closed: [];
}
