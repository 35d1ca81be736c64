// The test API server as a process of its own in a network namespace: node --import tsx api-server.ts ADDRESS KUBECONFIG
// SIGUSR2 takes it away, connections and all, and brings it back with what it had stored; each time it says so.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTestApiServer } from '../helpers/apiserver/server.js';

const [address, kubeconfig] = process.argv.slice(2);
const server = await startTestApiServer({ address: address!, port: 6443, bookmarkMs: 1000 });
writeFileSync(kubeconfig!, server.kubeconfig());
// Signals alone do not keep a process.
setInterval(() => {}, 60_000);
let up = true;
process.on('SIGUSR2', () => {
  up = !up;
  void (up ? server.start() : server.stop()).then(() => console.log(up ? 'back' : 'gone'));
});
process.once('SIGTERM', () => void server.close().then(() => process.exit(0)));
console.log(JSON.stringify({ url: server.url, ca: join(server.certificates.folder, 'ca.crt') }));
