// Limits and timeouts of the server, each with the reason for its size. cli fills a ServerConfig; zod checks it here.

import * as z from 'zod/mini'

/** apiserver's DefaultLimitedSize: 3 MiB, twice etcd's 1.5 MiB with room for the JSON around it. */
export const BODY_BYTES_MAX = 3 * 1024 * 1024
/** Of one HTTP/1.1 request: as Go's net/http. HTTP/2 ends at Node's 64 KiB. */
export const HEADER_BYTES_MAX = 1024 * 1024
/** A request that is no watch ends after this long. Ref: apiserver/pkg/server/config.go RequestTimeout */
export const REQUEST_TIMEOUT_MS = 60_000
/** A watch without timeoutSeconds ends at a random time in [1, 2) times this. Ref: MinRequestTimeout 1800 s */
export const WATCH_TIMEOUT_MIN_MS = 1_800_000
/** How often an open watch that asked for bookmarks gets one. */
export const BOOKMARK_INTERVAL_MS = 60_000
/** How long before its timeout a watch gets its last bookmark. */
export const LAST_BOOKMARK_MS = 2_000
/** A watcher may lag by this much before it is cut: clients resume from their last event. */
export const WATCH_QUEUE_BYTES_MAX = 16 * 1024 * 1024
/** Streams of one HTTP/2 connection: istiod opens about 40 watches, a busy operator some hundreds. */
export const CONCURRENT_STREAMS_MAX = 1_000
/** The kernel's accept queue: istiod opens some 30 connections at once. */
export const LISTEN_BACKLOG = 511

const HOST_PORT = /^[^:/\s]+(:(\d{1,5}))?$/
/** As ClusterIpAllocator takes it. */
const SERVICE_RANGE = /^((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!\/)|(?=\/))){4}\/([89]|[12]\d|30)$/
const addressSchema = z.string().check(
  z.refine(text => {
    const match = HOST_PORT.exec(text)
    const port = Number(match?.[2] ?? 1)
    return match !== null && port > 0 && port < 65_536
  }, 'an address is written HOST:PORT'),
)

/** `name.namespace` -> `host:port`, for webhooks whose Service has no address this machine could reach. */
const serviceResolverSchema = z.record(
  z.string().check(z.regex(/^[^.]+\.[^.]+$/, 'a service is written NAME.NAMESPACE')),
  addressSchema,
)
const portSchema = z
  .int('a port is a number')
  .check(z.gte(0), z.lte(65_535, 'a port is at most 65535'))

/** 0: no limit. */
const limitSchema = z.int('a limit is a number, 0 for none').check(z.gte(0))

export const serverConfigSchema = z.object({
  /** Address to listen on. */
  bind: z._default(z.string(), '127.0.0.1'),
  /** 0 takes a free port. */
  port: z._default(portSchema, 6443),
  /** Where clients reach the server, as kubeconfigs and discovery say it; defaults to bind and port. */
  advertise: z.optional(addressSchema),
  serviceClusterIpRange: z._default(
    z.string().check(z.regex(SERVICE_RANGE, 'an IPv4 range from /8 to /30, such as 10.96.0.0/12')),
    '10.96.0.0/12',
  ),
  serviceResolver: z._default(serviceResolverSchema, {}),
  anonymous: z._default(z.boolean(), true),
  /** Requests of one user at once, watches apart: the 400 and 200 that upstream gives all users together. */
  maxRequestsPerUser: z._default(limitSchema, 600),
  /** Open watches of one user: istiod has 60, a fleet that shares one ServiceAccount some hundreds. */
  maxWatchesPerUser: z._default(limitSchema, 2_000),
  /** Connections from one address, which may be a whole fleet's gateway; each holds about 100 KiB. */
  maxConnectionsPerAddress: z._default(limitSchema, 2_000),
  /** Connections of one user: half of an address's, so that no user behind a gateway shuts out the others there. */
  maxConnectionsPerUser: z._default(limitSchema, 1_000),
})
export type ServerConfig = z.infer<typeof serverConfigSchema>
