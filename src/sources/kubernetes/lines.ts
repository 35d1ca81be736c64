// A byte stream cut into lines.

/** No Kubernetes object comes near this; more without an end of line is not a watch. */
const LINE_LIMIT = 64 * 1024 * 1024;
const NEWLINE = 10;

/**
 * Calls `onLine` with each line that is not empty, at once when its end has come. Resolves at the end of the stream.
 * @throws what `onLine` throws, what the stream fails with, or an Error where the stream ends inside a line.
 */
export async function forEachLine(
  stream: AsyncIterable<Buffer>,
  onLine: (line: string) => void,
): Promise<void> {
  let rest: Buffer[] = [];
  let restSize = 0;
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const line = joined(rest, chunk, start, end);
      rest = [];
      restSize = 0;
      start = end + 1;
      if (line !== '') onLine(line);
    }
    if (start < chunk.length) {
      rest.push(chunk.subarray(start));
      restSize += chunk.length - start;
      if (restSize > LINE_LIMIT) throw new Error(`a line of more than ${LINE_LIMIT} bytes`);
    }
  }
  if (restSize > 0) throw new Error('the stream ended inside a line');
}

function joined(rest: readonly Buffer[], chunk: Buffer, start: number, end: number): string {
  if (rest.length === 0) return chunk.toString('utf8', start, end);
  return Buffer.concat([...rest, chunk.subarray(start, end)]).toString('utf8');
}
