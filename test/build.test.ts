// What the build promises about the binary and the sources, checked on what was built.

import * as assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import { checkProcessor } from '../lib/processor.cjs';

const root = path.join(import.meta.dirname, '..');
const binary = path.join(root, 'build/Release/thermocline.node');

function lines(command: string, ...args: string[]): string[] {
  return execFileSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20 }).split('\n');
}

function sourcesUnder(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(cc|h)$/.test(name))
    .map((name) => path.join(root, folder, name));
}

const binarySuite = suite('the binary');
if (process.platform === 'linux') {
  binarySuite('exports the Node-API entries and nothing else', () => {
    const names = lines('nm', '-D', '--defined-only', binary)
      .filter((line) => line !== '')
      .map((line) => line.split(' ').at(-1) ?? '');
    assert.ok(names.includes('napi_register_module_v1'), `exported: ${names.join(', ')}`);
    for (const name of names) assert.match(name, /^(napi_register_module_v1|node_api_module_get_api_version_v1)$/);
  });

  binarySuite('runs on glibc 2.34', () => {
    const versions = lines('objdump', '-T', binary).flatMap((line) => /GLIBC_([0-9.]+)/.exec(line)?.[1] ?? []);
    const minors = versions.map((version) => Number(version.split('.')[1]));
    assert.ok(minors.length > 0);
    assert.ok(Math.max(...minors) <= 34, `needs glibc 2.${Math.max(...minors)}`);
  });

  binarySuite('depends on libc alone', () => {
    const needed = lines('readelf', '-d', binary).flatMap((line) => /\(NEEDED\).*\[(.+)\]/.exec(line)?.[1] ?? []);
    assert.ok(needed.length > 0);
    for (const name of needed) assert.match(name, /^(libc|libm|libpthread|libdl|ld-linux[-a-z0-9_]*)\.so\.\d$/);
  });

  binarySuite('stays loaded once it is', () => {
    assert.match(lines('readelf', '-d', binary).join('\n'), /NODELETE/);
  });

  binarySuite('destroys no static object when the process exits, for threads may still use it', () => {
    const missing = lines('nm', '-D', '--undefined-only', binary);
    assert.ok(missing.length > 100);
    for (const line of missing) assert.doesNotMatch(line, /__cxa_atexit|\batexit/);
  });

  binarySuite('names no folder of the machine that built it', () => {
    // RocksDB logs __FILE__, and other machines have no use for where this one keeps its files.
    const text = readFileSync(binary, 'latin1');
    assert.ok(!text.includes(root), `holds ${root}`);
  });
}
binarySuite.run();

const sources = suite('the sources');
sources('of the engine include no Node header', () => {
  const files = sourcesUnder('native/engine');
  assert.ok(files.length > 0);
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    assert.doesNotMatch(text, /#include\s*[<"](?:node|node_api|js_native_api|napi|uv|v8|nan)[-._a-z]*\.h/, file);
    assert.doesNotMatch(text, /#include\s*[<"]binding\//, file);
  }
});

interface Locked {
  integrity?: string;
  optional?: boolean;
  optionalDependencies?: Record<string, string>;
}

function lockedPackages(): Record<string, Locked> {
  const lock = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
  return (JSON.parse(lock) as { packages: Record<string, Locked> }).packages;
}

sources('pin packages by hash and name no host', () => {
  assert.doesNotMatch(readFileSync(path.join(root, 'package-lock.json'), 'utf8'), /"resolved"/);
  for (const [name, { integrity, optional }] of Object.entries(lockedPackages())) {
    // Binaries for systems that a registry did not offer are locked by version alone.
    if (name !== '' && !optional) assert.match(integrity ?? '', /^sha512-/, name);
  }
});

sources('lock the binaries of every system, without which npm ci refuses on some', () => {
  const packages = lockedPackages();
  for (const { optionalDependencies = {} } of Object.values(packages)) {
    for (const name of Object.keys(optionalDependencies)) {
      const found = Object.keys(packages).some((place) => place.endsWith(`node_modules/${name}`));
      assert.ok(found, `package-lock.json lacks ${name}`);
    }
  }
});

sources('pin every dependency to one version', () => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Record<
    'dependencies' | 'devDependencies',
    Record<string, string>
  >;
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name);
  }
});
sources.run();

const processor = suite('the processor check');
const haswell = 'processor\t: 0\nflags\t\t: fpu sse2 ssse3 fma movbe popcnt avx f16c abm bmi1 avx2 bmi2 pclmulqdq\n';
processor('accepts what the binary was compiled for', () => {
  checkProcessor('x64', haswell);
  checkProcessor('arm64', 'Features\t: fp asimd crc32 atomics\n');
});

processor('refuses an older one and names what it lacks', () => {
  const ivyBridge = haswell.replace(' fma', '').replace(' avx2', '');
  assert.throws(() => checkProcessor('x64', ivyBridge), {
    code: 'ERR_UNSUPPORTED',
    message: /Haswell.*lacks: avx2, fma\./,
  });
  assert.throws(() => checkProcessor('arm64', 'Features\t: fp asimd\n'), {
    code: 'ERR_UNSUPPORTED',
    message: /lacks: crc32/,
  });
});

processor('does not take one feature for another that begins alike', () => {
  assert.throws(() => checkProcessor('x64', haswell.replace(' avx2', ' avx2x')), /lacks: avx2\./);
});

processor('lets a system pass that hides its features', () => {
  checkProcessor('x64', '');
});
processor.run();
