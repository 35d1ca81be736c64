// Credentials from exec plugins and auth providers. Kubernetes' own library runs them; it is loaded only for those, as
// importing it costs 80 MiB and a third of a second.

import type { OutgoingHttpHeaders, RequestOptions } from 'node:http';

export interface PluginCredentials {
  readonly tls: { readonly cert?: string; readonly key?: string };
  readonly headers: OutgoingHttpHeaders;
}

export interface Plugin {
  /** @returns what the plugin gives, from its cache until that expires. @throws when the plugin fails. */
  credentials(): Promise<PluginCredentials>;
  /** What it gave was refused: run it again next time. */
  forget(): void;
}

/** @param source a kubeconfig and the name of a context in it. */
export function createPlugin(source: { readonly file: string; readonly context: string }): Plugin {
  let applied: ((options: RequestOptions) => Promise<void>) | undefined;
  return {
    forget() {
      applied = undefined;
    },
    async credentials() {
      applied ??= await loadConfig(source);
      const options: RequestOptions & { cert?: unknown; key?: unknown } = {};
      try {
        await applied(options);
      } catch (error) {
        throw new Error(`the credential plugin of context "${source.context}" in ${source.file} failed`, {
          cause: error,
        });
      }
      const given = Object.entries((options.headers ?? {}) as OutgoingHttpHeaders);
      const headers = Object.fromEntries(given.map(([name, value]) => [name.toLowerCase(), value]));
      return { headers, tls: { ...text('cert', options.cert), ...text('key', options.key) } };
    },
  };
}

async function loadConfig(source: { readonly file: string; readonly context: string }) {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromFile(source.file);
  config.setCurrentContext(source.context);
  return (options: RequestOptions) => config.applyToHTTPSOptions(options);
}

function text<Name extends string>(name: Name, value: unknown): { readonly [K in Name]?: string } {
  if (typeof value !== 'string' && !Buffer.isBuffer(value)) return {};
  return { [name]: String(value) } as { readonly [K in Name]?: string };
}
