import addon from '#addon';

const SHARED = Symbol.for('thermocline.shared.1');

/**
 * State that a JavaScript environment has once, however many copies of this code run in it: the ESM and the CommonJS
 * build may be loaded side by side, and both talk to one addon.
 */
export function shared<T>(name: string, make: () => T): T {
  const holder = addon as { [SHARED]?: Record<string, unknown> };
  holder[SHARED] ??= {};
  const all = holder[SHARED];
  all[name] ??= make();
  return all[name] as T;
}
