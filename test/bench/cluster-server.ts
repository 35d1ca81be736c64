// The API server of the control plane's bench, as a process of its own, so that its work is not the agent's: a big
// cluster over TLS. It writes a slice when it is told to, and says when it did.
//   cluster-server.ts SERVICES ENDPOINTS KUBECONFIG

import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { startTestApiServer } from '../helpers/apiserver/server.js';
import { bigService, bigSlice } from '../kubernetes/big-cluster.js';

const [services, endpoints, kubeconfig] = process.argv.slice(2);
const server = await startTestApiServer();
for (let i = 0; i < Number(services); i++) {
  server.put(bigService(i));
  server.put(bigSlice(i, Number(endpoints)));
}
server.put({
  apiVersion: 'v1',
  kind: 'Node',
  // Without a zone: hints do not count, and every endpoint is in the list.
  metadata: { name: 'node-a' },
  spec: { podCIDRs: ['10.244.0.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '192.0.2.10' }] },
});
writeFileSync(kubeconfig!, server.kubeconfig());
console.log('ready');

// A line `SERVICE ENDPOINTS` writes that Service's slice; the answer is the time before, CLOCK_MONOTONIC in nanoseconds.
createInterface(process.stdin)
  .on('line', (line) => {
    const [service, count] = line.split(' ').map(Number);
    const slice = bigSlice(service!, count!);
    const before = process.hrtime.bigint();
    server.put(slice);
    console.log(String(before));
  })
  .on('close', () => process.exit(0));
