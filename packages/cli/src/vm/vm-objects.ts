// Reads the objects that stand for VMs: their Secrets and the WorkloadEntries they register. Used by the vm commands.

import { VM_LABEL, type VmRecord, vmRecord, vmSecretName } from '@podless/api'
import { CliError, EXIT } from '../exit.ts'
import { type ApiObject, objectPath, type ServerClient } from '../server-client.ts'

const NETWORKING = 'networking.istio.io/v1'
export const WORKLOAD_GROUPS = `${NETWORKING}/workloadgroups`
export const WORKLOAD_ENTRIES = `${NETWORKING}/workloadentries`
const AUTO_REGISTRATION_GROUP = 'istio.io/autoRegistrationGroup'

export interface WorkloadEntry extends ApiObject {
  spec: { address?: string }
  status?: { conditions?: { type: string; status: string; message?: string }[] }
}

/** The VM that was added under this name. Throws a CliError when there is none. */
export async function getVm(
  client: ServerClient,
  namespace: string,
  name: string,
): Promise<VmRecord> {
  const secret = await client.get(objectPath('secrets', vmSecretName(name), namespace))
  const vm = secret === undefined ? undefined : vmRecord(secret)
  if (vm !== undefined) return vm
  throw new CliError(
    EXIT.usage,
    `there is no VM ${name} in namespace ${namespace}; podless vm list shows those there are, podless vm add makes one`,
  )
}

/** All VMs, or those of one namespace. */
export async function listVms(
  client: ServerClient,
  namespace: string | undefined,
): Promise<readonly VmRecord[]> {
  const path = objectPath('secrets', '', namespace)
  const secrets = await client.list(`${path}?labelSelector=${encodeURIComponent(VM_LABEL)}`)
  return secrets.map(vmRecord).filter(vm => vm !== undefined)
}

export async function listEntries(
  client: ServerClient,
  namespace: string | undefined,
): Promise<readonly WorkloadEntry[]> {
  return (await client.list(
    objectPath(WORKLOAD_ENTRIES, '', namespace),
  )) as readonly WorkloadEntry[]
}

/** By the label its agent gives; a VM set up by hand from a bundle has none, but a group and an address. */
export function isEntryOf(vm: VmRecord, { metadata, spec }: WorkloadEntry): boolean {
  if (metadata.namespace !== vm.namespace) return false
  const label = metadata.labels?.[VM_LABEL]
  if (label !== undefined) return label === vm.name
  const group = metadata.annotations?.[AUTO_REGISTRATION_GROUP]
  return group === vm.group && vm.address !== undefined && spec.address === vm.address
}
