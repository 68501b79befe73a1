// Shows the components of a mesh: a table that is drawn over itself on a terminal, a line per change elsewhere.
// Called by up.ts, detach.ts and status.ts.

import { table } from '../output.ts'
import type { ComponentState } from './state-file.ts'

export interface Screen {
  readonly isTTY?: boolean
  write(text: string): unknown
}

const SECONDS_PER_MINUTE = 60
const SECONDS_PER_HOUR = 3_600

/** One row per component under a heading. */
export function componentTable(components: readonly ComponentState[], now: Date): string[] {
  const rows = components.map(({ name, process: id, state, since, restarts }) => [
    name,
    id === undefined ? '-' : String(id.pid),
    restarts === 0 ? state : `${state} (restarts: ${restarts})`,
    age(now.getTime() - Date.parse(since)),
  ])
  return table([['COMPONENT', 'PID', 'STATE', 'SINCE'], ...rows])
}

/** 7s, 3m05s, 2h04m. */
function age(milliseconds: number): string {
  const total = Math.max(0, Math.floor(milliseconds / 1_000))
  const two = (value: number): string => String(value).padStart(2, '0')
  if (total < SECONDS_PER_MINUTE) return `${total}s`
  const minutes = Math.floor(total / SECONDS_PER_MINUTE)
  if (total < SECONDS_PER_HOUR) return `${minutes}m${two(total % SECONDS_PER_MINUTE)}s`
  return `${Math.floor(total / SECONDS_PER_HOUR)}h${two(minutes % SECONDS_PER_MINUTE)}m`
}

export interface ComponentDisplay {
  /** Call it at each change; on a terminal also once a second. */
  show(components: readonly ComponentState[], now: Date): void
  /** A line that stays, above the table. */
  say(line: string): void
}

/** `screen` is a stream such as process.stdout. */
export function componentDisplay(screen: Screen): ComponentDisplay {
  return screen.isTTY === true ? redrawn(screen) : appended(screen)
}

const CLEAR_BELOW = '\x1b[J'
const linesUp = (count: number): string => (count === 0 ? '' : `\x1b[${count}A\r`)

function redrawn(screen: Screen): ComponentDisplay {
  let drawn: readonly string[] = []
  const draw = (above: readonly string[], lines: readonly string[]): void => {
    const text = [...above, ...lines].map(line => `${line}\n`).join('')
    screen.write(`${linesUp(drawn.length)}${CLEAR_BELOW}${text}`)
    drawn = lines
  }
  return {
    show: (components, now) => draw([], componentTable(components, now)),
    say: line => draw([line], drawn),
  }
}

function appended(screen: Screen): ComponentDisplay {
  const said = new Map<string, string>()
  return {
    show: components => {
      for (const { name, state, process: id, since } of components) {
        const line = `${since} ${name}: ${state}${id === undefined ? '' : ` (pid ${id.pid})`}`
        const key = `${state} ${id?.pid ?? ''}`
        if (state === 'waiting' || said.get(name) === key) continue
        said.set(name, key)
        screen.write(`${line}\n`)
      }
    },
    say: line => screen.write(`${line}\n`),
  }
}
