// Puts the fixed netfilter rules in place and takes them away again, through nft and both kinds of iptables.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import {
  FORWARD_CHAIN,
  FORWARD_JUMP,
  forwardRules,
  NFT_TABLE,
  nftCleanup,
  nftRules,
  type PortRange,
} from './netfilter-rules.js';

/** What came of it, for the log: what is in place, and what is missing with the reason. */
export interface NetfilterState {
  readonly inPlace: readonly string[];
  readonly problems: readonly string[];
}

interface Ran {
  readonly code: number;
  readonly output: string;
}

/** @param mark the masquerade mark, one bit */
export async function installNetfilter(mark: number, nodePorts: PortRange): Promise<NetfilterState> {
  const inPlace: string[] = [];
  const problems: string[] = [];
  const nft = await run('nft', ['-f', '-'], nftRules(mark, nodePorts));
  if (nft.code === 0) inPlace.push('nft table inet portolan: masquerade');
  else problems.push(`masquerading needs nft (package nftables): ${nft.output}`);
  for (const variant of await iptablesVariants()) {
    const failure = await installForward(variant, mark);
    if (failure === '') inPlace.push(`${variant}: accepts in FORWARD`);
    else problems.push(`${variant}: ${failure}`);
  }
  return { inPlace, problems };
}

/** Is all of it still there? Firewalls that are loaded anew take other people's rules away. */
export async function netfilterInPlace(): Promise<boolean> {
  const table = await run('nft', ['list', 'chain', 'inet', NFT_TABLE, 'postrouting']);
  if (table.code !== 0 || !table.output.includes('masquerade')) return false;
  for (const variant of await iptablesVariants())
    if ((await run(variant, ['-w', '5', '-C', ...FORWARD_JUMP])).code !== 0) return false;
  return true;
}

/** Removes every rule of ours in this network namespace. @returns what was there. */
export async function removeNetfilter(): Promise<string[]> {
  const removed: string[] = [];
  if ((await run('nft', ['list', 'table', 'inet', 'portolan'])).code === 0) {
    const gone = await run('nft', ['-f', '-'], nftCleanup());
    if (gone.code === 0) removed.push('nft table inet portolan');
  }
  for (const variant of await iptablesVariants()) {
    const jump = await run(variant, ['-w', '5', '-D', ...FORWARD_JUMP]);
    await run(variant, ['-w', '5', '-F', FORWARD_CHAIN]);
    const chain = await run(variant, ['-w', '5', '-X', FORWARD_CHAIN]);
    if (jump.code === 0 || chain.code === 0) removed.push(`${variant} chain ${FORWARD_CHAIN}`);
  }
  return removed;
}

/** @returns what went wrong, "" where nothing did. */
async function installForward(variant: string, mark: number): Promise<string> {
  const restored = await run(`${variant}-restore`, ['--noflush', '-w', '5'], forwardRules(mark));
  if (restored.code !== 0) return restored.output;
  if ((await run(variant, ['-w', '5', '-C', ...FORWARD_JUMP])).code === 0) return '';
  const added = await run(variant, ['-w', '5', '-I', ...FORWARD_JUMP]);
  return added.code === 0 ? '' : added.output;
}

/**
 * The iptables commands to write with: the system's own for both families, and the legacy ones, too, where this network
 * namespace has legacy tables (both kinds are evaluated, so a DROP policy in either counts).
 */
async function iptablesVariants(): Promise<string[]> {
  const variants: string[] = [];
  for (const [command, names] of [
    ['iptables', '/proc/self/net/ip_tables_names'],
    ['ip6tables', '/proc/self/net/ip6_tables_names'],
  ] as const) {
    const version = await run(command, ['--version']);
    if (version.code !== 0) continue;
    variants.push(command);
    const legacy = `${command}-legacy`;
    if (
      !version.output.includes('legacy') &&
      hasLegacyFilter(names) &&
      (await run(legacy, ['--version'])).code === 0
    )
      variants.push(legacy);
  }
  return variants;
}

function hasLegacyFilter(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').split('\n').includes('filter');
  } catch {
    return false; // the module is not loaded: nobody uses it
  }
}

function run(command: string, args: readonly string[], input = ''): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      output += data.toString();
    });
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output: output.trim() }));
    child.stdin.on('error', () => undefined); // it may end without reading: its exit code tells
    child.stdin.end(input);
  });
}
