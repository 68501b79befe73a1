// What a benchmark run is asked for on its command line. Called by run.ts; read by the benchmarks.

import { parseArgs } from 'node:util'

export interface BenchOptions {
  readonly names: readonly string[]
  /** Path of the kubeconfig of another API server, which does the same work in the same run. */
  readonly peer: string | undefined
  /** Its process, when it runs on this machine: its memory is then told as well. */
  readonly peerPid: number | undefined
  /** A folder for the figures and charts; undefined prints only. */
  readonly save: string | undefined
}

/** Throws on an unknown option. The variables PEER and PEER_PID stand in for --peer and --peer-pid. */
export function benchOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      peer: { type: 'string' },
      'peer-pid': { type: 'string' },
      save: { type: 'string' },
    },
  })
  const pid = values['peer-pid'] ?? env.PEER_PID
  return {
    names: positionals,
    peer: values.peer ?? env.PEER,
    peerPid: pid === undefined ? undefined : Number(pid),
    save: values.save,
  }
}
