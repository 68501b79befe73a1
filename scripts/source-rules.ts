// What must hold of one TypeScript file: sizes, an opening comment, no banned word, libraries in their homes.
// Called by tidy.ts with the file's text; finds, never changes. Data stands above the code that reads it.

import ts from 'typescript'

/** One thing to mend, and how. `line` counts from 1. */
export interface Finding {
  readonly path: string
  readonly line: number
  readonly message: string
}

const FUNCTION_LINES_MAX = 70
const FILE_LINES_MAX = 800
/** The formatter keeps code within 100 columns but never breaks comments or text. */
const CODE_COLUMNS_MAX = 100
const COMMENT_COLUMNS_MAX = 130
const TEXT_COLUMNS_MIN = 40
const RATCHET_PATH = 'scripts/long-functions.data.json'

const TEST = /\.test\.ts$|^test\/|\/testing\//
/** Where the clock may be read; everyone else is given `now`. */
const CLOCK_HOMES = /\.test\.ts$|^test\/|^packages\/cli\/|^scripts\//

interface BannedWord {
  readonly pattern: RegExp
  readonly where: 'code' | 'comments'
  readonly fix: string
  readonly except?: RegExp
}

const BANNED: readonly BannedWord[] = [
  {
    pattern: /\bconsole\.\w+/g,
    where: 'code',
    fix: 'log through the Log that is passed in, or write to process.stdout in the cli',
  },
  {
    pattern: /\bprocess\.exit\(/g,
    where: 'code',
    fix: 'set process.exitCode and return, so that what is open gets closed',
  },
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)/g,
    where: 'code',
    fix: 'take `now` as a parameter; only the cli and tests read the clock',
    except: CLOCK_HOMES,
  },
  {
    pattern: /JSON\.parse\(\s*JSON\.stringify/g,
    where: 'code',
    fix: 'use cloneJson() of @podless/apimachinery',
    except: TEST,
  },
  {
    pattern: /(?<!^(export )?const \w+ = )\bnew RegExp\((?!['"`])/gm,
    where: 'code',
    fix: 'a pattern that a user brings goes through re2js; write our own as a literal',
    except: TEST,
  },
  {
    pattern: /\bcatch\s*(\([^)]*\)\s*)?\{\s*\}/g,
    where: 'code',
    fix: 'handle the error, or let it pass',
  },
  {
    pattern:
      /(?<!typeof [\w.?]*)\.message(\.(includes|match|startsWith|endsWith)\(|\s*===\s*['"`])/g,
    where: 'code',
    fix: 'decide by the error’s class or code, not by its text',
    except: TEST,
  },
  {
    pattern: /\bused to (be|have|do|live|return|throw|call)\b|\bfor now\b/gi,
    where: 'comments',
    fix: 'say what is so and why; git knows what was before',
    except: TEST,
  },
  {
    pattern: /\b(FIXME|XXX|HACK)\b|\bTODO\b(?!\(#\d+\):)/g,
    where: 'comments',
    fix: 'write NOTE: or TODO(#issue):',
  },
]

/** The one place that may import each library. A library without a home is a finding too. */
const IMPORTING_HOMES: Readonly<Record<string, RegExp>> = {
  '@peculiar/x509': /^packages\/identity\//,
  ajv: /^packages\/(cli\/src|api\/src\/config)/,
  cockatiel: /^packages\/storage\/src\/etcd/,
  commander: /^packages\/cli\/src\//,
  esbuild: /^scripts\//,
  etcd3: /^packages\/storage\/src\/etcd/,
  express: /^packages\/api\/src\/pages\/web/,
  'fast-check': /^scripts\/fixed-seed/,
  jose: /^packages\/identity\//,
  'js-yaml': /^packages\/apimachinery\/src\/codec\/yaml/,
  lmdb: /^packages\/storage\/src\/(embedded|tables)/,
  re2js: /^packages\/apimachinery\/src\/(cel|schema)\//,
  'reflect-metadata': /^packages\/identity\//,
  typescript: /^scripts\//,
  ws: /^packages\/api\/src\/serving\/upgrade/,
  zod: /^packages\/(api\/src\/config|apimachinery\/src\/options)/,
}

/** The lengths of functions that were too long when the limit came: `path name` to lines. They may only shrink. */
export type LongFunctions = Readonly<Record<string, number>>

interface Source {
  readonly path: string
  readonly text: string
  readonly tree: ts.SourceFile
  readonly lineOf: (position: number) => number
}

/** All findings of one file. `seen` collects the keys of `ratchet` that are still long. */
export function checkSource(
  path: string,
  text: string,
  ratchet: LongFunctions,
  seen: Set<string> = new Set(),
): readonly Finding[] {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const lineOf = (position: number): number => tree.getLineAndCharacterOfPosition(position).line + 1
  const source: Source = { path, text, tree, lineOf }
  const masked = maskComments(source)
  return [
    ...checkOpening(source),
    ...checkTree(source, ratchet, seen),
    ...checkColumns(source, masked.comments),
    ...checkWords(source, masked),
    ...checkImports(source),
  ]
}

/** A test beside `foo.ts` is introduced by its name; every other file says what it is. */
function checkOpening({ path, text }: Source): readonly Finding[] {
  if (/^(#!.*\n)?(\/\/|\/\*\*)/.test(text) || TEST.test(path)) return []
  return [
    { path, line: 1, message: 'open with one to three comment lines: what it is, who calls it' },
  ]
}

function checkTree(source: Source, ratchet: LongFunctions, seen: Set<string>): readonly Finding[] {
  const { path, tree, lineOf } = source
  const lines = lineOf(tree.end)
  const findings: Finding[] = []
  if (lines > FILE_LINES_MAX)
    findings.push({
      path,
      line: lines,
      message: `${lines} lines: split by concept (wall ${FILE_LINES_MAX})`,
    })
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined)
      findings.push(...checkLength(source, node, ratchet, seen))
    if (node.kind === ts.SyntaxKind.AnyKeyword)
      findings.push({ path, line: lineOf(node.end), message: '`any`: use unknown and narrow it' })
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return findings
}

function checkLength(
  { path, tree, lineOf }: Source,
  node: ts.SignatureDeclaration,
  ratchet: LongFunctions,
  seen: Set<string>,
): readonly Finding[] {
  const line = lineOf(node.getStart(tree))
  const length = lineOf(node.end) - line + 1
  if (length <= FUNCTION_LINES_MAX || isListOfTests(node)) return []
  const key = `${path} ${node.name?.getText(tree) ?? 'anonymous'}`
  const allowed = ratchet[key]
  seen.add(key)
  if (length === allowed) return []
  const message =
    allowed === undefined
      ? `function of ${length} lines: split it (limit ${FUNCTION_LINES_MAX})`
      : length > allowed
        ? `function grew from ${allowed} to ${length} lines: split it`
        : `function shrank from ${allowed} to ${length} lines: write ${length} in ${RATCHET_PATH}`
  return [{ path, line, message }]
}

/** describe() callbacks and suites hold tests one after another; each test counts by itself. */
function isListOfTests(node: ts.SignatureDeclaration): boolean {
  let found = false
  const visit = (child: ts.Node): void => {
    if (
      ts.isCallExpression(child) &&
      /^(test|it|describe|suite)\b/.test(child.expression.getText())
    )
      found = true
    if (!found) ts.forEachChild(child, visit)
  }
  ts.forEachChild(node, visit)
  return found
}

function checkColumns({ path, text, tree }: Source, comments: string): readonly Finding[] {
  const texts = linesWithText(tree)
  const findings: Finding[] = []
  let start = 0
  for (const [i, line] of text.split('\n').entries()) {
    const isComment = comments.slice(start, start + line.length).trim() !== ''
    const limit = isComment ? COMMENT_COLUMNS_MAX : CODE_COLUMNS_MAX
    if (line.length > limit && !texts.has(i))
      findings.push({ path, line: i + 1, message: `${line.length} columns: wrap at ${limit}` })
    start += line.length + 1
  }
  return findings
}

/** Lines, from 0, that hold a long text or pattern: messages and titles stay in one piece to be found by search. */
function linesWithText(tree: ts.SourceFile): ReadonlySet<number> {
  const lines = new Set<number>()
  const visit = (node: ts.Node): void => {
    if (isText(node) && node.end - node.getStart(tree) >= TEXT_COLUMNS_MIN) {
      const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree))
      lines.add(line)
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return lines
}

const isText = (node: ts.Node): boolean =>
  ts.isStringLiteralLike(node) ||
  ts.isTemplateLiteralToken(node) ||
  ts.isTemplateExpression(node) ||
  ts.isRegularExpressionLiteral(node)

interface Masked {
  readonly code: string
  readonly comments: string
}

/** The text twice, at the same positions: once with comments and texts blanked out, once with all but comments. */
function maskComments({ text, tree }: Source): Masked {
  let code = ''
  let comments = ''
  const visit = (node: ts.Node): void => {
    const children = node.getChildren(tree).filter(child => !ts.isJSDoc(child))
    if (children.length > 0) {
      for (const child of children) visit(child)
      return
    }
    const trivia = text.slice(node.pos, node.getStart(tree))
    const token = text.slice(node.getStart(tree), node.end)
    code += blank(trivia) + (isText(node) ? `${token[0]}${blank(token.slice(1))}` : token)
    comments += trivia + blank(token)
  }
  visit(tree)
  return { code, comments }
}

const blank = (text: string): string => text.replace(/[^\n]/g, ' ')

function checkWords({ path, lineOf }: Source, masked: Masked): readonly Finding[] {
  return BANNED.filter(({ except }) => except?.test(path) !== true).flatMap(
    ({ pattern, where, fix }) =>
      [...masked[where].matchAll(pattern)].map(match => ({
        path,
        line: lineOf(match.index),
        message: `\`${match[0].trim()}\`: ${fix}`,
      })),
  )
}

function checkImports({ path, tree, lineOf }: Source): readonly Finding[] {
  if (TEST.test(path)) return []
  return importsOf(tree).flatMap(({ specifier, position }) => {
    const library = libraryOf(specifier)
    if (library === undefined) return []
    const home = IMPORTING_HOMES[library]
    if (home?.test(path)) return []
    const message =
      home === undefined
        ? `${library} has no importing home: add one to IMPORTING_HOMES in scripts/source-rules.ts`
        : `${library} is imported in ${home.source.replaceAll(/[\\^]/g, '')} only: ask that file instead`
    return [{ path, line: lineOf(position), message }]
  })
}

/** The package of a specifier; undefined for files, Node's modules and our own packages. */
function libraryOf(specifier: string): string | undefined {
  if (/^(\.|node:|@podless\/)/.test(specifier)) return undefined
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function importsOf(tree: ts.SourceFile): { specifier: string; position: number }[] {
  const found: { specifier: string; position: number }[] = []
  const visit = (node: ts.Node): void => {
    const from = importedBy(node)
    if (from !== undefined && ts.isStringLiteral(from))
      found.push({ specifier: from.text, position: from.getStart(tree) })
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return found
}

/** What a node loads when it runs; a type-only import loads nothing. */
function importedBy(node: ts.Node): ts.Expression | undefined {
  if (ts.isImportDeclaration(node))
    return node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
      ? undefined
      : node.moduleSpecifier
  if (ts.isExportDeclaration(node)) return node.isTypeOnly ? undefined : node.moduleSpecifier
  const isDynamic =
    ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
  return isDynamic ? node.arguments[0] : undefined
}

/** Entries of the ratchet whose function is short by now, or gone. */
export function checkRatchet(
  ratchet: LongFunctions,
  seen: ReadonlySet<string>,
): readonly Finding[] {
  return Object.keys(ratchet)
    .filter(key => !seen.has(key))
    .map(key => ({
      path: RATCHET_PATH,
      line: Object.keys(ratchet).indexOf(key) + 2,
      message: `no function "${key}" is too long any more: remove the entry`,
    }))
}
