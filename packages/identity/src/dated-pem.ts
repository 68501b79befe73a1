// A PEM file whose blocks may have an end: `# until DATE` on the line before a key or certificate that another took over
// from. Called by ca.ts, which leaves out what has ended, and by rotation.ts, which writes such lines. Pure.

const BLOCK =
  /(?:^# until[ \t]+(\S*)[ \t]*\r?\n)?(-----BEGIN ([A-Z ]+)-----[\s\S]*?-----END \3-----)/gm

export interface DatedBlock {
  /** With a newline at its end. */
  readonly pem: string
  /** Absent: as long as it is there. An end that cannot be read is an invalid Date. */
  readonly until?: Date
}

/** The blocks in their order, those that have ended too. */
export function readDatedPem(text: string): DatedBlock[] {
  return [...text.matchAll(BLOCK)].map(([, until, pem = '']) => ({
    pem: `${pem}\n`,
    ...(until === undefined ? {} : { until: new Date(until) }),
  }))
}

/** Whether the block counts at `now`; one whose end cannot be read does not. */
export const isCurrent = ({ until }: DatedBlock, now: Date): boolean =>
  until === undefined || now.getTime() < until.getTime()

/** The earliest end of blocks that count; undefined when none has one. */
export function firstEnd(blocks: readonly DatedBlock[]): Date | undefined {
  const ends = blocks.flatMap(({ until }) => (until === undefined ? [] : [until.getTime()]))
  return ends.length === 0 ? undefined : new Date(Math.min(...ends))
}

export function writeDatedPem(blocks: readonly DatedBlock[]): string {
  return blocks
    .map(({ pem, until }) => (until === undefined ? pem : `# until ${until.toISOString()}\n${pem}`))
    .join('')
}
