// Who may ask, and for what: bearer tokens, client certificates, and verbs that are denied.

import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Verb } from './faults.js';
import { groupOf, type Kind } from './kinds.js';
import { StatusError, status } from './status.js';

export class Access {
  /** Token → user. */
  readonly tokens = new Map<string, string>();
  /** `verb resource` that are denied to all. */
  readonly denied = new Set<string>();
  /** Requests without credentials are served, as user system:anonymous. */
  anonymous = false;

  /** @returns the user. @throws StatusError 401. */
  authenticate(request: IncomingMessage): string {
    const header = request.headers.authorization;
    const token = header?.startsWith('Bearer ') ? header.slice('Bearer '.length) : undefined;
    const user = token === undefined ? certificateUser(request.socket as TLSSocket) : this.tokens.get(token);
    if (user !== undefined) return user;
    if (this.anonymous && token === undefined) return 'system:anonymous';
    throw new StatusError(status(401, 'Unauthorized'));
  }

  /** @throws StatusError 403, worded as RBAC words it. */
  authorize(user: string, verb: Verb, kind: Kind, namespace: string): void {
    if (!this.denied.has(`${verb} ${kind.plural}`)) return;
    const scope = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
    throw new StatusError(
      status(
        403,
        `${kind.plural} is forbidden: User "${user}" cannot ${verb} resource "${kind.plural}" in API group "${groupOf(kind)}" ${scope}`,
        { group: groupOf(kind), kind: kind.plural },
      ),
    );
  }
}

function certificateUser(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined;
  const subject = socket.getPeerCertificate().subject;
  return typeof subject?.CN === 'string' ? subject.CN : undefined;
}
