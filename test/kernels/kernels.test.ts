// The whole of Portolan on other kernels: it loads, attaches and serves a machine's root cgroup and uplink. Each kernel is
// booted in QEMU (software emulation), 5-30 s. PORTOLAN_KERNELS names the series; those of Debian 12 are the default.

import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterAll, describe, test } from 'vitest';
import { packInitramfs } from './initramfs.js';
import { fetchKernel } from './kernel.js';

const SERIES = (process.env.PORTOLAN_KERNELS ?? '6.1 6.12').split(' ').filter((text) => text !== '');
const GUEST = new URL('./guest', import.meta.url).pathname;
const BOOT_MS = 240_000;
const archives: string[] = [];

afterAll(() => {
  for (const archive of archives) rmSync(archive, { force: true });
});

/** Boots, and gives all that the guest said. */
function boot(image: string, initramfs: string): Promise<string> {
  const child = spawn(
    'qemu-system-x86_64',
    [
      ...['-M', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '1', '-m', '1536'],
      ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
      ...['-kernel', image, '-initrd', initramfs],
      ...['-append', 'console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: BOOT_MS },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => {
      output += data.toString();
    });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}

// Emulation is one thread: two guests at a time use two cores.
describe.concurrent.each(SERIES)('Linux %s', (series) => {
  test(
    'loads, attaches and serves the root cgroup and the uplink',
    async ({ skip, expect }) => {
      const kernel = fetchKernel(series);
      if (kernel === undefined)
        return skip(`the archive of this machine has no cloud kernel of the ${series} series`);
      const initramfs = packInitramfs(kernel, [`${GUEST}/init`, `${GUEST}/machine.sh`]);
      archives.push(initramfs);
      const output = await boot(kernel.image, initramfs);
      const lines = output.split(/\r?\n/);
      const failures = lines.filter((line) => line.startsWith('not ok'));
      expect(failures, output.slice(-6000)).toEqual([]);
      expect(output).toMatch(/GUEST-EXIT 0/);
      expect(lines.filter((line) => line.startsWith('ok - ')).length).toBeGreaterThan(15);
      expect(output, 'the kernel complained').not.toMatch(/Kernel panic|BUG:|WARNING:/);
      // tcx came with Linux 6.6: before, the fallback is what must be seen.
      const [major = 0, minor = 0] = series.split('.').map(Number);
      const tcx = major > 6 || (major === 6 && minor >= 6);
      expect(output).toContain(`# attached: ${tcx ? 'tcx' : 'clsact'}`);
    },
    BOOT_MS + 60_000,
  );
});
