// A registry on this machine alone, which offers what the checkout has installed: with it a tarball is installed as a
// user installs it, and no network is asked.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { Failure, inRoot, run } from '../common.mjs';

/** The folders of the packages that a user of ours gets, found as Node.js finds them. */
function dependencyFolders() {
  const { packages } = JSON.parse(readFileSync(inRoot('package-lock.json'), 'utf8'));
  const found = new Set();
  const find = (from, name) => {
    for (let place = from; ; place = place.slice(0, Math.max(0, place.lastIndexOf('/node_modules/')))) {
      const folder = `${place === '' ? '' : `${place}/`}node_modules/${name}`;
      if (packages[folder] !== undefined) return folder;
      if (place === '') throw new Failure(`package-lock.json lacks ${name}.`);
      if (!place.includes('/node_modules/')) place = '';
    }
  };
  const walk = (from) => {
    for (const name of Object.keys(packages[from].dependencies ?? {})) {
      const folder = find(from, name);
      if (found.has(folder)) continue;
      found.add(folder);
      walk(folder);
    }
  };
  walk('');
  return [...found];
}

/**
 * Starts it.
 * @param {string} folder for the tarballs; empty
 * @returns {Promise<{ url: string, close(): void }>}
 */
export async function startRegistry(folder) {
  const folders = dependencyFolders();
  const { output } = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder, ...folders.map((name) => inRoot(name))],
    { quiet: true },
  );
  const packed = Object.values(JSON.parse(output.slice(output.search(/^[[{]/m))));
  const documents = new Map();
  const files = new Map();
  for (const [i, { name, version, filename, integrity }] of packed.entries()) {
    const manifest = JSON.parse(readFileSync(inRoot(folders[i], 'package.json'), 'utf8'));
    if (manifest.name !== name) throw new Failure(`npm pack gave ${name} where ${manifest.name} was due.`);
    files.set(`/-/${filename}`, path.join(folder, filename));
    const versions = documents.get(name)?.versions ?? {};
    versions[version] = { ...manifest, dist: { tarball: `/-/${filename}`, integrity } };
    documents.set(name, { name, 'dist-tags': { latest: version }, versions });
  }

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const file = files.get(pathname);
    if (file !== undefined) return response.end(readFileSync(file));
    const document = documents.get(decodeURIComponent(pathname.slice(1)));
    if (document === undefined) return response.writeHead(404).end();
    const own = `http://${request.headers.host}`;
    const text = JSON.stringify(document, (key, value) => (key === 'tarball' ? own + value : value));
    response.setHeader('content-type', 'application/json').end(text);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close().closeAllConnections() };
}
