// Where the API server is and how we prove who we are, as plain data: from a kubeconfig or from inside a cluster.

/** Something secret or a certificate: in a file, which may be replaced at any time, or as it is. */
export type Material =
  | { readonly file: string; readonly data?: undefined }
  | { readonly data: string; readonly file?: undefined };

export interface Connection {
  /** Base URLs without a slash at the end; tried in turn. */
  readonly servers: readonly string[];
  /** PEM certificates that sign the server's; absent: the system's. */
  readonly ca?: Material;
  /** Accept any server certificate. */
  readonly insecure: boolean;
  /** Name to expect in the server's certificate instead of the URL's host. */
  readonly serverName?: string;
  readonly token?: Material;
  /** Client certificate and key, PEM. */
  readonly certificate?: { readonly cert: Material; readonly key: Material };
  /** Credentials come from an exec plugin or an auth provider of this kubeconfig context. */
  readonly plugin?: { readonly file: string; readonly context: string };
  /** Set where the address may itself be a Service address, which only works while someone serves it. */
  readonly advice?: string;
}

/** The connection cannot work as it is configured; the message says what to change. */
export class ConnectionError extends Error {}

/** @returns the URLs without the slash at their end. @throws ConnectionError when one is not an http(s) URL. */
export function checkServers(servers: readonly string[], from: string): readonly string[] {
  if (new Set(servers.map((server) => server.slice(0, server.indexOf(':')))).size > 1) {
    throw new ConnectionError(`${from}: either all begin with https:// or all with http://`);
  }
  return servers.map((server) => {
    if (!URL.canParse(server)) {
      throw new ConnectionError(`${from}: "${server}" is not a URL such as https://10.0.0.5:6443`);
    }
    const url = new URL(server);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') {
      throw new ConnectionError(`${from}: "${server}" begins neither with https:// nor with http://`);
    }
    if (url.username !== '' || url.search !== '' || url.hash !== '') {
      throw new ConnectionError(`${from}: "${url.origin}" may have a path, but no user, query or fragment`);
    }
    return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
  });
}
