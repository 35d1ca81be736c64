// The test API server with a big cluster, as a process of its own: see cluster-server.ts.

import { join } from 'node:path';
import { type Lab, REPOSITORY } from '../../lab/lab.js';
import { Dialogue } from './dialogue.js';

export class ClusterServer {
  readonly #dialogue: Dialogue;

  private constructor(dialogue: Dialogue) {
    this.#dialogue = dialogue;
  }

  /** Resolves when it listens in node-a and the kubeconfig is written. */
  static async start(
    lab: Lab,
    services: number,
    endpoints: number,
    kubeconfig: string,
  ): Promise<ClusterServer> {
    const program = [process.execPath, '--import', 'tsx', join(REPOSITORY, 'test/bench/cluster-server.ts')];
    const enter = lab.enter('node-a', { cgroup: 'unserved' });
    const dialogue = new Dialogue([...enter, ...program, String(services), String(endpoints), kubeconfig]);
    await dialogue.expect('ready', 'starting the test API server');
    return new ClusterServer(dialogue);
  }

  /** Writes a Service's slice. @returns the time before, CLOCK_MONOTONIC in nanoseconds */
  async change(service: number, endpoints: number): Promise<bigint> {
    this.#dialogue.tell(`${service} ${endpoints}`);
    return BigInt(await this.#dialogue.hear());
  }

  close(): void {
    this.#dialogue.end();
  }
}
