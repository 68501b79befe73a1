// Where Istio's CRDs come from: a file, a folder, a URL, or the istioctl on PATH, which carries its charts inside.
// Called by install.ts.

import { execFile } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isObject, type JsonObject, parseYaml } from '@podless/apimachinery'
import { CliError, EXIT } from '../exit.ts'

const run = promisify(execFile)

/** istioctl prints about 1 MiB; ten times that is something else. */
const MANIFEST_BYTES_MAX = 16 * 1024 * 1024
const MANIFEST_FILE = /\.(?:ya?ml|json)$/
const HOW_TO =
  'give --from a file, folder or URL of manifests (manifests/charts/base/files/crd-all.gen.yaml of an Istio release), or put istioctl on PATH'

/** Every CustomResourceDefinition of the source. Throws a CliError that says where CRDs come from when there is none. */
export async function readCrds(from: string | undefined): Promise<readonly JsonObject[]> {
  const texts = from === undefined ? [await fromIstioctl()] : await textsOf(from)
  const crds = texts.flatMap(crdsIn)
  if (crds.length > 0) return crds
  const where = from ?? 'istioctl manifest generate'
  throw new CliError(EXIT.usage, `${where} has no CustomResourceDefinition; ${HOW_TO}`)
}

async function textsOf(from: string): Promise<readonly string[]> {
  if (/^https?:\/\//.test(from)) return [await download(from)]
  try {
    if (!(await stat(from)).isDirectory()) return [await readFile(from, 'utf8')]
    const names = (await readdir(from)).filter(name => MANIFEST_FILE.test(name)).sort()
    return await Promise.all(names.map(name => readFile(join(from, name), 'utf8')))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError(EXIT.usage, `--from ${from} cannot be read: ${why}`, { cause: error })
  }
}

async function download(url: string): Promise<string> {
  try {
    const response = await fetch(url)
    if (response.ok) return await response.text()
    throw new Error(`it answered ${response.status}`)
  } catch (error) {
    // fetch says only that it failed; what it was is its cause.
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const why = reason instanceof Error ? reason.message : String(reason)
    throw new CliError(EXIT.unavailable, `--from ${url} cannot be fetched: ${why}; ${HOW_TO}`, {
      cause: error,
    })
  }
}

async function fromIstioctl(): Promise<string> {
  try {
    const options = { maxBuffer: MANIFEST_BYTES_MAX }
    return (await run('istioctl', ['manifest', 'generate'], options)).stdout
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const why = absent ? 'istioctl is not on PATH' : 'istioctl manifest generate failed'
    throw new CliError(EXIT.usage, `no source of Istio's CRDs, as ${why}; ${HOW_TO}`, {
      cause: error,
    })
  }
}

function crdsIn(text: string): readonly JsonObject[] {
  return text
    .split(/^---(?:[ \t].*)?$/m)
    .filter(part => /^kind:\s*CustomResourceDefinition\s*$/m.test(part) || part.startsWith('{'))
    .map(part => parseYaml(part, { strict: false }).value)
    .filter(isObject)
    .filter(({ kind }) => kind === 'CustomResourceDefinition')
}
