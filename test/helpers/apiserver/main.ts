// The test API server as a process: npx tsx test/helpers/apiserver/main.ts --port 0 --dir objects/
// Prints one line of JSON when it listens: {"url", "kubeconfig", "ca", "token"}; SIGTERM ends it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadManifests } from './manifests.js';
import { startTestApiServer } from './server.js';

const HELP = `usage: main.ts [--port N] [--address IP] [--dir FOLDER] [--token TOKEN] [--kubeconfig FILE]
                [--name NAME]... [--bookmark-ms N] [--anonymous]

Serves Services, EndpointSlices, Nodes, Pods, Endpoints, Namespaces and ServiceCIDRs over TLS, beginning with the
manifests in FOLDER. The kubeconfig goes to FILE (default: beside the certificates). --name adds addresses or names to
the certificate; --anonymous serves requests without credentials, too. POST /test/... injects faults (control.ts).`;

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    address: { type: 'string', default: '127.0.0.1' },
    dir: { type: 'string' },
    token: { type: 'string', default: 'test-token' },
    kubeconfig: { type: 'string' },
    name: { type: 'string', multiple: true, default: [] },
    'bookmark-ms': { type: 'string', default: '60000' },
    anonymous: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(HELP);
} else {
  const { token } = values;
  const server = await startTestApiServer({
    port: Number(values.port),
    address: values.address,
    token,
    names: values.name,
    bookmarkMs: Number(values['bookmark-ms']),
  });
  server.access.anonymous = values.anonymous;
  if (values.dir) loadManifests(values.dir, server.storage);
  const kubeconfig = values.kubeconfig ?? join(server.certificates.folder, 'kubeconfig');
  writeFileSync(kubeconfig, server.kubeconfig());
  console.log(
    JSON.stringify({ url: server.url, kubeconfig, ca: join(server.certificates.folder, 'ca.crt'), token }),
  );
  const end = () => void server.close().then(() => process.exit(0));
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
}
