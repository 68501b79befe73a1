// The line that a person pastes on a VM: a single-use token, over TLS pinned to this server's key. Used by add.ts and renew.ts.

import { createHash } from 'node:crypto'
import { createJoinToken, JOIN_TOKEN_SECRET_TYPE, VM_LABEL, type VmRecord } from '@podless/api'
import { type OutputFormat, printJson } from '../output.ts'
import { objectPath, type ServerClient } from '../server-client.ts'
import { quoteForShell } from '../shell-quote.ts'

export interface JoinLine {
  readonly line: string
  readonly expires: Date
}

/** Makes a join token for the VM, which takes the place of one not used yet, and the line that uses it. */
export async function joinLine(
  client: ServerClient,
  vm: VmRecord,
  { ttlSeconds, now }: { ttlSeconds: number; now: Date },
): Promise<JoinLine> {
  await deleteJoinTokens(client, vm)
  const expires = new Date(now.getTime() + ttlSeconds * 1000)
  const { token, object } = createJoinToken(vm, expires)
  await client.create(objectPath('secrets', '', vm.namespace), object)
  const pin = await client.publicKeyPin(spki => createHash('sha256').update(spki).digest('base64'))
  const curl = [
    'curl -sSk',
    // The pin is checked whatever else is trusted: -k only leaves out the public CAs, which do not know this server.
    `--pinnedpubkey ${quoteForShell(`sha256//${pin}`)}`,
    `-X POST -H ${quoteForShell(`Authorization: Bearer ${token}`)}`,
    quoteForShell(`${vm.server}/podless/v1/join`),
  ].join(' ')
  // The whole script is there before any of it runs, and a refusal is a script that says why.
  const line = `s=$(${curl}) && printf '%s\\n' "$s" | $(command -v sudo) sh -s --`
  return { line, expires }
}

/** Deletes the VM's join tokens that nobody has used. */
export async function deleteJoinTokens(
  client: ServerClient,
  { name, namespace }: Pick<VmRecord, 'name' | 'namespace'>,
): Promise<void> {
  const selector = encodeURIComponent(`${VM_LABEL}=${name}`)
  const path = objectPath('secrets', '', namespace)
  const secrets = await client.list(`${path}?labelSelector=${selector}`)
  for (const { metadata, type } of secrets) {
    if (type === JOIN_TOKEN_SECRET_TYPE)
      await client.delete(objectPath('secrets', metadata.name, namespace))
  }
}

/** Data goes to stdout, what to do with it to stderr, so that the line can be piped. */
export function printJoinLine(
  vm: VmRecord,
  { line, expires }: JoinLine,
  options: { output: OutputFormat; joinTtl: string },
): void {
  if (options.output === 'json') {
    const { group, name, namespace } = vm
    printJson({ name, namespace, group, line, expires: expires.toISOString() })
    return
  }
  if (isLoopback(vm.server))
    process.stderr.write(
      `note: only this machine reaches ${vm.server}; for other VMs start podless up --bind 0.0.0.0 --advertise HOST:PORT\n`,
    )
  process.stderr.write(
    `paste this line into a shell on ${vm.name}; it works once, within ${options.joinTtl}:\n`,
  )
  process.stdout.write(`${line}\n`)
}

const isLoopback = (url: string): boolean =>
  /^(?:127\.|localhost$|\[::1\]$)/.test(new URL(url).hostname)
