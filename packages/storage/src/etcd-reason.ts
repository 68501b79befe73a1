// Why a call to etcd failed, in words for an operator: the gRPC library puts its own around them.
// Called by etcd-clients.ts and etcd-connection.ts. Nothing is decided by this text.

const LIBRARY_WORDS = [
  /^\d+ [A-Z_]+: /,
  /^No connection established\. Last error: (?:Error: )?/,
  /\.? *Resolution note: *\.?$/,
] as const

/** Such as `connect ECONNREFUSED 127.0.0.1:2379`. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return LIBRARY_WORDS.reduce<string>((text, words) => text.replace(words, ''), message)
}
