// kubeconfig files: one context of them becomes a Connection.

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { parse } from 'yaml';
import { type Connection, ConnectionError, checkServers, type Material } from './connection.js';

const text = v.nullish(v.string(), '');
const flag = v.nullish(v.boolean(), false);
const anything = v.nullish(v.unknown());

const Cluster = v.object({
  server: text,
  'certificate-authority': text,
  'certificate-authority-data': text,
  'insecure-skip-tls-verify': flag,
  'tls-server-name': text,
  'proxy-url': text,
});

const User = v.object({
  token: text,
  tokenFile: text,
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  username: text,
  as: text,
  exec: anything,
  'auth-provider': anything,
});

const Context = v.object({ cluster: text, user: text });

const Kubeconfig = v.object({
  'current-context': text,
  clusters: v.nullish(v.array(v.object({ name: v.string(), cluster: Cluster })), []),
  contexts: v.nullish(v.array(v.object({ name: v.string(), context: Context })), []),
  users: v.nullish(v.array(v.object({ name: v.string(), user: v.nullish(User, {}) })), []),
});

type ClusterFields = v.InferOutput<typeof Cluster>;
type UserFields = v.InferOutput<typeof User>;

export interface KubeconfigOptions {
  readonly file: string;
  /** Name of a context; "" or absent: current-context. */
  readonly context?: string | undefined;
  /** The API server's addresses instead of the one in the file. */
  readonly apiServers?: readonly string[] | undefined;
}

/** Reads one context of a kubeconfig. @throws ConnectionError when the file cannot be used; it says which field. */
export function kubeconfigConnection(options: KubeconfigOptions): Connection {
  const { file } = options;
  const config = read(file);
  const contextName = options.context || config['current-context'];
  if (contextName === '') {
    throw new ConnectionError(`${file}: has no current-context; name one of ${names(config.contexts)}`);
  }
  const { context } = named(config.contexts, contextName, `${file}: context`);
  const { cluster } = named(config.clusters, context.cluster, `${file}: context "${contextName}": cluster`);
  const user =
    context.user === ''
      ? v.parse(User, {})
      : named(config.users, context.user, `${file}: context "${contextName}": user`).user;
  return {
    ...clusterPart(cluster, `${file}: cluster "${context.cluster}"`, options),
    ...userPart(v.parse(User, user), `${file}: user "${context.user}"`, { file, context: contextName }),
  };
}

function read(file: string): v.InferOutput<typeof Kubeconfig> {
  let content: unknown;
  try {
    content = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ConnectionError(`cannot read the kubeconfig ${file}`, { cause: error });
  }
  const result = v.safeParse(Kubeconfig, content);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = v.getDotPath(issue);
  throw new ConnectionError(`${file}: ${path ? `${path}: ` : ''}${issue.message}`);
}

function named<T extends { readonly name: string }>(list: readonly T[], name: string, what: string): T {
  const found = list.find((item) => item.name === name);
  if (found) return found;
  throw new ConnectionError(`${what} "${name}" is not there; there is ${names(list)}`);
}

function names(list: readonly { readonly name: string }[]): string {
  return list.length === 0 ? 'none' : list.map((item) => `"${item.name}"`).join(', ');
}

function clusterPart(cluster: ClusterFields, where: string, options: KubeconfigOptions) {
  if (cluster['proxy-url'] !== '') {
    throw new ConnectionError(
      `${where}: proxy-url is not supported; give an address that is reached without one`,
    );
  }
  const given = options.apiServers ?? [];
  if (given.length === 0 && cluster.server === '') throw new ConnectionError(`${where}: server is missing`);
  const insecure = cluster['insecure-skip-tls-verify'];
  const ca = material(cluster, 'certificate-authority', where, options.file);
  if (insecure && ca) {
    throw new ConnectionError(
      `${where}: certificate-authority and insecure-skip-tls-verify exclude each other`,
    );
  }
  const serverName = cluster['tls-server-name'];
  return {
    servers:
      given.length > 0
        ? checkServers(given, 'apiServers')
        : checkServers([cluster.server], `${where}: server`),
    insecure,
    ...(ca ? { ca } : {}),
    ...(serverName === '' ? {} : { serverName }),
  };
}

function userPart(
  user: UserFields,
  where: string,
  context: { readonly file: string; readonly context: string },
) {
  if (user.as !== '') throw new ConnectionError(`${where}: as (impersonation) is not supported`);
  if (user.exec || user['auth-provider']) return { plugin: context };
  if (user.username !== '') {
    throw new ConnectionError(
      `${where}: username and password are accepted by no API server since 1.19; use a token`,
    );
  }
  const cert = material(user, 'client-certificate', where, context.file);
  const key = material(user, 'client-key', where, context.file);
  if ((cert === undefined) !== (key === undefined)) {
    throw new ConnectionError(
      `${where}: has ${cert ? 'client-certificate' : 'client-key'} without its counterpart`,
    );
  }
  const token = userToken(user, context.file);
  return { ...(token ? { token } : {}), ...(cert && key ? { certificate: { cert, key } } : {}) };
}

/** tokenFile goes before token, as in client-go: it is the one that is renewed. */
function userToken(user: UserFields, file: string): Material | undefined {
  if (user.tokenFile !== '') return { file: resolve(dirname(file), user.tokenFile) };
  return user.token === '' ? undefined : { data: user.token };
}

/** `name-data` (base64) goes before `name` (a path, relative to the kubeconfig), as in client-go. */
function material(
  fields: Readonly<Record<string, unknown>>,
  name: string,
  where: string,
  file: string,
): Material | undefined {
  const data = fields[`${name}-data`] as string;
  const path = fields[name] as string;
  if (data === '') return path === '' ? undefined : { file: resolve(dirname(file), path) };
  const decoded = Buffer.from(data, 'base64').toString('utf8');
  if (!decoded.includes('-----BEGIN ')) {
    throw new ConnectionError(`${where}: ${name}-data is not PEM in base64`);
  }
  return { data: decoded };
}
