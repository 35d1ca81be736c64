// `make playground`: the demo's shop, left running, with a shell in the client pod. Leaving the shell takes it away.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pc from 'picocolors';
import { PICTURE } from './demo/scenes.js';
import { openShop, startAgent } from './demo/stage.js';
import { createVoice } from './demo/voice.js';
import { type Lab, REPOSITORY } from './lab.js';
import { takeAwayOnSignals } from './signals.js';

/** Small commands for the shell, as scripts: every place as a word, the CLI with the lab's pins, the agent's log. */
function writeCommands(lab: Lab, shop: string): string {
  const folder = join(lab.folder, 'bin');
  mkdirSync(folder);
  const quote = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');
  const command = (name: string, body: string): void => {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
  };
  const portolan = join(REPOSITORY, 'bin/portolan');
  for (const where of ['node-a', 'node-b', 'outside', 'client'])
    command(where, `exec ${quote(lab.enter(where))} "$@"`);
  command('peer', `exec '${join(REPOSITORY, 'build/peer')}' "$@"`);
  const inNode = quote(lab.enter('node-a'));
  command('portolan', `exec ${inNode} '${portolan}' "$@" --pin-folder '${lab.pinFolder}'`);
  command('agent-log', `exec tail "$@" '${join(lab.folder, 'agent.log')}'`);
  command('edit', `exec "\${EDITOR:-vi}" '${shop}'/"\${1:-web}".yaml`);
  command('maps', `exec bpftool map dump pinned '${lab.pinFolder}'/v1/maps/"\${1:-frontends}"`);
  return folder;
}

function banner(shop: string): string {
  const line = (command: string, what: string): string => `  ${pc.green(command.padEnd(52))} ${pc.dim(what)}`;
  return [
    pc.dim(PICTURE),
    '',
    pc.bold('You are in the client pod. Some things to try:'),
    line('peer ask tcp 10.96.0.10 80 --count 6', 'who answers for Service web'),
    line('peer ask udp fd00:10:96::53 53 --count 4', 'UDP and IPv6'),
    line('outside peer ask tcp 192.0.2.10 30080', "from the outside client to a node's port"),
    line('outside peer ask tcp 203.0.113.10 80', "a load balancer's address"),
    line('node-a peer ask tcp 10.96.0.10 80', 'from a process of the node'),
    line('peer ask tcp 10.96.0.90 80', 'no endpoint: refused at once'),
    line('edit web', 'change a manifest; it counts when it is saved'),
    line('portolan services', 'what the kernel serves'),
    line('portolan dump --from kernel', 'the same, one line an entry'),
    line('maps frontends | head', 'the map itself'),
    line('agent-log -f', "the agent's log"),
    line('node-a tcpdump -ni eth0', 'what goes over the wire'),
    line('exit', 'takes everything away'),
    '',
    `  The manifests are in ${shop}`,
    '',
  ].join('\n');
}

async function main(): Promise<number> {
  const voice = createVoice();
  takeAwayOnSignals();
  const { lab, shop } = await openShop(voice);
  const agent = await voice.progress('the agent starts', startAgent(lab, shop));
  const log = join(lab.folder, 'agent.log');
  writeFileSync(log, `${agent.lines.join('\n')}\n`);
  agent.onLine((line) => writeFileSync(log, `${line}\n`, { flag: 'a' }));
  void agent.exited.then((end) =>
    voice.say(pc.red(`\nthe agent has ended: ${end.signal ?? end.code}; agent-log says why`)),
  );
  const commands = writeCommands(lab, shop);
  voice.say(banner(shop));
  // Ctrl-C is for what runs in the shell; it must not take the lab away.
  process.removeAllListeners('SIGINT');
  process.on('SIGINT', () => {});
  const [enter, ...rest] = [...lab.enter('client'), 'bash', '--norc'];
  const shell = spawn(enter!, rest, {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${commands}:${process.env.PATH}`, PS1: '[client pod] \\$ ' },
  });
  const [code] = (await once(shell, 'exit')) as [number | null];
  await lab.close();
  return code ?? 0;
}

process.exit(await main());
