// Talks to the running server with the credentials in DIR/admin.kubeconfig. Used by commands that need a live server.

import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { parseYaml } from '@podless/apimachinery'
import { CliError, EXIT } from './exit.ts'

export interface AdminAccess {
  readonly server: string
  readonly ca: string
  readonly certificate: string
  readonly key: string
}

interface Kubeconfig {
  readonly clusters: readonly {
    cluster: { server: string; 'certificate-authority-data': string }
  }[]
  readonly users: readonly {
    user: { 'client-certificate-data': string; 'client-key-data': string }
  }[]
}

const decode = (text: string): string => Buffer.from(text, 'base64').toString()

/** Reads the kubeconfig that podless up wrote. */
export async function readAdminAccess(path: string): Promise<AdminAccess> {
  try {
    const config = parseYaml(await readFile(path), { strict: false }).value as unknown as Kubeconfig
    const { cluster } = config.clusters[0]!
    const { user } = config.users[0]!
    return {
      server: cluster.server,
      ca: decode(cluster['certificate-authority-data']),
      certificate: decode(user['client-certificate-data']),
      key: decode(user['client-key-data']),
    }
  } catch (error) {
    throw new CliError(EXIT.data, `${path} cannot be read; podless up writes it`, { cause: error })
  }
}

/** POSTs JSON and returns the answer's JSON, a Status too. Throws a CliError when nobody answers. */
export async function postJson(access: AdminAccess, path: string, body: object): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const bytes = JSON.stringify(body)
  const sent = request(
    new URL(path, access.server),
    {
      method: 'POST',
      ca: access.ca,
      cert: access.certificate,
      key: access.key,
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) },
    },
    response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())))
      response.on('error', reject)
    },
  )
  sent.on('error', error => {
    reject(
      new CliError(
        EXIT.unavailable,
        `no server answers at ${access.server} (${error.message}); start it with podless up`,
        { cause: error },
      ),
    )
  })
  sent.end(bytes)
  return await promise
}
