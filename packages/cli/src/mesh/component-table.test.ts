import assert from 'node:assert/strict'
import { test } from 'node:test'
import { componentDisplay, componentTable } from './component-table.ts'
import type { ComponentState } from './state-file.ts'

const START = Date.parse('2026-01-01T00:00:00Z')
const at = (seconds: number): Date => new Date(START + seconds * 1_000)

const component = (change: Partial<ComponentState> = {}): ComponentState => ({
  name: 'istiod',
  state: 'starting',
  since: at(0).toISOString(),
  log: 'istiod.log',
  restarts: 0,
  process: { pid: 42, started: '1' },
  ...change,
})

const screen = (isTTY: boolean): { isTTY: boolean; text: string; write(text: string): void } => ({
  isTTY,
  text: '',
  write(text) {
    this.text += text
  },
})

test('componentTable() shows pid, state, restarts and age', () => {
  const rows = [5, 65, 7_260].map(age => componentTable([component()], at(age))[1])
  assert.deepEqual(
    rows.map(row => row?.split(/\s{2,}/)),
    ['5s', '1m05s', '2h01m'].map(age => ['istiod', '42', 'starting', age]),
  )
  const { process: _, ...waiting } = component({ state: 'waiting' })
  assert.match(componentTable([waiting], at(0))[1] ?? '', /^istiod +- +waiting/)
  assert.match(
    componentTable([component({ restarts: 2 })], at(0))[1] ?? '',
    /starting \(restarts: 2\)/,
  )
})

test('elsewhere than on a terminal each change is one line, and nothing is said twice', () => {
  const out = screen(false)
  const display = componentDisplay(out)
  display.show([component()], at(0))
  display.show([component()], at(1))
  display.say('a remark')
  display.show([component({ state: 'ready', since: at(2).toISOString() })], at(2))
  assert.deepEqual(out.text.trimEnd().split('\n'), [
    '2026-01-01T00:00:00.000Z istiod: starting (pid 42)',
    'a remark',
    '2026-01-01T00:00:02.000Z istiod: ready (pid 42)',
  ])
})

/** What a terminal shows after cursor-up and clear-below sequences. */
function shown(text: string): readonly string[] {
  const lines: string[] = []
  let row = 0
  for (const part of text.split(/(\x1b\[\d*[AJ]|\r|\n)/)) {
    const up = /^\x1b\[(\d+)A$/.exec(part)
    if (up !== null) row -= Number(up[1])
    else if (part === '\x1b[J') lines.length = row
    else if (part === '\n') row += 1
    else if (part !== '\r' && part !== '') lines[row] = part
  }
  return lines
}

test('on a terminal the table is drawn over itself, and remarks stay above it', () => {
  const out = screen(true)
  const display = componentDisplay(out)
  display.show([component()], at(0))
  display.show([component(), component({ name: 'podless' })], at(1))
  display.say('a remark')
  display.show([component({ state: 'ready' })], at(2))
  assert.deepEqual(shown(out.text), [
    'a remark',
    ...componentTable([component({ state: 'ready' })], at(2)),
  ])
})
