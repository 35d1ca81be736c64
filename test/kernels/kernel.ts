// Gets a kernel of another series from Debian's archive, as packages that apt verifies, and keeps it in .cache/kernels.

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

export interface Kernel {
  /** `uname -r`. */
  readonly release: string;
  /** An ELF vmlinux that QEMU boots directly (PVH). */
  readonly image: string;
  /** Where lib/modules is. */
  readonly root: string;
}

const CACHE = new URL('../../.cache/kernels', import.meta.url).pathname;
const run = (command: string, args: readonly string[], cwd = '/'): string =>
  execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  });

/**
 * @param series `6.1`, `6.12`
 * @returns undefined where the archive of this machine has no such kernel
 */
export function fetchKernel(series: string): Kernel | undefined {
  const cached = cachedKernel(series);
  if (cached !== undefined) return cached;
  const name = newestPackage(series);
  if (name === undefined) return undefined;
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'fetch-'));
  try {
    run('apt-get', ['-o', 'APT::Sandbox::User=root', '-qq', 'download', name], folder);
    const deb = readdirSync(folder).find((file) => file.endsWith('.deb'))!;
    run('dpkg', ['-x', deb, '.'], folder);
    rmSync(join(folder, deb));
    unpack(folder);
    const target = join(CACHE, series);
    rmSync(target, { recursive: true, force: true });
    renameSync(folder, target);
    return cachedKernel(series);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function cachedKernel(series: string): Kernel | undefined {
  const root = join(CACHE, series);
  if (!existsSync(join(root, 'vmlinux'))) return undefined;
  const release = readdirSync(join(root, 'lib/modules'))[0]!;
  return { release, image: join(root, 'vmlinux'), root };
}

/** The newest of the series; versions in the archive come and go, so none is pinned. */
function newestPackage(series: string): string | undefined {
  const pattern = `^linux-image-${series.replace('.', '\\.')}\\.[0-9].*cloud-amd64$`;
  const names = run('apt-cache', ['search', '--names-only', pattern])
    .split('\n')
    .flatMap((line) => /^(\S+) - /.exec(line)?.[1] ?? []);
  const number = (name: string): number[] => (name.match(/\d+/g) ?? []).map(Number);
  return names.sort((a, b) => compare(number(a), number(b))).at(-1);
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) if (a[i] !== b[i]) return (a[i] ?? 0) - (b[i] ?? 0);
  return 0;
}

/** Puts lib/modules in its usual place, with its index, and the ELF image beside it. */
function unpack(folder: string): void {
  if (!existsSync(join(folder, 'lib'))) symlinkSync('usr/lib', join(folder, 'lib'));
  const release = readdirSync(join(folder, 'lib/modules'))[0]!;
  run('depmod', ['-b', folder, release]);
  const boot = readdirSync(join(folder, 'boot')).find((file) => file.startsWith('vmlinuz'))!;
  writeFileSync(join(folder, 'payload'), payload(readFileSync(join(folder, 'boot', boot))));
  writeFileSync(join(folder, 'vmlinux'), decompress(join(folder, 'payload')));
  rmSync(join(folder, 'payload'));
}

/** The compressed ELF within a bzImage: offset and length stand in its setup header (Documentation/arch/x86/boot.rst). */
function payload(bzImage: Buffer): Buffer {
  const sectors = bzImage[0x1f1] || 4;
  const start = (sectors + 1) * 512 + bzImage.readUInt32LE(0x248);
  return bzImage.subarray(start, start + bzImage.readUInt32LE(0x24c) - 4);
}

const COMPRESSORS: readonly (readonly [magic: string, command: string])[] = [
  ['02214c18', 'lz4'],
  ['28b52ffd', 'zstd'],
  ['fd377a58', 'xz'],
  ['1f8b', 'gzip'],
];

function decompress(path: string): Buffer {
  const magic = readFileSync(path).subarray(0, 4).toString('hex');
  const found = COMPRESSORS.find(([start]) => magic.startsWith(start));
  if (found === undefined) throw new Error(`${path}: compressed in a way that is not known (${magic})`);
  return execFileSync(found[1], ['-dc', path], { maxBuffer: 1 << 29 });
}
