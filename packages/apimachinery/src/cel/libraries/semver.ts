// Semantic versions. Called by registry.ts. Ref: apiserver/pkg/cel/library/semverlib.go,
// blang/semver

import { type CelType, SEMVER } from '../cel-type.ts'
import type { Library } from '../function.ts'
import { CelError, CelOpaque, type CelValue } from '../value.ts'

type Identifier = string | bigint

class CelSemver extends CelOpaque {
  readonly type: CelType = SEMVER
  readonly numbers: readonly [bigint, bigint, bigint]
  readonly prerelease: readonly Identifier[]

  constructor(numbers: readonly [bigint, bigint, bigint], prerelease: readonly Identifier[]) {
    super()
    this.numbers = numbers
    this.prerelease = prerelease
  }

  /** Build metadata does not count. */
  equals(other: CelOpaque): boolean {
    return other instanceof CelSemver && compare(this, other) === 0
  }
}

function compare(a: CelSemver, b: CelSemver): number {
  for (let i = 0; i < 3; i++) {
    const [left, right] = [a.numbers[i] as bigint, b.numbers[i] as bigint]
    if (left !== right) return left < right ? -1 : 1
  }
  // A version without a prerelease comes after all of its prereleases.
  if (a.prerelease.length === 0 || b.prerelease.length === 0) {
    return Math.sign(b.prerelease.length - a.prerelease.length)
  }
  for (const [i, left] of a.prerelease.entries()) {
    const right = b.prerelease[i]
    if (right === undefined) return 1
    const order = compareIdentifiers(left, right)
    if (order !== 0) return order
  }
  return a.prerelease.length === b.prerelease.length ? 0 : -1
}

function compareIdentifiers(a: Identifier, b: Identifier): number {
  if (typeof a !== typeof b) return typeof a === 'bigint' ? -1 : 1
  return a === b ? 0 : a < b ? -1 : 1
}

const PARTS = ['major', 'minor', 'patch'] as const
const TITLES = ['Major', 'Minor', 'Patch'] as const

function readNumber(text: string, part: 0 | 1 | 2): bigint | CelError {
  const quoted = JSON.stringify(text)
  if (!/^[0-9]*$/.test(text)) {
    return new CelError(`Invalid character(s) found in ${PARTS[part]} number ${quoted}`)
  }
  if (/^0./.test(text)) {
    return new CelError(`${TITLES[part]} number must not contain leading zeroes ${quoted}`)
  }
  if (text === '') return new CelError('strconv.ParseUint: parsing "": invalid syntax')
  const value = BigInt(text)
  if (value < 2n ** 64n) return value
  return new CelError(`strconv.ParseUint: parsing ${quoted}: value out of range`)
}

function readIdentifier(text: string): Identifier | CelError {
  const quoted = JSON.stringify(text)
  if (text === '') return new CelError('Prerelease is empty')
  if (!/^[0-9A-Za-z-]+$/.test(text)) {
    return new CelError(`Invalid character(s) found in prerelease ${quoted}`)
  }
  if (!/^[0-9]+$/.test(text)) return text
  if (/^0./.test(text)) {
    return new CelError(`Numeric PreRelease version must not contain leading zeroes ${quoted}`)
  }
  return BigInt(text)
}

function read(text: string): CelSemver | CelError {
  if (text === '') return new CelError('Version string empty')
  const [major, minor, ...others] = text.split('.')
  if (major === undefined || minor === undefined || others.length === 0) {
    return new CelError('No Major.Minor.Patch elements found')
  }
  const [versioned = '', build] = cut(others.join('.'), '+')
  const [patch = '', prerelease] = cut(versioned, '-')
  const numbers: bigint[] = []
  for (const [i, part] of [major, minor, patch].entries()) {
    const number = readNumber(part, i as 0 | 1 | 2)
    if (number instanceof CelError) return number
    numbers.push(number)
  }
  const identifiers: Identifier[] = []
  for (const part of prerelease?.split('.') ?? []) {
    const identifier = readIdentifier(part)
    if (identifier instanceof CelError) return identifier
    identifiers.push(identifier)
  }
  const problem = build === undefined ? undefined : checkBuild(build)
  return problem ?? new CelSemver(numbers as [bigint, bigint, bigint], identifiers)
}

function checkBuild(build: string): CelError | undefined {
  for (const part of build.split('.')) {
    if (part === '') return new CelError('Build meta data is empty')
    if (!/^[0-9A-Za-z-]+$/.test(part)) {
      return new CelError(`Invalid character(s) found in build meta data ${JSON.stringify(part)}`)
    }
  }
  return undefined
}

function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

/** `v1.02` and the like: drops a v and leading zeros, fills in missing parts. */
function normalize(text: string): string | CelError {
  const [major = '', minor, ...others] = text.replace(/^v/, '').split('.')
  const parts = [major, ...(minor === undefined ? [] : [minor])]
  if (others.length > 0) parts.push(others.join('.'))
  const trimmed = parts.map(part => (part.length > 1 ? dropZeros(part) : part))
  if (trimmed.length < 3 && /[+-]/.test(trimmed.at(-1) ?? '')) {
    return new CelError('short version cannot contain PreRelease/Build meta data')
  }
  while (trimmed.length < 3) trimmed.push('0')
  return trimmed.join('.')
}

function dropZeros(part: string): string {
  const rest = part.replace(/^0+/, '')
  return /^[0-9]/.test(rest) ? rest : `0${rest}`
}

function readNormalized(text: string, normalized: boolean): CelSemver | CelError {
  const plain = normalized ? normalize(text) : text
  return plain instanceof CelError ? plain : read(plain)
}

const isRead = (value: CelValue) => !(value instanceof CelError)

export const SEMVERS: Library = {
  semver: {
    string_to_semver: ['(string) -> kubernetes.Semver', read],
    string_bool_to_semver: ['(string, bool) -> kubernetes.Semver', readNormalized],
  },
  isSemver: {
    is_semver_string: ['(string) -> bool', (text: string) => isRead(read(text))],
    is_semver_string_bool: [
      '(string, bool) -> bool',
      (text: string, normalized: boolean) => isRead(readNormalized(text, normalized)),
    ],
  },
  isGreaterThan: {
    semver_is_greater_than: [
      'kubernetes.Semver.(kubernetes.Semver) -> bool',
      (a: CelSemver, b: CelSemver) => compare(a, b) > 0,
    ],
  },
  isLessThan: {
    semver_is_less_than: [
      'kubernetes.Semver.(kubernetes.Semver) -> bool',
      (a: CelSemver, b: CelSemver) => compare(a, b) < 0,
    ],
  },
  compareTo: {
    semver_compare_to: [
      'kubernetes.Semver.(kubernetes.Semver) -> int',
      (a: CelSemver, b: CelSemver) => BigInt(compare(a, b)),
    ],
  },
  major: { semver_major: ['kubernetes.Semver.() -> int', (value: CelSemver) => value.numbers[0]] },
  minor: { semver_minor: ['kubernetes.Semver.() -> int', (value: CelSemver) => value.numbers[1]] },
  patch: { semver_patch: ['kubernetes.Semver.() -> int', (value: CelSemver) => value.numbers[2]] },
}
