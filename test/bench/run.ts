// Prints this machine's figures, one JSON line each. Usage: npm run bench [-- start echo load memory istiod-ready crds]
// They are to be read, not to pass or fail: a busy machine doubles them.

import { crds } from './crds.ts'
import { echo } from './echo.ts'
import { istiodReady } from './istiod-ready.ts'
import { load } from './load.ts'
import { memory } from './memory.ts'
import { start } from './start.ts'

const BENCHES: Readonly<Record<string, () => Promise<void>>> = {
  start,
  memory,
  echo,
  load,
  'istiod-ready': istiodReady,
  crds,
}

const names = process.argv.slice(2)
const unknown = names.filter(name => BENCHES[name] === undefined)
if (unknown.length > 0) {
  const known = Object.keys(BENCHES).join(', ')
  process.stderr.write(`no benchmark ${unknown.join(', ')}; there are ${known}\n`)
  process.exitCode = 64
} else {
  for (const [name, bench] of Object.entries(BENCHES))
    if (names.length === 0 || names.includes(name)) await bench()
}
