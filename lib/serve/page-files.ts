import { readFile } from 'node:fs/promises';

/** @internal A file of the live page. */
export interface PageFile {
  type: string;
  bytes: Buffer;
}

const TYPES: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

const files = new Map<string, PageFile>();

/** @internal The file at a path of the page; undefined: there is none. */
export async function pageFile(pathname: string): Promise<PageFile | undefined> {
  const known = files.get(pathname);
  if (known !== undefined) return known;
  const { default: paths } = await import('#page');
  const path = new Map(Object.entries(paths)).get(pathname);
  if (path === undefined) return undefined;
  const file = { type: TYPES[path.split('.').at(-1) ?? ''] ?? 'application/octet-stream', bytes: await readFile(path) };
  files.set(pathname, file);
  return file;
}
