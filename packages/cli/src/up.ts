// podless up: opens the store and the keys, starts the API server, and ends it cleanly on SIGTERM or SIGINT.
// Calls identity for keys, storage for the engine, api for the server.

import { chmod, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import {
  type ApiServer,
  createLog,
  type LogLevel,
  type ServerConfig,
  serverConfigSchema,
  startApiServer,
} from '@podless/api'
import { createClientCertificate, kubeconfig, type Pki } from '@podless/identity'
import type { Backend } from '@podless/storage'
import { type AuditLog, type AuditLogOptions, openAuditLog } from './audit-log.ts'
import { type Issuers, openIssuers } from './authentication-config.ts'
import { openEncryptionKeys, withEncryption } from './encryption-keys.ts'
import { CliError, EXIT } from './exit.ts'
import { collectWhenIdle } from './idle-memory.ts'
import { explain, explained, openStore, type StoreOptions } from './open-store.ts'
import { makeDataFolder } from './own-folder.ts'
import { followTrust, openTrust, type Trust } from './trust.ts'

export interface UpOptions extends AuditLogOptions, StoreOptions {
  readonly data: string
  readonly bind: string
  readonly port: string
  readonly advertise?: string
  readonly authenticationConfig?: string
  readonly encryptionKeyFile?: string
  readonly serviceClusterIpRange: string
  readonly serviceResolver?: readonly string[]
  readonly maxRequestsPerUser: string
  readonly maxWatchesPerUser: string
  readonly maxConnectionsPerAddress: string
  readonly maxConnectionsPerUser: string
  readonly logLevel: LogLevel
}

/** Open requests get this long after SIGTERM before their connections are cut. */
const DRAIN_MS = 10_000
const SIGNALS = ['SIGINT', 'SIGTERM'] as const
/** Ref: apiserver/pkg/server/options/encryptionconfig/metrics/metrics.go */
const KEY_RELOADS =
  'apiserver_encryption_config_controller_automatic_reloads_total{status="success"}'
const ADMIN_TTL_SECONDS = 365 * 86_400

export async function up(options: UpOptions): Promise<void> {
  const started = performance.now()
  const now = (): Date => new Date()
  const config = configOf(options)
  const log = createLog({ write: line => process.stderr.write(line), level: options.logLevel, now })
  const data = resolve(options.data)
  const issuers = await openIssuers(options.authenticationConfig, { log, now })
  const audit = await openAuditLog(options, log)
  await makeDataFolder(data)
  const trust = await explained(() => openTrust({ data, names: servingNamesOf(config), now }))
  const keys = await openEncryptionKeys(options.encryptionKeyFile, log)
  const backend = withEncryption(await openStore(options, data), keys)
  const stop = Promise.withResolvers<NodeJS.Signals | { fatal: unknown }>()
  for (const signal of SIGNALS) process.once(signal, stop.resolve)
  const server = await start({
    config,
    trust,
    issuers,
    backend,
    log,
    audit,
    now,
    onFatal: fatal => stop.resolve({ fatal }),
  })
  await writeAdminKubeconfig(data, trust.pki, server, now())
  const stopFollowing = [
    issuers?.follow(),
    keys.follow(),
    followTrust({
      trust,
      server,
      log,
      onReload: () => writeAdminKubeconfig(data, trust.pki, server, now()),
    }),
  ]
  server.metrics.counter(KEY_RELOADS, () => keys.reloads)
  const elapsed = Math.round(performance.now() - started)
  process.stdout.write(
    `podless: ready on https://${server.advertised} in ${elapsed} ms; export KUBECONFIG=${join(data, 'admin.kubeconfig')}\n`,
  )
  collectWhenIdle(() => server.metrics.requests)
  const reason = await stop.promise
  for (const stopOne of stopFollowing) stopOne?.()
  await server.close(DRAIN_MS)
  await backend.close()
  await audit?.file.close()
  if (typeof reason === 'string') return
  const { fatal } = reason
  throw new CliError(
    EXIT.internal,
    `the store's feed broke and what the cache shows can no longer be trusted: ${messageOf(fatal)}`,
    { cause: fatal },
  )
}

function configOf(options: UpOptions): ServerConfig {
  const parsed = serverConfigSchema.safeParse({
    bind: options.bind,
    port: numberOf(options.port),
    ...(options.advertise === undefined ? {} : { advertise: options.advertise }),
    serviceClusterIpRange: options.serviceClusterIpRange,
    serviceResolver: resolverOf(options.serviceResolver ?? []),
    maxRequestsPerUser: numberOf(options.maxRequestsPerUser),
    maxWatchesPerUser: numberOf(options.maxWatchesPerUser),
    maxConnectionsPerAddress: numberOf(options.maxConnectionsPerAddress),
    maxConnectionsPerUser: numberOf(options.maxConnectionsPerUser),
  })
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const flag = String(issue?.path[0] ?? '').replaceAll(
    /[A-Z]/g,
    letter => `-${letter.toLowerCase()}`,
  )
  throw new CliError(EXIT.usage, `--${flag}: ${issue?.message ?? 'not valid'}`)
}

/** Anything else is left for the schema to refuse. */
const numberOf = (text: string): number | string => (/^\d+$/.test(text) ? Number(text) : text)

function resolverOf(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map(entry => {
      const [, service, address] = /^([^.=]+\.[^.=]+)=(.+)$/.exec(entry) ?? []
      if (service !== undefined && address !== undefined) return [service, address]
      throw new CliError(
        EXIT.usage,
        `--service-resolver ${JSON.stringify(entry)}: write it as NAME.NAMESPACE=HOST:PORT`,
      )
    }),
  )
}

