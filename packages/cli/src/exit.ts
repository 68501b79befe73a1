// How commands fail: an error with one line for the person and a code for the script. docs/exit-codes.md lists the codes.

export const EXIT = {
  ok: 0,
  /** Something unexpected: a bug of ours. */
  internal: 1,
  /** The command line or a flag's value is wrong. */
  usage: 64,
  /** Data that cannot be read: a corrupt or foreign data folder. */
  data: 65,
  /** The store, or a server a command talks to, cannot be reached. */
  unavailable: 69,
  /** The server answered, and refused. */
  refused: 70,
  /** An address cannot be listened on, or a folder is in use or not writable. */
  cannotCreate: 73,
} as const

export class CliError extends Error {
  override readonly name = 'CliError'
  readonly code: number

  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
