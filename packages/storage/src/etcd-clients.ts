// The clients that the etcd engine speaks through, one for each endpoint. The one file that loads
// etcd3, and only when an etcd store is opened: those who use none never pay for it. Called by
// etcd.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import type { IOptions } from 'etcd3'
import { StorageError } from './errors.ts'
import type { ClassifyFailure, EtcdConnection, EtcdEndpoint } from './etcd-connection.ts'
import { reasonOf } from './etcd-reason.ts'

/** Where etcd is and who we are to it. */
export interface EtcdAccess {
  /** `http://host:port` or `https://host:port`, all of one scheme. */
  readonly endpoints: readonly string[]
  /** PEM. `ca`: who signs etcd's certificate; `cert` and `key`: this server's own. */
  readonly tls?: { readonly ca: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
  readonly username?: string
  readonly password?: string
}

/** Between two tries to reach an endpoint at the start. */
const RETRY_MS = 200

const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
}

/** Makes the clients; none of them connects yet. */
export async function openClients(options: EtcdAccess) {
  const [library, { noop }] = await Promise.all([import('etcd3'), import('cockatiel')])
  const { username, password = '', tls } = options
  const clientOptions = (address: string): IOptions => ({
    hosts: address,
    grpcOptions: CHANNEL_OPTIONS,
    faultHandling: { host: () => noop, global: noop },
    ...(username !== undefined && { auth: { username, password } }),
    ...(tls !== undefined && {
      credentials: {
        rootCertificate: tls.ca,
        ...(tls.key && { privateKey: tls.key }),
        ...(tls.cert && { certChain: tls.cert }),
      },
    }),
  })
  const endpoints = options.endpoints.map(
    (address): EtcdEndpoint => ({ address, client: new library.Etcd3(clientOptions(address)) }),
  )
  return { endpoints, classify: classifier(library) }
}

function classifier(library: typeof import('etcd3')): ClassifyFailure {
  const refusals = [
    library.EtcdPermissionDeniedError,
    library.EtcdAuthenticationFailedError,
    library.GRPCUnauthenticatedError,
    library.GRPCFailedPreconditionError,
  ]
  return error => {
    if (error instanceof library.GRPCOutOfRangeError) return 'outOfRange'
    if (error instanceof library.GRPCInvalidArgumentError) return 'tooLarge'
    if (error instanceof library.GRPCResourceExhastedError) return 'exhausted'
    if (error instanceof library.EtcdLeaseInvalidError) return 'leaseGone'
    return refusals.some(refusal => error instanceof refusal) ? 'refused' : 'unreachable'
  }
}

/**
 * Waits until any endpoint answers a read that needs a quorum: etcd may be starting at the same
 * time.
 */
export async function reachEtcd(connection: EtcdConnection, deadline: number): Promise<void> {
  const isReached = new AbortController()
  const { signal } = isReached
  try {
    const first = await Promise.any(
      connection.endpoints.map(endpoint => reachOne(connection, endpoint, { deadline, signal })),
    )
    while (connection.endpoint !== first) connection.rotate(connection.endpoint)
  } catch (cause) {
    const reasons = cause instanceof AggregateError ? cause.errors.map(reasonOf) : [reasonOf(cause)]
    throw new StorageError('unavailable', {
      message:
        `etcd cannot be reached at ${connection.addresses}: ${[...new Set(reasons)].join('; ')}. ` +
        'Check that etcd runs there and has a leader, that the address and scheme ' +
        '(http or https) are right, ' +
        'and that the certificates or the password are accepted.',
      cause,
    })
  } finally {
    isReached.abort()
  }
}

/**
 * Tries until the deadline, or until another endpoint has answered; rejects with the first reason,
 * which says more than that time ran out.
 */
async function reachOne(
  connection: EtcdConnection,
  endpoint: EtcdEndpoint,
  { deadline, signal }: { deadline: number; signal: AbortSignal },
): Promise<EtcdEndpoint> {
  const request = { key: Buffer.from('podless'), count_only: true }
  let reason: unknown
  for (;;) {
    try {
      await endpoint.client.kv.range(request, { deadline })
      return endpoint
    } catch (error) {
      reason ??= error
      const isOver = connection.now() + RETRY_MS >= deadline
      if (isOver || connection.classify(error) !== 'unreachable') throw reason
    }
    await sleep(RETRY_MS, undefined, { signal })
  }
}
