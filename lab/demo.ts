// `make demo`: a small shop's Services, really served. Every step checks what it shows; the exit code says whether all
// was as it should be.

import pc from 'picocolors';
import { everyKind, liveEdit, lookInside, PICTURE, type Stage, specialCases, sudden } from './demo/scenes.js';
import { complaintsOf, openShop, shortLog, startAgent } from './demo/stage.js';
import { createVoice, type Voice } from './demo/voice.js';
import type { Outcome, Running } from './exec.js';
import { takeAwayOnSignals } from './signals.js';

async function play(voice: Voice): Promise<void> {
  voice.say(pc.bold('Portolan: Kubernetes Services in the kernel'));
  voice.aside(
    'Everything happens in network namespaces; this machine keeps its interfaces, firewall and root cgroup.',
  );
  voice.chapter('A cluster on this machine');
  const { lab, shop } = await openShop(voice);
  voice.say(pc.dim(PICTURE));
  voice.chapter('The agent starts on node-a');
  voice.aside('  $ portolan run --folder examples/shop --node-name node-a');
  const started = performance.now();
  const agent = await voice.progress('programs are loaded and verified', startAgent(lab, shop));
  voice.say(pc.dim(shortLog(agent.lines, 12)));
  const complaints = complaintsOf(agent.lines);
  voice.check(
    complaints.length === 0,
    `the first connection was served ${Math.round(performance.now() - started)} ms after its start`,
    `but it complains: ${complaints[0]}`,
  );
  const stage: Stage = { lab, voice, shop, agent };
  await everyKind(stage);
  await specialCases(stage);
  await liveEdit(stage);
  await sudden(stage, () => lab.agent('node-a', { folder: shop }));
  await lookInside(stage);
  await leave(stage);
}

async function leave({ lab, voice, agent }: Stage): Promise<void> {
  voice.chapter('And away');
  agent.kill('SIGTERM');
  const end = await endWithin(agent, 5000);
  const [still] = await lab.ask('client', 'tcp', '10.96.0.10', 80);
  voice.check(
    end.code === 0 && still!.name !== undefined,
    'SIGTERM ends the agent, its Services are still served',
  );
  const cleanup = await lab.portolan(['cleanup']);
  const pins = await lab.run('node-a', ['find', lab.bpffs, '-mindepth', '1', '-not', '-name', '*.debug']);
  voice.check(
    cleanup.code === 0 && pins.stdout === '',
    '`portolan cleanup` removed every trace',
    cleanup.stderr + pins.stdout,
  );
  await lab.close();
  voice.check(true, 'the lab is gone: namespaces, mounts, cgroups');
}

/** How it ended; killed, and so with a signal instead of a code, when that takes longer. */
async function endWithin(running: Running, ms: number): Promise<Outcome> {
  const timer = setTimeout(() => running.kill('SIGKILL'), ms);
  const end = await running.exited;
  clearTimeout(timer);
  return end;
}

async function main(): Promise<void> {
  const voice = createVoice();
  const started = performance.now();
  takeAwayOnSignals();
  try {
    await play(voice);
  } catch (error) {
    voice.check(false, 'the demo could not go on:', error instanceof Error ? error.message : String(error));
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const { failures } = voice;
  if (failures.length === 0)
    voice.say(`\n${pc.bold(pc.green('Everything was served as it should be'))}, in ${seconds} s.`);
  else
    voice.say(`\n${pc.bold(pc.red(`${failures.length} expectations failed`))}:\n  ${failures.join('\n  ')}`);
  process.exit(failures.length === 0 ? 0 : 1);
}

await main();
