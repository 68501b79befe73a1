// Prints this machine's figures, one JSON line each; they are to be read, not to pass or fail: a busy machine doubles them.
// Usage: npm run bench [-- NAME...] [--peer KUBECONFIG [--peer-pids PID,PID...]] [--save FOLDER]

import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { type LoadLine, loadChart } from './chart.ts'
import { crds } from './crds.ts'
import { echo } from './echo.ts'
import { flame } from './flame.ts'
import { istiodReady } from './istiod-ready.ts'
import { load } from './load.ts'
import { reported } from './measure.ts'
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
  flame,
}
/** Only when it is named: it writes files. */
const isAsked = (name: string): boolean =>
  options.names.length === 0 ? name !== 'flame' : options.names.includes(name)

/** The figures as JSON lines, and the load benchmark's as a chart. */
async function saveTo(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const text = reported().map(line => `${JSON.stringify(line)}\n`)
  await writeFile(join(folder, 'figures.jsonl'), text.join(''))
  const loads = reported().filter(line => line.bench === 'load') as unknown as LoadLine[]
  if (loads.length === 0) return
  const machine = cpus()
  const day = new Date().toISOString().slice(0, 10)
  const caption = `${day}, Node.js ${process.version}, ${machine.length} cores of ${machine[0]?.model}`
  await writeFile(join(folder, 'load.svg'), loadChart(loads, caption))
}

const options = benchOptions(process.argv.slice(2), process.env)
const unknown = options.names.filter(name => BENCHES[name] === undefined)
if (unknown.length > 0) {
  const known = Object.keys(BENCHES).join(', ')
  process.stderr.write(`no benchmark ${unknown.join(', ')}; there are ${known}\n`)
  process.exitCode = 64
} else {
  for (const [name, bench] of Object.entries(BENCHES)) if (isAsked(name)) await bench(options)
  if (options.save !== undefined) await saveTo(options.save)
}
