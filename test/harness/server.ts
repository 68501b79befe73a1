// Starts a real server in this process for tests: real TLS, real storage, in a folder of its own. Used by test/*.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type ApiServer,
  type ApiServerOptions,
  createLog,
  type ServerConfig,
  serverConfigSchema,
  startApiServer,
} from '../../packages/api/src/index.ts'
import {
  createClientCertificate,
  kubeconfig,
  openPki,
  openServingCertificate,
  type Pki,
  ServiceAccountTokens,
} from '../../packages/identity/src/index.ts'
import type { Backend } from '../../packages/storage/src/index.ts'
import { openMemory } from '../../packages/storage/src/testing/index.ts'

export interface TestServer {
  readonly url: string
  readonly server: ApiServer
  /** Holds admin.kubeconfig; gone after close. */
  readonly directory: string
  /** Path of a kubeconfig in group system:masters. */
  readonly kubeconfig: string
  readonly ca: string
  readonly pki: Pki
  readonly admin: { readonly certificate: string; readonly key: string }
  /** Path of a kubeconfig for any user. */
  kubeconfigFor(user: string, groups?: readonly string[]): Promise<string>
  close(): Promise<void>
}

export interface StartOptions {
  /** Default: a store in memory. */
  readonly backend?: Backend
  readonly port?: number
  readonly serviceResolver?: Record<string, string>
  /** Any other setting. */
  readonly config?: Partial<ServerConfig>
  readonly audit?: ApiServerOptions['audit']
  readonly isRevoked?: ApiServerOptions['isRevoked']
  readonly issuers?: ApiServerOptions['issuers']
  /** Takes the log's lines, at level debug; default: warnings go to stderr. */
  readonly log?: (line: string) => void
}

const DAY_SECONDS = 86_400

/** Starts a server on a free loopback port. */
export async function startServer(options: StartOptions = {}): Promise<TestServer> {
  const now = (): Date => new Date()
  const directory = await mkdtemp(join(tmpdir(), 'podless-test-'))
  const pki = await openPki(directory, { now: now(), tokenAlgorithm: 'ES256' })
  const serving = await openServingCertificate(pki, { names: [], now: now() })
  const ca = pki.authority.certificate
  const server = await startApiServer({
    config: serverConfigSchema.parse({
      port: options.port ?? 0,
      serviceResolver: options.serviceResolver ?? {},
      ...options.config,
    }),
    backend: options.backend ?? openMemory(),
    tls: { key: serving.key, cert: serving.certificate, clientCa: ca },
    rootCa: () => ca,
    ...(options.isRevoked === undefined ? {} : { isRevoked: options.isRevoked }),
    ...(options.issuers === undefined ? {} : { issuers: options.issuers }),
    tokens: new ServiceAccountTokens({ key: pki.tokenKey, now }),
    issuer: () => pki.authority,
    log: createLog({
      write: options.log ?? (line => process.stderr.write(line)),
      level: options.log === undefined ? 'warn' : 'debug',
      now,
    }),
    ...(options.audit === undefined ? {} : { audit: options.audit }),
    now,
    onFatal: error => {
      throw error
    },
  })
  const url = `https://${server.advertised}`
  const admin = credentials(pki, 'kubernetes-admin', ['system:masters'])
  const write = async (
    name: string,
    user: { certificate: string; key: string },
  ): Promise<string> => {
    const path = join(directory, `${name}.kubeconfig`)
    await writeFile(path, kubeconfig({ name, server: url, ca, user }), { mode: 0o600 })
    return path
  }
  return {
    url,
    server,
    directory,
    kubeconfig: await write('admin', admin),
    ca,
    pki,
    admin,
    kubeconfigFor: (user, groups = []) =>
      write(user.replaceAll(':', '_'), credentials(pki, user, groups)),
    close: async () => {
      await server.close(1000)
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function credentials(
  pki: Pki,
  user: string,
  groups: readonly string[],
): { certificate: string; key: string } {
  return createClientCertificate(pki.authority, {
    user,
    groups,
    now: new Date(),
    ttlSeconds: DAY_SECONDS,
  })
}
