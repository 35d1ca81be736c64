// Ctrl-C and its like, for programs that hold a lab.

/**
 * Ends this process in order on SIGINT, SIGTERM and SIGHUP: its exit takes the lab away (createLab sees to that).
 * Children in the foreground's process group have got the signal, too.
 */
export function takeAwayOnSignals(): void {
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
  for (const [signal, code] of Object.entries(codes)) {
    process.once(signal, () => {
      process.stderr.write('\ntaking the lab away\n');
      process.exit(code);
    });
  }
}
