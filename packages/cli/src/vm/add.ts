// podless vm add: a VM of the mesh, with the group, ServiceAccount and namespace it needs, and the line that joins it.

import { isIP } from 'node:net'
import { VM, type VmRecord, vmRecord, vmSecret, vmSecretName } from '@podless/api'
import { checkLabel, checkLabelValue, checkName } from '../checked-name.ts'
import { parseDuration } from '../duration.ts'
import { CliError, EXIT } from '../exit.ts'
import type { OutputFormat } from '../output.ts'
import { objectPath, openServer, type ServerClient } from '../server-client.ts'
import { type GroupOptions, groupPatch } from './group-spec.ts'
import { joinLine, printJoinLine } from './join-line.ts'
import { WORKLOAD_GROUPS } from './vm-objects.ts'

export interface AddOptions extends Omit<GroupOptions, 'group'> {
  readonly data: string
  readonly kubeconfig?: string
  readonly group?: string
  readonly namespace: string
  readonly address?: string
  readonly server?: string
  readonly istiodAddress?: string
  readonly revision: string
  readonly joinTtl: string
  readonly tokenTtl: string
  readonly output: OutputFormat
}

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?$/

export async function add(name: string, options: AddOptions): Promise<void> {
  if (!NAME.test(name))
    throw new CliError(
      EXIT.usage,
      `${JSON.stringify(name)} cannot name a VM; use up to 50 of a-z, 0-9 and -`,
    )
  checkLabel('--namespace', options.namespace)
  checkName('--group', options.group)
  checkName('--service-account', options.serviceAccount)
  checkLabelValue('--network', options.network)
  for (const key of ['address', 'istiodAddress'] as const) checkAddress(key, options[key])
  const ttlSeconds = parseDuration(options.joinTtl, '--join-ttl')
  const client = await openServer(options)
  try {
    const vm = await addVm(client, name, options)
    const line = await joinLine(client, vm, { ttlSeconds, now: new Date() })
    printJoinLine(vm, line, options)
  } finally {
    client.close()
  }
}

function checkAddress(option: string, address: string | undefined): void {
  if (address === undefined || isIP(address) !== 0) return
  const flag = option.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
  throw new CliError(EXIT.usage, `--${flag} ${JSON.stringify(address)} is no IP address`)
}

/** Makes or updates the VM and what it stands on. What other options set before stays. */
export async function addVm(
  client: ServerClient,
  name: string,
  options: AddOptions,
): Promise<VmRecord> {
  const { namespace } = options
  const group = options.group ?? name
  await ensure(client, 'namespaces', { name: namespace })
  const account = await ensureGroup(client, namespace, { ...options, group })
  await ensure(client, 'serviceaccounts', { name: account, namespace })
  const annotations = annotationsOf(options, group, client.access.server)
  const path = objectPath('secrets', vmSecretName(name), namespace)
  const existing = await client.get(path)
  const secret =
    existing === undefined
      ? await client.create(
          objectPath('secrets', '', namespace),
          vmSecret({ name, namespace, annotations }),
        )
      : await client.mergePatch(path, { metadata: { annotations } })
  const vm = vmRecord(secret)
  if (vm !== undefined) return vm
  throw new CliError(
    EXIT.usage,
    `the Secret ${namespace}/${vmSecretName(name)} is no VM's; delete it or choose another name`,
  )
}

function annotationsOf(options: AddOptions, group: string, server: string): Record<string, string> {
  const { address, istiodAddress } = options
  return {
    [VM.group]: group,
    [VM.server]: (options.server ?? server).replace(/\/+$/, ''),
    [VM.revision]: options.revision,
    [VM.tokenSeconds]: String(parseDuration(options.tokenTtl, '--token-ttl')),
    ...(address === undefined ? {} : { [VM.address]: address }),
    ...(istiodAddress === undefined ? {} : { [VM.istiodAddress]: istiodAddress }),
  }
}

async function ensure(
  client: ServerClient,
  resource: 'namespaces' | 'serviceaccounts',
  metadata: { name: string; namespace?: string },
): Promise<void> {
  const path = objectPath(resource, metadata.name, metadata.namespace)
  if ((await client.get(path)) !== undefined) return
  const kind = resource === 'namespaces' ? 'Namespace' : 'ServiceAccount'
  await client.apply(path, { apiVersion: 'v1', kind, metadata: { ...metadata } })
}

/** Makes or updates the WorkloadGroup; returns the name of its ServiceAccount. */
async function ensureGroup(
  client: ServerClient,
  namespace: string,
  options: GroupOptions,
): Promise<string> {
  await requireIstio(client, namespace)
  const path = objectPath(WORKLOAD_GROUPS, options.group, namespace)
  const existing = await client.get(path)
  const spec = groupPatch(options, existing === undefined)
  const stored =
    existing === undefined
      ? await client.create(objectPath(WORKLOAD_GROUPS, '', namespace), {
          apiVersion: 'networking.istio.io/v1',
          kind: 'WorkloadGroup',
          metadata: { name: options.group, namespace },
          spec,
        })
      : await client.mergePatch(path, { spec })
  const { template } = stored.spec as { template?: { serviceAccount?: string } }
  if (template?.serviceAccount !== undefined && template.serviceAccount !== '')
    return template.serviceAccount
  await client.mergePatch(path, { spec: { template: { serviceAccount: 'default' } } })
  return 'default'
}

async function requireIstio(client: ServerClient, namespace: string): Promise<void> {
  const answer = await client.send('GET', objectPath(WORKLOAD_GROUPS, '', namespace))
  if (answer.code !== 404) return
  throw new CliError(
    EXIT.usage,
    "Istio's CRDs are not installed on this server; run podless istio install first",
  )
}
