/** Why the agent will not start, or a command will not run: a message that says what the person can do. Exit code 1 unless said otherwise. */
export class Refusal extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'Refusal';
    this.exitCode = exitCode;
  }
}
