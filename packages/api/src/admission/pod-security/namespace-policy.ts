// What the labels of a namespace ask of its pods. Called by pod-security.ts.
// Ref: pod-security-admission/api/helpers.go PolicyToEvaluate

import { type FieldError, invalidValue } from '@podless/apimachinery'
import { isLevel, isVersion, LATEST, LEVELS, type Level, type LevelVersion } from './level.ts'

/** The prefix of the labels, and of the audit annotations. */
export const PREFIX = 'pod-security.kubernetes.io/'

/** What is refused, what is recorded and what is warned of. */
export type NamespacePolicy = Readonly<Record<Mode, LevelVersion>>
type Mode = 'enforce' | 'audit' | 'warn'

export interface ReadPolicy {
  readonly policy: NamespacePolicy
  /** About labels that say nothing known. */
  readonly errors: readonly FieldError[]
}

/** What a level that nobody knows counts as: refusing fails closed, the others fail open. */
const UNKNOWN: Readonly<Record<Mode, Level>> = {
  enforce: 'restricted',
  audit: 'privileged',
  warn: 'privileged',
}

/** Without labels everything is allowed. There is a policy even when there are errors. */
export function readPolicy(labels: Readonly<Record<string, string>> | undefined): ReadPolicy {
  const errors: FieldError[] = []
  const enforce = readMode('enforce', labels, errors)
  const audit = readMode('audit', labels, errors)
  const warn = readMode('warn', labels, errors)
  return { policy: { enforce, audit, warn: impliedWarning(enforce, warn, labels) }, errors }
}

function readMode(
  mode: Mode,
  labels: Readonly<Record<string, string>> | undefined,
  errors: FieldError[],
): LevelVersion {
  const refuse = (label: string, value: string, detail: string): void => {
    errors.push(invalidValue(`metadata.labels[${label}]`, value, detail))
  }
  const level = labels?.[PREFIX + mode] ?? 'privileged'
  const version = labels?.[versionLabel(mode)] ?? LATEST
  if (!isLevel(level)) refuse(PREFIX + mode, level, `must be one of ${LEVELS.join(', ')}`)
  if (!isVersion(version)) refuse(versionLabel(mode), version, 'must be "latest" or "v1.x"')
  return {
    level: isLevel(level) ? level : UNKNOWN[mode],
    version: isVersion(version) ? version : LATEST,
  }
}

const versionLabel = (mode: Mode): string => `${PREFIX}${mode}-version`

/** Who enforces a level is also warned of what would break it, unless the labels say something about warnings. */
function impliedWarning(
  enforce: LevelVersion,
  warn: LevelVersion,
  labels: Readonly<Record<string, string>> | undefined,
): LevelVersion {
  const enforced = labels?.[`${PREFIX}enforce`]
  if (labels?.[`${PREFIX}warn`] !== undefined || enforced === undefined) return warn
  if (!isLevel(enforced)) return warn
  const version = labels?.[versionLabel('warn')] === undefined ? enforce.version : warn.version
  return { level: enforced, version }
}
