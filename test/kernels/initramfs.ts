// Packs what a guest needs into an initramfs: the kernel's modules, busybox, the network tools, Node.js, and Portolan as it
// is built, so that the guest depends on nothing outside.

import { execFileSync, execSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Kernel } from './kernel.js';

const PROJECT = new URL('../..', import.meta.url).pathname;
const MODULES =
  'veth sch_ingress cls_bpf nf_tables nft_ct nft_chain_nat nft_masq nf_conntrack nft_compat xt_mark xt_conntrack xt_comment inet_diag udp_diag tcp_diag';
const APPLETS =
  'sh mount umount cat echo ls mkdir sleep grep sed kill insmod poweroff ps seq wc rm test head tail awk cut dmesg chroot env';
const TOOLS = [
  '/usr/sbin/ip',
  '/usr/sbin/nft',
  '/usr/sbin/xtables-nft-multi',
  '/usr/sbin/bpftool',
  '/usr/bin/nsenter',
  process.execPath,
];
/** Only loaded for kubeconfigs with plugins, and larger than all else together. */
const LEFT_OUT = new Set(['@kubernetes/client-node']);

/** @returns the path of the cpio archive; the caller removes it. */
export function packInitramfs(kernel: Kernel, guestFiles: readonly string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'portolan-initramfs-'));
  const archive = `${root}.cpio`;
  try {
    for (const folder of ['bin', 'sbin', 'proc', 'sys', 'dev', 'run', 'tmp', 'etc', 'modules', 'portolan'])
      mkdirSync(join(root, folder), { recursive: true });
    // iproute2 keeps names of network namespaces below /var/run.
    mkdirSync(join(root, 'var'));
    symlinkSync('/run', join(root, 'var/run'));
    packBusybox(root);
    packModules(root, kernel);
    for (const tool of TOOLS) packBinary(root, tool);
    for (const name of ['iptables', 'ip6tables', 'iptables-restore', 'ip6tables-restore'])
      symlinkSync('xtables-nft-multi', join(root, 'usr/sbin', name));
    packXtables(root);
    packPortolan(root);
    for (const file of guestFiles) copyFileSync(file, join(root, basename(file)));
    chmodSync(join(root, 'init'), 0o755);
    execSync(`find . | cpio -o -H newc --quiet > ${archive}`, { cwd: root });
    return archive;
  } finally {
    rmSync(root, { recursive: true });
  }
}

function packBusybox(root: string): void {
  copyFileSync('/usr/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of APPLETS.split(' ')) symlinkSync('busybox', join(root, 'bin', applet));
  chmodSync(join(root, 'bin/busybox'), 0o755);
}

/** In the order in which they have to be loaded; those that are built in are none. */
function packModules(root: string, kernel: Kernel): void {
  const order: string[] = [];
  for (const module of MODULES.split(' ')) {
    const lines = execSync(
      `modprobe -d ${kernel.root} -S ${kernel.release} --show-depends ${module} 2>/dev/null || true`,
      {
        encoding: 'utf8',
      },
    );
    for (const line of lines.split('\n')) {
      const path = /^insmod (\S+)/.exec(line)?.[1];
      if (path === undefined) continue;
      const name = basename(path).replace(/\.xz$/, '');
      if (order.includes(name)) continue;
      order.push(name);
      const bytes = path.endsWith('.xz')
        ? execFileSync('xz', ['-dc', path], { maxBuffer: 1 << 28 })
        : readFileSync(path);
      writeFileSync(join(root, 'modules', name), bytes);
    }
  }
  writeFileSync(join(root, 'modules/order'), order.join('\n'));
}

function packBinary(root: string, path: string, target = path): void {
  const real = realpathSync(path);
  mkdirSync(join(root, dirname(target)), { recursive: true });
  copyFileSync(real, join(root, target));
  chmodSync(join(root, target), 0o755);
  packLibraries(root, real);
}

function packLibraries(root: string, path: string): void {
  const lines = execSync(`ldd ${path} 2>/dev/null || true`, { encoding: 'utf8' });
  for (const library of lines.match(/\/[^\s)]+/g) ?? []) {
    const target = join(root, library);
    if (!existsSync(library) || existsSync(target)) continue;
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(realpathSync(library), target);
  }
}

/** iptables loads its matches from here. */
function packXtables(root: string): void {
  const folder = execSync('dirname $(find /usr/lib -name libxt_mark.so | head -1)', {
    encoding: 'utf8',
  }).trim();
  mkdirSync(join(root, folder), { recursive: true });
  for (const name of ['libxt_mark.so', 'libxt_conntrack.so', 'libxt_comment.so', 'libxt_standard.so'])
    if (existsSync(join(folder, name))) packBinary(root, join(folder, name));
}

function packPortolan(root: string): void {
  const target = join(root, 'portolan');
  for (const part of ['dist', 'examples', 'bin', 'package.json'])
    cpSync(join(PROJECT, part), join(target, part), { recursive: true });
  mkdirSync(join(target, 'build'));
  for (const file of ['libportolan.so', 'tc.bpf.o', 'sock.bpf.o', 'peer'])
    packBinary(root, join(PROJECT, 'build', file), `/portolan/build/${file}`);
  for (const name of productionPackages()) {
    const source = join(PROJECT, 'node_modules', name);
    cpSync(source, join(target, 'node_modules', name), { recursive: true });
  }
  const native = execSync(`find ${join(PROJECT, 'node_modules/@koromix')} -name '*.node' | head -1`, {
    encoding: 'utf8',
  }).trim();
  if (native !== '') packLibraries(root, native);
}

/** What the agent needs at run time, from the manifests themselves. */
function productionPackages(): Set<string> {
  const found = new Set<string>();
  const visit = (name: string): void => {
    const manifest = join(PROJECT, 'node_modules', name, 'package.json');
    if (found.has(name) || LEFT_OUT.has(name) || !existsSync(manifest)) return;
    found.add(name);
    dependenciesOf(manifest).forEach(visit);
  };
  dependenciesOf(join(PROJECT, 'package.json')).forEach(visit);
  return found;
}

function dependenciesOf(manifest: string): string[] {
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    readFileSync(manifest, 'utf8'),
  ) as Record<string, Record<string, string>>;
  return [...Object.keys(dependencies), ...Object.keys(optionalDependencies)];
}
