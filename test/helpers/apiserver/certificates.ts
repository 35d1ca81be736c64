// A certificate authority of its own for each test API server, made with the openssl command.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificates {
  /** Folder with ca.crt, server.crt, server.key, client.crt, client.key. */
  readonly folder: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Makes a client certificate; the common name is the user. @returns PEM texts. */
  readonly client: (user: string) => { readonly cert: string; readonly key: string };
  /** Removes the folder. */
  readonly remove: () => void;
}

const DAYS = '30';

/** @param addresses what the server is reached at, besides localhost: IP addresses and names. */
export function createCertificates(addresses: readonly string[] = []): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'portolan-apiserver-'));
  const path = (name: string) => join(folder, name);
  // What openssl says is shown only when it fails.
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    path('ca.key'),
    '-out',
    path('ca.crt'),
    '-days',
    DAYS,
    '-subj',
    '/CN=test-ca',
  );
  const sign = (name: string, user: string, extensions: string) => {
    writeFileSync(path(`${name}.ext`), extensions);
    openssl(
      'req',
      ...newKey,
      '-keyout',
      path(`${name}.key`),
      '-out',
      path(`${name}.csr`),
      '-subj',
      `/CN=${user}`,
    );
    openssl(
      ...['x509', '-req', '-in', path(`${name}.csr`), '-CA', path('ca.crt'), '-CAkey', path('ca.key')],
      ...['-CAcreateserial', '-days', DAYS, '-extfile', path(`${name}.ext`), '-out', path(`${name}.crt`)],
    );
    return {
      cert: readFileSync(path(`${name}.crt`), 'utf8'),
      key: readFileSync(path(`${name}.key`), 'utf8'),
    };
  };
  const names = ['127.0.0.1', '::1', 'localhost', 'kubernetes.default.svc', ...addresses];
  const alternatives = names
    .map((name) => (/^[\d.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`))
    .join(',');
  const server = sign(
    'server',
    'kube-apiserver',
    `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth\n`,
  );
  let clients = 0;
  return {
    remove: () => rmSync(folder, { recursive: true, force: true }),
    folder,
    ca: readFileSync(path('ca.crt'), 'utf8'),
    ...server,
    client: (user) =>
      sign(clients++ === 0 ? 'client' : `client-${clients}`, user, 'extendedKeyUsage=clientAuth\n'),
  };
}
