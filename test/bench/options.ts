// What a benchmark run is asked for on its command line. Called by run.ts; read by the benchmarks.

import { parseArgs } from 'node:util'

export interface BenchOptions {
  readonly names: readonly string[]
  /** Path of the kubeconfig of another API server, which does the same work in the same run. */
  readonly peer: string | undefined
  /** Its processes, its own first, when they run on this machine: memory and CPU time are then told as well. */
  readonly peerPids: readonly number[]
  /** A folder for the figures and charts; undefined prints only. */
  readonly save: string | undefined
}

/** Throws on an unknown option. The variables PEER and PEER_PIDS stand in for --peer and --peer-pids. */
export function benchOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      peer: { type: 'string' },
      'peer-pids': { type: 'string' },
      save: { type: 'string' },
    },
  })
  const pids = values['peer-pids'] ?? env.PEER_PIDS
  return {
    names: positionals,
    peer: values.peer ?? env.PEER,
    peerPids: pids === undefined ? [] : pids.split(',').map(Number),
    save: values.save,
  }
}
