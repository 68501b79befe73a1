// podless vm renew: another join line for a VM that lost its credentials, or whose credentials should end.

import { type VmRecord, vmRecord, vmSecret } from '@podless/api'
import { parseDuration } from '../duration.ts'
import { CliError, EXIT } from '../exit.ts'
import type { OutputFormat } from '../output.ts'
import { objectPath, openServer, type ServerClient } from '../server-client.ts'
import { joinLine, printJoinLine } from './join-line.ts'
import { getVm } from './vm-objects.ts'

export interface RenewOptions {
  readonly data: string
  readonly kubeconfig?: string
  readonly namespace: string
  readonly joinTtl: string
  readonly revoke?: boolean
  readonly output: OutputFormat
}

export async function renew(name: string, options: RenewOptions): Promise<void> {
  const ttlSeconds = parseDuration(options.joinTtl, '--join-ttl')
  const client = await openServer(options)
  try {
    const found = await getVm(client, options.namespace, name)
    const vm = options.revoke === true ? await replaced(client, found) : found
    printJoinLine(vm, await joinLine(client, vm, { ttlSeconds, now: new Date() }), options)
    if (options.output === 'text')
      process.stderr.write(
        'if it cannot reach this server, stop its agent first: sudo systemctl stop podless-agent\n',
      )
  } finally {
    client.close()
  }
}

/** The same VM under another Secret: every credential stood on the old one. */
async function replaced(client: ServerClient, vm: VmRecord): Promise<VmRecord> {
  const { name, namespace, secretName } = vm
  const path = objectPath('secrets', secretName, namespace)
  const annotations = (await client.get(path))?.metadata.annotations ?? {}
  await client.delete(path)
  const body = vmSecret({ name, namespace, annotations })
  const made = vmRecord(await client.create(objectPath('secrets', '', namespace), body))
  if (made !== undefined) return made
  throw new CliError(EXIT.internal, `the VM ${name} could not be made anew; podless vm add it`)
}
