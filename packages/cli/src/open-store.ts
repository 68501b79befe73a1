// Opens the engine that the store's flags name, and words what goes wrong for a person. Called by up.ts, migrate.ts,
// backup.ts and restore.ts.

import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { PkiError } from '@podless/identity'
import {
  type Backend,
  type EtcdOptions,
  openEmbedded,
  openEtcd,
  StorageError,
} from '@podless/storage'
import { CliError, EXIT } from './exit.ts'
import { readFileOption } from './read-file-option.ts'

export interface StoreOptions {
  readonly store: 'embedded' | 'etcd'
  readonly etcdEndpoints: string
  readonly etcdCafile?: string
  readonly etcdCertfile?: string
  readonly etcdKeyfile?: string
}

/** Where a data folder keeps the embedded store. */
export const storeFolder = (data: string): string => join(data, 'store')

/** `data` holds the embedded store. Throws a CliError when it cannot be opened. */
export async function openStore(options: StoreOptions, data: string): Promise<Backend> {
  return await explained(async () => {
    if (options.store === 'embedded') return await openEmbedded({ directory: storeFolder(data) })
    const endpoints = options.etcdEndpoints
      .split(',')
      .map(text => text.trim())
      .filter(text => text !== '')
    return await openEtcd({ endpoints, ...(await etcdTls(options)) })
  })
}

async function etcdTls(options: StoreOptions): Promise<Pick<EtcdOptions, 'tls'>> {
  const [ca, cert, key] = await Promise.all([
    readFileOption('--etcd-cafile', options.etcdCafile),
    readFileOption('--etcd-certfile', options.etcdCertfile),
    readFileOption('--etcd-keyfile', options.etcdKeyfile),
  ])
  if (ca === undefined) {
    if (cert === undefined && key === undefined) return {}
    throw new CliError(EXIT.usage, '--etcd-certfile and --etcd-keyfile need --etcd-cafile too')
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new CliError(EXIT.usage, '--etcd-certfile and --etcd-keyfile go together')
  }
  checkMaterial({ ca, cert, key })
  return { tls: { ca, ...(cert === undefined || key === undefined ? {} : { cert, key }) } }
}

/** Throws a usage error for files that OpenSSL does not take, before anything is connected to. */
function checkMaterial(material: {
  ca: Buffer
  cert: Buffer | undefined
  key: Buffer | undefined
}): void {
  try {
    createSecureContext(material)
    // The context leaves out an authority that it cannot read, and then trusts nobody.
    new X509Certificate(material.ca)
  } catch (error) {
    throw new CliError(
      EXIT.usage,
      `--etcd-cafile, --etcd-certfile and --etcd-keyfile hold no PEM files that fit together: ${lineOf(error)}`,
      { cause: error },
    )
  }
}

/** What an error says, in one line: OpenSSL's and gRPC's messages have breaks. */
const lineOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, ' ')

/** Runs it; errors whose messages are made for people become CliErrors. */
export async function explained<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw explain(error)
  }
}

const EXIT_OF_STORAGE: Readonly<Record<string, number>> = {
  corrupt: EXIT.data,
  unavailable: EXIT.unavailable,
}

/** The errors whose messages are made for people, as CliErrors; all others as they are. */
export function explain(error: unknown): unknown {
  if (error instanceof PkiError) return new CliError(EXIT.data, lineOf(error), { cause: error })
  if (!(error instanceof StorageError)) return error
  return new CliError(EXIT_OF_STORAGE[error.code] ?? EXIT.internal, lineOf(error), { cause: error })
}
