// Errors as the API server tells them: Status objects.

export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly status: 'Failure' | 'Success';
  readonly message: string;
  readonly reason: string;
  readonly code: number;
  readonly details?: Readonly<Record<string, unknown>>;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  410: 'Expired',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

export function status(code: number, message: string, details?: Status['details'], reason?: string): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: code < 400 ? 'Success' : 'Failure',
    message,
    reason: reason ?? REASONS[code] ?? '',
    code,
    ...(details ? { details } : {}),
  };
}

/** Thrown anywhere while a request is served, answered as its Status. */
export class StatusError extends Error {
  readonly status: Status;

  constructor(body: Status) {
    super(body.message);
    this.status = body;
  }
}

export function badRequest(message: string): StatusError {
  return new StatusError(status(400, message));
}

export function notFound(plural: string, name: string): StatusError {
  return new StatusError(status(404, `${plural} "${name}" not found`, { name, kind: plural }));
}

/** What a list or watch gets whose resourceVersion or continue token is older than the history. */
export function expired(message: string): StatusError {
  return new StatusError(status(410, message));
}
