// A demo VM joins as any VM does, by the line that vm add prints, below a folder that stands for its /. Called by up.ts.
// Where its agent and its renewer are started from that folder, components.ts says.

import { execFile } from 'node:child_process'
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CliError, EXIT } from '../exit.ts'
import { quoteForShell } from '../shell-quote.ts'
import { PROXY_PORT } from './demo-app.ts'

const run = promisify(execFile)

const TEMPLATE = 'envoy_bootstrap_tmpl.json'
/** Relative to the VM's folder. */
export const AGENT_SCRIPT = 'var/lib/podless/agent.sh'
export const RENEW_SCRIPT = 'var/lib/podless/renew.sh'
/** Touched by each renewal that succeeds. */
export const RENEWED = 'var/lib/podless/renewed'

export interface VmFolderOptions {
  readonly folder: string
  /** What a person would paste on the VM. */
  readonly line: string
  readonly name: string
  readonly discoveryAddress: string
  readonly envoy: string
  readonly bootstrapTemplate: string
}

/** Writes the folder anew. Throws a CliError with what the line said when it fails. */
export async function layOutVm(options: VmFolderOptions): Promise<void> {
  const { folder, line, name, bootstrapTemplate } = options
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await shell(name, folder, `${line} --prefix ${quoteForShell(folder)}`)
  const lines = Object.entries(agentEnvironment(options)).map(
    ([key, value]) => `${key}=${quoteForShell(value)}\n`,
  )
  await writeFile(join(folder, 'etc/podless/agent.env'), lines.join(''))
  await cp(bootstrapTemplate, join(folder, TEMPLATE))
  await shell(name, folder, `sh ${AGENT_SCRIPT} prepare`)
}

/** What a VM's owner would write into agent.env for the agent to work without a redirect, and in a folder. */
function agentEnvironment(options: VmFolderOptions): Readonly<Record<string, string>> {
  const { discoveryAddress, envoy } = options
  return {
    CA_ADDR: discoveryAddress,
    PROXY_CONFIG: JSON.stringify({
      binaryPath: envoy,
      discoveryAddress,
      terminationDrainDuration: '1s',
    }),
    ISTIO_AGENT_FLAGS: `--concurrency 1 --templateFile ${TEMPLATE}`,
    ISTIO_CUSTOM_IP_TABLES: 'true',
    // No redirect brings the app's lookups to the agent.
    ISTIO_META_DNS_CAPTURE: 'false',
    ISTIO_META_HTTP_PROXY_PORT: String(PROXY_PORT),
    // Spares two seconds of asking for a cloud's metadata service.
    CLOUD_PLATFORM: 'none',
  }
}

async function shell(name: string, cwd: string, command: string): Promise<void> {
  try {
    await run('sh', ['-c', command], { cwd })
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    throw new CliError(EXIT.unavailable, `${name} could not join the mesh: ${stderr.trim()}`, {
      cause: error,
    })
  }
}
