import type { Alert } from './alerts.ts';

/**
 * Events: `'drain'` after {@link Database.needsDrain} was true, `'alert'` when something needs an operator's eye and when
 * it is over (looked at every second while there is a listener), `'closed'` once closed.
 */
export interface DatabaseEvents {
  alert: [alert: Alert];
  drain: [];
  closed: [];
}
