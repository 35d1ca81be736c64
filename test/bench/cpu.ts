// CPU time of everything in a lab: its processes, and the packets that the kernel carries for them. Packets between
// namespaces are carried within the sender's system call, so they count in the cgroup's time, which is exact and free of
// this machine's other processes; what the kernel puts off runs in ksoftirqd, which is added. Kernels that account
// softirqs apart (CONFIG_IRQ_TIME_ACCOUNTING) leave them out of processes' time: there, that CPU's share is added, too.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** Nanoseconds of a tick in /proc/stat (USER_HZ). */
const TICK_NS = 10_000_000;
/** Of the numbers in a line of /proc/stat. */
const SOFTIRQ = 6;

export interface CpuMeter {
  /** Nanoseconds of CPU since some moment. */
  read(): number;
}

/**
 * @param cgroup its whole subtree counts
 * @param cpu the one that the traffic's processes stay on
 */
export function cpuMeter(cgroup: string, cpu: number): CpuMeter {
  const ksoftirqd = `/proc/${kernelThread(`ksoftirqd/${cpu}`)}/schedstat`;
  const stat = join(cgroup, 'cpu.stat');
  const apart = softirqIsApart();
  return {
    read() {
      const usage = Number(/^usage_usec (\d+)/m.exec(readFileSync(stat, 'utf8'))![1]) * 1000;
      const putOff = Number(readFileSync(ksoftirqd, 'utf8').split(' ')[0]);
      return usage + putOff + (apart ? softirqNs(cpu) : 0);
    },
  };
}

/** @throws Error where there is no kernel thread of this name. */
function kernelThread(name: string): number {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name) return Number(pid);
    } catch {
      // It has ended meanwhile.
    }
  }
  throw new Error(`there is no kernel thread ${name}: is this a container?`);
}

function softirqIsApart(): boolean {
  const boot = `/boot/config-${release()}`;
  const config = existsSync('/proc/config.gz')
    ? gunzipSync(readFileSync('/proc/config.gz')).toString()
    : existsSync(boot)
      ? readFileSync(boot, 'utf8')
      : '';
  return /^CONFIG_IRQ_TIME_ACCOUNTING=y/m.test(config);
}

function softirqNs(cpu: number): number {
  const line = readFileSync('/proc/stat', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`cpu${cpu} `))!;
  return Number(line.split(' ')[1 + SOFTIRQ]) * TICK_NS;
}
