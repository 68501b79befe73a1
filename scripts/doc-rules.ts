// What must hold of every tracked file whatever it is, and of the documents: no place of one machine, no dead link,
// and a table of kinds that says what the registry serves. Called by tidy.ts.

import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { builtinResources } from '../packages/api/src/resources/index.ts'
import type { Finding } from './source-rules.ts'

interface BannedPlace {
  readonly pattern: RegExp
  readonly fix: string
}

const PLACES: readonly BannedPlace[] = [
  {
    pattern: /(?<![\w.$)}@-])\/(?:work|opt|root)(?:\/[\w.-]+|(?=["'`\s]))/,
    fix: 'write a path relative to the repository, or one every machine has',
  },
  {
    pattern:
      /\b(?:registry\.(?:npmjs|yarnpkg)\.\w+|proxy\.golang\.org|(?:artifactory|verdaccio|nexus)\.[\w.-]+)/i,
    fix: 'leave the registry to the configuration of whoever installs',
  },
]

/** Places of one machine, in a file of any kind. */
export function checkPlaces(path: string, text: string): readonly Finding[] {
  return text.split('\n').flatMap((line, i) =>
    PLACES.flatMap(({ pattern, fix }) => {
      const match = pattern.exec(line)
      return match === null ? [] : [{ path, line: i + 1, message: `\`${match[0]}\`: ${fix}` }]
    }),
  )
}

const LINK = /\[[^\]]*\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g
/** A path of ours in backquotes, such as `packages/api/src/serving/server.ts`. */
const QUOTED_PATH = /`((?:packages|scripts|test|deploy|docs)\/[\w./-]+)`/g

/** Links and quoted paths of one document that lead nowhere. `root` is the repository. */
export function checkLinks(path: string, text: string, root: string): readonly Finding[] {
  const findings: Finding[] = []
  for (const [i, line] of withoutFences(text).entries()) {
    const report = (message: string): void => {
      findings.push({ path, line: i + 1, message })
    }
    for (const [, target = ''] of line.matchAll(LINK)) {
      if (/^[a-z]+:/.test(target)) continue
      const [file = '', anchor] = target.split('#')
      const place = file === '' ? path : normalize(join(dirname(path), file))
      if (!existsSync(join(root, place))) report(`dead link ${target}: nothing is at ${place}`)
      else if (anchor !== undefined && file === '' && !anchorsOf(text).has(anchor))
        report(`dead link ${target}: no heading makes this anchor`)
    }
    for (const [, quoted = ''] of line.matchAll(QUOTED_PATH)) {
      if (!existsSync(join(root, quoted)))
        report(`\`${quoted}\` does not exist: name the file that has it`)
    }
  }
  return findings
}

/** The lines, with those inside code fences blanked. */
function withoutFences(text: string): string[] {
  let fenced = false
  return text.split('\n').map(line => {
    if (!/^\s*(```|~~~)/.test(line)) return fenced ? '' : line
    fenced = !fenced
    return ''
  })
}

function anchorsOf(text: string): Set<string> {
  const headings = withoutFences(text).filter(line => /^#{1,6} /.test(line))
  return new Set(
    headings.map(line =>
      line
        .replace(/^#+ /, '')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  )
}

export const KINDS_PATH = 'docs/compatibility.md'

/** The rows of the table of kinds, from what the registry starts with. */
export function kindRows(): readonly string[] {
  return builtinResources().map(({ gvr, names, namespaced, create, subresources }) => {
    const groupVersion = gvr.group === '' ? gvr.version : `${gvr.group}/${gvr.version}`
    const scope = namespaced ? 'namespace' : 'cluster'
    const doors = [...subresources.entries()]
      .map(([name, { type }]) => (type === 'node' ? `${name}*` : name))
      .join(', ')
    const kept = create === undefined ? 'stored' : 'answered'
    return `| ${groupVersion} | ${names.kind} | \`${names.plural}\` | ${scope} | ${kept} | ${doors} |`
  })
}

const FIRST_KIND = '| v1 | ConfigMap |'

/** Differences between the table in docs/compatibility.md and the registry. */
export function checkKinds(text: string, rows: readonly string[] = kindRows()): readonly Finding[] {
  const lines = text.split('\n')
  const start = lines.findIndex(line => line.startsWith(FIRST_KIND))
  const finding = (line: number, message: string): Finding => ({ path: KINDS_PATH, line, message })
  if (start < 0)
    return [finding(1, `the table of kinds is missing; its first row is\n  ${rows[0]}`)]
  const length = lines.slice(start).findIndex(line => !line.startsWith('|'))
  const table = lines.slice(start, length < 0 ? undefined : start + length)
  const missing = rows
    .filter(row => !table.includes(row))
    .map(row =>
      finding(start + 1, `the registry serves this and the table does not say so; add\n  ${row}`),
    )
  const extra = table.flatMap((row, i) =>
    rows.includes(row)
      ? []
      : [finding(start + i + 1, 'the registry does not serve this; remove the row')],
  )
  return [...missing, ...extra]
}
