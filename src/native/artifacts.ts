import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What `make` builds besides the agent itself. */
export type Artifact = 'libportolan.so' | 'tc.bpf.o' | 'sock.bpf.o';

/** The folder of the built artifacts: PORTOLAN_LIBDIR, or `build` in the package's root. */
export function artifactFolder(): string {
  const folder = process.env.PORTOLAN_LIBDIR;
  // src/native and dist/native are equally deep.
  return folder ? folder : fileURLToPath(new URL('../../build', import.meta.url));
}

/** @throws Error when it has not been built. */
export function artifactPath(artifact: Artifact): string {
  const path = join(artifactFolder(), artifact);
  if (!existsSync(path)) {
    throw new Error(`${path} does not exist: run \`make\`, or set PORTOLAN_LIBDIR to the folder that has it`);
  }
  return path;
}