interface StartOptions {
  readonly config: ServerConfig
  readonly trust: Trust
  readonly issuers: Issuers | undefined
  readonly backend: Backend
  readonly log: ReturnType<typeof createLog>
  readonly audit: AuditLog | undefined
  readonly now: () => Date
  readonly onFatal: (error: unknown) => void
}

async function start({
  config,
  trust,
  issuers,
  backend,
  log,
  audit,
  now,
  onFatal,
}: StartOptions): Promise<ApiServer> {
  try {
    return await startApiServer({
      config,
      backend,
      tls: trust.tls,
      rootCa: () => trust.pki.bundle,
      isRevoked: serial => trust.isRevoked(serial),
      tokens: trust.tokens,
      ...(issuers === undefined ? {} : { issuers: issuers.authenticators }),
      issuer: () => trust.pki.authority,
      log,
      ...(audit === undefined
        ? {}
        : { audit: { policy: audit.policy, write: line => audit.file.write(line) } }),
      now,
      onFatal,
    })
  } catch (error) {
    // A start that failed ends at the first signal, whatever still hangs.
    for (const signal of SIGNALS) process.removeAllListeners(signal)
    await backend.close()
    throw listenError(error, config)
  }
}

/** Names and addresses that clients may use besides the fixed ones. */
function servingNamesOf({ bind, advertise }: ServerConfig): string[] {
  const advertised = advertise?.replace(/:\d+$/, '')
  const any = bind === '0.0.0.0' || bind === '::'
  return [...(any ? [hostname()] : [bind]), ...(advertised === undefined ? [] : [advertised])]
}

function listenError(error: unknown, { bind, port }: ServerConfig): unknown {
  const { code } = error as NodeJS.ErrnoException
  const place = isIP(bind) === 6 ? `[${bind}]:${port}` : `${bind}:${port}`
  if (code === 'EADDRINUSE') {
    return new CliError(
      EXIT.cannotCreate,
      `${place} is taken by another program; stop it, or choose another port with --port (0 for a free one)`,
    )
  }
  if (code === 'EACCES')
    return new CliError(
      EXIT.cannotCreate,
      `this user may not listen on ${place}; choose a port above 1023 with --port`,
    )
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new CliError(
      EXIT.cannotCreate,
      `${bind} is no address of this machine; choose another with --bind (0.0.0.0 for all)`,
    )
  }
  return explain(error)
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

async function writeAdminKubeconfig(
  data: string,
  pki: Pki,
  server: ApiServer,
  now: Date,
): Promise<void> {
  const made = createClientCertificate(pki.authority, {
    user: 'kubernetes-admin',
    groups: ['system:masters'],
    now,
    ttlSeconds: ADMIN_TTL_SECONDS,
  })
  const text = kubeconfig({
    name: 'podless',
    server: `https://${server.advertised}`,
    ca: pki.bundle,
    user: { certificate: made.certificate, key: made.key },
  })
  const path = join(data, 'admin.kubeconfig')
  await writeFile(path, text, { mode: 0o600 })
  await chmod(path, 0o600)
}
