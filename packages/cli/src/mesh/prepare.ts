// podless mesh prepare: the files with which istiod, then the demo VMs, start somewhere else, such as in containers.
// Run by docker-compose.yml in the order of its services; both steps may be repeated.

import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { CliError, EXIT } from '../exit.ts'
import { readCrds } from '../istio/crd-source.ts'
import { installInto } from '../istio/install.ts'
import { createKubeconfig } from '../kubeconfig.ts'
import { makeFolder } from '../own-folder.ts'
import { openServer, type ServerClient } from '../server-client.ts'
import { applyDemo, vmNames } from './demo-objects.ts'
import { addDemoVm, demoBundle, ROOT_CERTIFICATE } from './demo-vm.ts'
import { waitFor } from './readiness.ts'

export interface PrepareOptions {
  readonly data: string
  /** The folder to write. */
  readonly output: string
  readonly from?: string
  /** URL at which istiod reaches the server. */
  readonly server?: string
  readonly discoveryAddress?: string
}

type Step = (client: ServerClient, options: PrepareOptions) => Promise<void>

const STEPS: Readonly<Record<string, Step>> = { istiod: prepareIstiod, vms: prepareVms }
const DEMO_VMS = 2
const ROOT_CERT_MS_MAX = 120_000

export async function prepare(step: string, options: PrepareOptions): Promise<void> {
  const chosen = STEPS[step]
  if (chosen === undefined)
    throw new CliError(
      EXIT.usage,
      `${step} cannot be prepared; choose ${Object.keys(STEPS).join(' or ')}`,
    )
  await outputFolder(options.output)
  const client = await openServer({ data: options.data })
  try {
    await chosen(client, options)
  } finally {
    client.close()
  }
  process.stdout.write(`wrote the files of ${step} to ${resolve(options.output)}\n`)
}

async function outputFolder(path: string): Promise<void> {
  try {
    await makeFolder(path)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError(EXIT.cannotCreate, `--output ${path} cannot be made: ${why}`, {
      cause: error,
    })
  }
}

/** CRDs, mesh config, demo Services, and istiod.kubeconfig. */
async function prepareIstiod(client: ServerClient, options: PrepareOptions): Promise<void> {
  const { data, output, from, server, discoveryAddress } = options
  await installInto(client, await readCrds(from), {
    revision: 'default',
    clusterId: 'Kubernetes',
    ...(discoveryAddress === undefined ? {} : { discoveryAddress }),
  })
  await applyDemo(client, vmNames(DEMO_VMS))
  const text = await createKubeconfig('istiod', {
    data,
    ...(server === undefined ? {} : { server }),
  })
  // istiod's image runs as a user of its own; the folder is what keeps others out.
  await writeFile(join(output, 'istiod.kubeconfig'), text, { mode: 0o644 })
}

/** A folder with a bundle a VM, once istiod has published its root. */
async function prepareVms(client: ServerClient, { data, output }: PrepareOptions): Promise<void> {
  await waitFor(
    'istiod publishes its root certificate',
    async () => await client.get(ROOT_CERTIFICATE),
    { signal: new AbortController().signal, timeoutMs: ROOT_CERT_MS_MAX },
  )
  for (const name of vmNames(DEMO_VMS)) {
    await addDemoVm(client, { data, name })
    const folder = join(output, name)
    await outputFolder(folder)
    for (const [file, text] of await demoBundle(client, name))
      await writeFile(join(folder, file), text, { mode: 0o600 })
  }
}
