// The compiler, the tools and the libraries that npm does not bring. As root on Debian the missing ones are installed;
// elsewhere the command to install them is printed.

import { existsSync, readdirSync } from 'node:fs';
import { executable, Failure, run } from './common.mjs';

/** What each purpose needs: Debian package -> the program or the static library that shows it is there. */
const NEEDS = {
  build: {
    'g++': { program: 'c++' },
    cmake: { program: 'cmake' },
    'ninja-build': { program: 'ninja' },
    'libzstd-dev': { library: 'zstd' },
    'liblz4-dev': { library: 'lz4' },
    'libsnappy-dev': { library: 'snappy' },
    'zlib1g-dev': { library: 'z' },
    ...(process.platform === 'linux' ? { 'liburing-dev': { library: 'uring' } } : {}),
  },
  test: {
    'libgtest-dev': { library: 'gtest' },
    'libgmock-dev': { library: 'gmock' },
    binutils: { program: 'objdump' },
    strace: { program: 'strace' },
  },
  bench: { 'libbenchmark-dev': { library: 'benchmark_main' } },
  coverage: { gcovr: { program: 'gcovr' } },
  lint: { 'clang-format': { program: 'clang-format' } },
};

function libraryFolders() {
  const folders = ['/usr/lib', '/usr/lib64', '/usr/local/lib', '/opt/homebrew/lib'];
  // Debian keeps them by architecture, as in /usr/lib/x86_64-linux-gnu.
  for (const name of existsSync('/usr/lib') ? readdirSync('/usr/lib') : []) {
    if (/-linux-(gnu|musl)/.test(name)) folders.push(`/usr/lib/${name}`);
  }
  return folders;
}

function missingPackages(purposes) {
  const folders = libraryFolders();
  const present = ({ program, library }) =>
    program ? executable(program) : folders.some((folder) => existsSync(`${folder}/lib${library}.a`));
  return purposes
    .flatMap((purpose) => Object.entries(NEEDS[purpose]))
    .filter(([, sign]) => !present(sign))
    .map(([name]) => name);
}

/**
 * @param {(keyof typeof NEEDS)[]} purposes
 * @param {{ install?: boolean }} [options] install: false leaves installing to the user also as root on Debian
 * @throws {Failure} with the command to run, where it cannot be run here
 */
export async function requireSystemPackages(purposes, { install: mayInstall = true } = {}) {
  const missing = missingPackages(purposes);
  if (missing.length === 0) return;
  const install = ['install', '-y', '--no-install-recommends', ...missing];
  const isDebian = existsSync('/etc/debian_version') && executable('apt-get');
  if (!isDebian) {
    throw new Failure(
      `These are missing: ${missing.join(', ')} (by their Debian names).\n` +
        'Install what your system calls them; the libraries as static ones (.a).',
    );
  }
  if (!mayInstall || process.getuid() !== 0) {
    throw new Failure(`System packages are missing. Install them with:\n\n  sudo apt-get ${install.join(' ')}\n`);
  }
  console.log(`Installing Debian packages: ${missing.join(' ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update'], { env, quiet: true });
  await run('apt-get', install, { env, quiet: true });
  const still = missingPackages(purposes);
  if (still.length > 0) throw new Failure(`apt-get installed them, but not found: ${still.join(', ')}`);
}
