// podless vm remove: revokes a VM's credentials and takes it out of the mesh.

import type { VmRecord } from '@podless/api'
import { type OutputFormat, printJson, printLines } from '../output.ts'
import { objectPath, openServer, type ServerClient } from '../server-client.ts'
import { deleteJoinTokens } from './join-line.ts'
import {
  getVm,
  isEntryOf,
  listEntries,
  listVms,
  WORKLOAD_ENTRIES,
  WORKLOAD_GROUPS,
} from './vm-objects.ts'

export interface RemoveOptions {
  readonly data: string
  readonly kubeconfig?: string
  readonly namespace: string
  /** Delete the WorkloadGroup too when this was its last VM. */
  readonly group?: boolean
  readonly output: OutputFormat
}

export async function remove(name: string, options: RemoveOptions): Promise<void> {
  const client = await openServer(options)
  try {
    const vm = await getVm(client, options.namespace, name)
    const deleted = await removeVm(client, vm, options)
    if (options.output === 'json') printJson({ deleted })
    else printLines(deleted.map(what => `${what} deleted`))
    if (vm.joined !== undefined)
      process.stderr.write(
        `note: nobody can take back the certificate that istiod issued to ${name}, which ends ${vm.certificateExpires ?? 'within a day'}; docs/vm.md says how to deny it\n`,
      )
  } finally {
    client.close()
  }
}

/** Returns what was deleted. The Secret goes first: from then on no credential of the VM holds. */
async function removeVm(
  client: ServerClient,
  vm: VmRecord,
  { group }: RemoveOptions,
): Promise<readonly string[]> {
  const { name, namespace } = vm
  const deleted: string[] = []
  const drop = async (kind: string, path: string, what: string): Promise<void> => {
    if (await client.delete(path)) deleted.push(`${kind}/${what}`)
  }
  await drop('vm', objectPath('secrets', vm.secretName, namespace), name)
  await deleteJoinTokens(client, vm)
  for (const entry of await listEntries(client, namespace)) {
    const entryName = entry.metadata.name
    if (isEntryOf(vm, entry))
      await drop('workloadentry', objectPath(WORKLOAD_ENTRIES, entryName, namespace), entryName)
  }
  if (group === true && !(await listVms(client, namespace)).some(one => one.group === vm.group))
    await drop('workloadgroup', objectPath(WORKLOAD_GROUPS, vm.group, namespace), vm.group)
  return deleted
}
