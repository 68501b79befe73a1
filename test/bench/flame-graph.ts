// A V8 CPU profile as a flame graph: an SVG that any browser shows, with a frame's name and share on hover.
// Pure; called by flame.ts.

import { basename } from 'node:path'
import { escapeXml } from './svg.ts'

/** What `node --cpu-prof` writes, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  /** The node of each sample, and the microseconds since the one before. */
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface ProfileNode {
  readonly id: number
  readonly callFrame: {
    readonly functionName: string
    readonly url: string
    readonly lineNumber: number
  }
  readonly children?: readonly number[]
}

interface Frame {
  readonly name: string
  micros: number
  readonly callees: Map<string, Frame>
}

const WIDTH = 1600
const ROW = 17
/** Narrower frames are left out: nobody could point at them. */
const WIDTH_MIN = 0.5
const TEXT_WIDTH_MIN = 30
const CHARACTER = 6.6
/** Time in which the server did nothing. */
const IDLE = '(idle)'

/** The SVG text. Frames that called each other under the same name are one. */
export function flameGraph(profile: CpuProfile): string {
  const root = framesOf(profile)
  const boxes: string[] = []
  const depth = draw(
    root,
    { x: 0, level: 0, scale: WIDTH / root.micros, total: root.micros },
    boxes,
  )
  const height = (depth + 1) * ROW
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="11">`,
    ...boxes,
    '</svg>',
    '',
  ].join('\n')
}

function framesOf({ nodes, samples, timeDeltas }: CpuProfile): Frame {
  const self = new Map<number, number>()
  for (const [i, id] of samples.entries()) self.set(id, (self.get(id) ?? 0) + (timeDeltas[i] ?? 0))
  const byId = new Map(nodes.map(node => [node.id, node]))
  const root: Frame = { name: 'busy', micros: 0, callees: new Map() }
  const add = (node: ProfileNode, into: Frame): number => {
    const name = nameOf(node)
    if (name === IDLE) return 0
    const frame = into.callees.get(name) ?? { name, micros: 0, callees: new Map() }
    into.callees.set(name, frame)
    let micros = self.get(node.id) ?? 0
    for (const id of node.children ?? []) {
      const callee = byId.get(id)
      if (callee !== undefined) micros += add(callee, frame)
    }
    frame.micros += micros
    return micros
  }
  for (const id of nodes[0]?.children ?? []) {
    const node = byId.get(id)
    if (node !== undefined) root.micros += add(node, root)
  }
  return root
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const name = functionName === '' ? '(anonymous)' : functionName
  return url === '' ? name : `${name} ${basename(url)}:${lineNumber + 1}`
}

interface Place {
  readonly x: number
  readonly level: number
  /** Pixels for a microsecond. */
  readonly scale: number
  readonly total: number
}

/** Adds the frame's box and those of its callees; returns the deepest level. */
function draw(frame: Frame, { x, level, scale, total }: Place, boxes: string[]): number {
  const width = frame.micros * scale
  if (width < WIDTH_MIN) return level
  const share = ((frame.micros / total) * 100).toFixed(1)
  const hue = 20 + ((frame.name.length * 7) % 35)
  const y = level * ROW
  const label = frame.name.slice(0, Math.floor((width - 4) / CHARACTER))
  const text =
    width < TEXT_WIDTH_MIN
      ? ''
      : `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${escapeXml(label)}</text>`
  boxes.push(
    `<g><title>${escapeXml(frame.name)} ${share}%</title><rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="hsl(${hue} 85% 65%)"/>${text}</g>`,
  )
  let deepest = level
  let at = x
  for (const callee of [...frame.callees.values()].sort((a, b) => b.micros - a.micros)) {
    deepest = Math.max(deepest, draw(callee, { x: at, level: level + 1, scale, total }, boxes))
    at += callee.micros * scale
  }
  return deepest
}
