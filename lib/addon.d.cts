/** What the native addon exports. lib/ gives it its type where it is used, beside the code that relies on it. */
declare const addon: unknown;
export = addon;
