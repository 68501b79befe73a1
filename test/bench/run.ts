// Prints this machine's figures, one JSON line each; they are to be read, not to pass or fail: a busy machine doubles them.
// Usage: npm run bench [-- NAME...] [--peer KUBECONFIG [--peer-pid PID]] [--save FOLDER]

import { crds } from './crds.ts'
import { echo } from './echo.ts'
import { istiodReady } from './istiod-ready.ts'
import { load } from './load.ts'
import { memory } from './memory.ts'
import { type BenchOptions, benchOptions } from './options.ts'
import { scale } from './scale.ts'
import { start } from './start.ts'
import { watches } from './watches.ts'

const BENCHES: Readonly<Record<string, (options: BenchOptions) => Promise<void>>> = {
  start,
  memory,
  echo,
  load,
  'istiod-ready': istiodReady,
  crds,
  scale,
  watches,
}

const options = benchOptions(process.argv.slice(2), process.env)
const unknown = options.names.filter(name => BENCHES[name] === undefined)
if (unknown.length > 0) {
  const known = Object.keys(BENCHES).join(', ')
  process.stderr.write(`no benchmark ${unknown.join(', ')}; there are ${known}\n`)
  process.exitCode = 64
} else {
  for (const [name, bench] of Object.entries(BENCHES))
    if (options.names.length === 0 || options.names.includes(name)) await bench(options)
}
