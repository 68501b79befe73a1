// The load benchmark's figures as bars, one group a question. Pure; called by run.ts when figures are saved.

import { escapeXml } from './svg.ts'

/** One server's line of the load benchmark. */
export interface LoadLine {
  readonly server: string
  readonly [figure: string]: unknown
}

/** What is drawn, how it is called, and its unit. */
const QUESTIONS: readonly (readonly [figure: string, title: string])[] = [
  ['createsPerSecond', 'creates a second'],
  ['getsPerSecond', 'gets a second'],
  ['deletesPerSecond', 'deletes a second'],
  ['watchEventsPerSecond', 'events a second to 200 watchers'],
  ['listMs', 'list of 5,000 objects, ms (shorter is better)'],
  ['pagedListMs', 'the same in pages of 500, ms (shorter is better)'],
  ['createP99', 'p99 of a create, ms (shorter is better)'],
  ['watchP99', 'p99 of an event’s delay, ms (shorter is better)'],
]
const COLORS: Readonly<Record<string, string>> = {
  embedded: '#2a9d8f',
  etcd: '#457b9d',
  peer: '#b0b0b0',
  bare: '#e9c46a',
}
const WIDTH = 760
const LEFT = 90
const BAR = 16
const TITLE = 22
const GAP = 12
const VALUE_WIDTH = 80

/** The SVG text. Bars of one group share a scale; groups do not. */
export function loadChart(lines: readonly LoadLine[], caption: string): string {
  const parts: string[] = []
  let y = TITLE
  for (const [figure, title] of QUESTIONS) {
    const bars = lines.flatMap(line => {
      const value = line[figure]
      return typeof value === 'number' ? [{ server: line.server, value }] : []
    })
    if (bars.length === 0) continue
    parts.push(`<text x="0" y="${y}" font-weight="bold">${escapeXml(title)}</text>`)
    y += 6
    const scale = (WIDTH - LEFT - VALUE_WIDTH) / Math.max(...bars.map(({ value }) => value))
    for (const { server, value } of bars) {
      const width = Math.max(1, value * scale).toFixed(1)
      parts.push(
        `<text x="0" y="${y + 12}">${escapeXml(server)}</text>`,
        `<rect x="${LEFT}" y="${y}" width="${width}" height="${BAR - 3}" fill="${COLORS[server] ?? '#e76f51'}"/>`,
        `<text x="${(LEFT + Number(width) + 6).toFixed(1)}" y="${y + 12}">${value.toLocaleString('en')}</text>`,
      )
      y += BAR
    }
    y += GAP + TITLE - 6
  }
  parts.push(`<text x="0" y="${y}" fill="#777">${escapeXml(caption)}</text>`)
  const box = `viewBox="0 0 ${WIDTH} ${y + 8}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${box} font-family="sans-serif" font-size="12">`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}
