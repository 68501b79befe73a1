// podless vm bundle: a VM's files as a folder, the same that `istioctl x workload entry configure` writes.

import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseDuration } from '../duration.ts'
import { CliError, EXIT } from '../exit.ts'
import { makeFolder } from '../own-folder.ts'
import { objectPath, openServer, type ServerClient } from '../server-client.ts'
import { getVm, WORKLOAD_GROUPS } from './vm-objects.ts'

export interface BundleOptions {
  readonly data: string
  readonly kubeconfig?: string
  readonly namespace: string
  /** The folder to write. */
  readonly output: string
  readonly tokenTtl: string
}

const FILES = ['cluster.env', 'hosts', 'mesh.yaml', 'root-cert.pem'] as const
const TOKEN_FILE = 'istio-token'

export async function bundle(name: string, options: BundleOptions): Promise<void> {
  const expirationSeconds = parseDuration(options.tokenTtl, '--token-ttl')
  const client = await openServer(options)
  try {
    const files = await readBundle(client, name, { ...options, expirationSeconds })
    const folder = resolve(options.output)
    await writeFiles(folder, files)
    process.stdout.write(`wrote ${[...files.keys()].join(', ')} to ${folder}\n`)
  } finally {
    client.close()
  }
}

/** The bundle's files with a fresh token, by name. */
export async function readBundle(
  client: ServerClient,
  name: string,
  { namespace, expirationSeconds }: { namespace: string; expirationSeconds: number },
): Promise<ReadonlyMap<string, string>> {
  const vm = await getVm(client, namespace, name)
  const query = new URLSearchParams({ namespace, vm: name })
  const files = new Map<string, string>()
  for (const file of FILES)
    files.set(file, await client.text(`/podless/v1/bundle/${file}?${query}`))
  const group = await client.get(objectPath(WORKLOAD_GROUPS, vm.group, namespace))
  const { template } = (group?.spec ?? {}) as { template?: { serviceAccount?: string } }
  const account = objectPath('serviceaccounts', template?.serviceAccount ?? 'default', namespace)
  const answer = await client.create(`${account}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: ['istio-ca'],
      expirationSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: vm.secretName, uid: vm.uid },
    },
  })
  files.set(TOKEN_FILE, (answer as unknown as { status: { token: string } }).status.token)
  return files
}

async function writeFiles(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  try {
    await makeFolder(folder)
    for (const [file, text] of files)
      await writeFile(join(folder, file), text, { mode: file === TOKEN_FILE ? 0o600 : 0o644 })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError(EXIT.cannotCreate, `--output ${folder} cannot be written: ${why}`, {
      cause: error,
    })
  }
}
