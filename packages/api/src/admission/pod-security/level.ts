// The levels of the Pod Security Standards, each as of a version of them. Called by the other files of this folder.
// Ref: pod-security-admission/api/helpers.go

/** From the least strict to the strictest. */
export const LEVELS = ['privileged', 'baseline', 'restricted'] as const
export type Level = (typeof LEVELS)[number]

/** Both as namespaces write them: `restricted`, `v1.25`. */
export interface LevelVersion {
  readonly level: Level
  readonly version: string
}

export const LATEST = 'latest'
const VERSION = /^v1\.(0|[1-9][0-9]*)$/
/** Upstream reads the number as an int64. */
const MINOR_MAX = 2n ** 63n - 1n

export function isLevel(text: string): text is Level {
  return (LEVELS as readonly string[]).includes(text)
}

export function isVersion(text: string): boolean {
  const minor = VERSION.exec(text)?.[1]
  return text === LATEST || (minor !== undefined && BigInt(minor) <= MINOR_MAX)
}

/** The minor version to compare with; `latest` is beyond all of them. */
export function minorOf(version: string): number {
  return version === LATEST ? Number.POSITIVE_INFINITY : Number(version.slice('v1.'.length))
}

export function isStricter(level: Level, than: Level): boolean {
  return LEVELS.indexOf(level) > LEVELS.indexOf(than)
}

/** `restricted:latest`, as messages say it. */
export function formatLevel({ level, version }: LevelVersion): string {
  return `${level}:${version}`
}
