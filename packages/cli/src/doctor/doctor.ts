// podless doctor: one line for each thing that has to be so for a server to run well. Called by commands/doctor.ts; the
// checks are in the files beside. Reads only.

import { resolve } from 'node:path'
import { CliError, EXIT } from '../exit.ts'
import { findProgram } from '../mesh/programs.ts'
import type { StoreOptions } from '../open-store.ts'
import { type OutputFormat, printJson, printLines, table } from '../output.ts'
import type { ServerOptions } from '../server-client.ts'
import { type Finding, ok, type Patient, warn } from './finding.ts'
import { checkDisk, checkFolder, checkStore } from './folder.ts'
import { checkKeys, checkKubeconfig } from './keys.ts'
import { checkServer } from './server.ts'

export interface DoctorOptions extends StoreOptions, ServerOptions {
  readonly advertise?: string
  readonly output: OutputFormat
}

/** What podless is tested with. */
const NODE_MAJOR = 24
const MESH_PROGRAMS = ['pilot-discovery', 'pilot-agent', 'envoy', 'istioctl']

/** Prints what it found. Throws a CliError with the first failure's code. */
export async function doctor(options: DoctorOptions): Promise<void> {
  const patient: Patient = { data: resolve(options.data), now: new Date() }
  const findings = await examine(patient, options)
  if (options.output === 'json') printJson(findings)
  else printLines(table(findings.map(({ status, check, detail }) => [status, check, detail])))
  const failures = findings.filter(({ status }) => status === 'fail')
  const [first] = failures
  if (first === undefined) return
  const count = `${failures.length} of ${findings.length} checks failed`
  throw new CliError(first.code ?? EXIT.internal, `${count}; each line above says what to do`)
}

async function examine(patient: Patient, options: DoctorOptions): Promise<Finding[]> {
  const folder = await checkFolder(patient)
  // Without a folder there is nothing more to say of it, but a server may be named by --kubeconfig.
  const inside =
    folder.status === 'fail'
      ? []
      : [
          await checkDisk(patient),
          await checkStore(patient, options),
          ...(await checkKeys(patient, options.advertise)),
          await checkKubeconfig(patient),
        ]
  const isServed = folder.status !== 'fail' || options.kubeconfig !== undefined
  const server = isServed ? await checkServer(patient, options) : []
  return [checkNode(), folder, ...inside, ...server, checkPrograms()]
}

function checkNode(): Finding {
  const { node } = process.versions
  if (Number.parseInt(node, 10) >= NODE_MAJOR) return ok('node', node)
  return warn('node', `${node} is older than ${NODE_MAJOR}; install that, or run ./podless`)
}

function checkPrograms(): Finding {
  const missing = MESH_PROGRAMS.filter(name => findProgram(name) === undefined)
  const detail =
    missing.length === 0
      ? 'all that podless mesh up runs is on PATH'
      : `not on PATH, which only podless mesh up needs: ${missing.join(', ')}`
  return { status: 'info', check: 'mesh', detail }
}
