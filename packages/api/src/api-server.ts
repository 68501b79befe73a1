// The composition of a running API server: storage in, an address to connect to out. Called by the cli and test/harness.
// Reads top to bottom in the order things start.

import { randomInt } from 'node:crypto'
import type { GroupVersionResource, KubeObject } from '@podless/apimachinery'
import { type Issuer, issuedByOneOf, type ServiceAccountTokens, serialOf } from '@podless/identity'
import {
  type Backend,
  type Cacher,
  createStorage,
  openCacher,
  type Storage,
} from '@podless/storage'
import { AdmissionChain } from './admission/chain.ts'
import { defaultingSteps } from './admission/defaulting-steps.ts'
import { mutatingPolicyStep } from './admission/mutating-policy.ts'
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts'
import { resourceQuota } from './admission/resource-quota.ts'
import type { ServiceReader } from './admission/service-resolver.ts'
import { terminatingCrdStep } from './admission/terminating-crd.ts'
import { validatingPolicyStep } from './admission/validating-policy.ts'
import { webhookStep } from './admission/webhook.ts'
import { WebhookClient } from './admission/webhook-client.ts'
import { ApiServices } from './aggregation/api-services.ts'
import { ExtensionProxy } from './aggregation/extension-proxy.ts'
import { ExtensionServers } from './aggregation/extension-servers.ts'
import { FrontProxyCertificate } from './aggregation/front-proxy.ts'
import { ClusterIpAllocator } from './allocation/service-addresses.ts'
import { Audit, type AuditOptions } from './audit/audit.ts'
import { type Authenticator, createAuthenticator, createTokenService } from './auth/authenticate.ts'
import { RbacAuthorizer } from './auth/authorize.ts'
import { BootstrapTokens } from './auth/bootstrap-token.ts'
import type { JwtAuthenticators } from './auth/jwt-authenticators.ts'
import { bootstrap } from './bootstrap.ts'
import type { ServerConfig } from './config.ts'
import { startKubernetesEndpoints } from './controllers/kubernetes-endpoints.ts'
import type { Loop } from './controllers/loop.ts'
import { Objects } from './controllers/objects.ts'
import { startAggregation, startLoops, startTrustLoops } from './controllers/start-loops.ts'
import { Discovery } from './discovery/discovery.ts'
import { OpenApi } from './discovery/openapi.ts'
import { ServedGroups } from './discovery/served-groups.ts'
import { feed } from './feed.ts'
import { type ChainState, handle } from './handler-chain.ts'
import type { Log } from './log.ts'
import { normalizeObject } from './objects/decode.ts'
import { decodeStored, keyOf } from './objects/stored-form.ts'
import { Health } from './pages/health.ts'
import { Metrics } from './pages/metrics.ts'
import { Pages } from './pages/pages.ts'
import { Registry } from './registry.ts'
import { UserConnections } from './request/user-connections.ts'
import { UserLimits } from './request/user-limits.ts'
import type { Resource, Services } from './resource.ts'
import { builtinResources } from './resources/index.ts'
import type { Connection } from './serving/exchange.ts'
import { type Listener, listen, type TlsMaterial } from './serving/server.ts'
import { removedVmStep } from './vm/removed-vm.ts'
import { withVmTokens } from './vm/vm-authenticator.ts'
import { vmCertificateProblem } from './vm/vm-certificate.ts'
import { VmPages } from './vm/vm-pages.ts'
import { vmSecretName } from './vm/vm-record.ts'

export interface ApiServerOptions {
  readonly config: ServerConfig
  readonly backend: Backend
  readonly tls: TlsMaterial
  /** PEM that clients verify the server with; published as kube-root-ca.crt. */
  readonly rootCa: () => string
  /** Serial numbers (upper-case hex) of client certificates that are refused. */
  readonly isRevoked?: (serial: string) => boolean
  readonly tokens: ServiceAccountTokens
  /** Issuers of tokens besides this server, and paths for requests without any; default: none, and all. */
  readonly issuers?: JwtAuthenticators
  /** Signs approved certificate requests; without it they wait. */
  readonly issuer?: () => Issuer
  readonly log: Log
  /** Nothing is audited without it. */
  readonly audit?: Pick<AuditOptions, 'policy' | 'write'>
  readonly now: () => Date
  /** The cache's view can no longer be trusted: the process has to end. */
  readonly onFatal: (error: unknown) => void
}

export interface ApiServer {
  readonly port: number
  readonly address: string
  /** HOST:PORT as clients reach it. */
  readonly advertised: string
  readonly storage: Storage
  readonly registry: Registry
  readonly metrics: Metrics
  /**
   * Takes up new certificates: what `rootCa` and `isRevoked` answer by now, and this for new connections. Open ones end
   * whose certificate is of none of its authorities, or revoked.
   */
  reloadTrust(tls: TlsMaterial): void
  close(graceMs: number): Promise<void>
}

/**
 * Listens, opens the cache and starts the loops. Resolves when /readyz answers ok; requests that come before wait for
 * that. Rejects with the socket's error (EADDRINUSE, EACCES) before the store is touched.
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { config, log } = options
  const served = Promise.withResolvers<ChainState>()
  let chain: ChainState | undefined
  const listener = await listen({
    bind: config.bind,
    port: config.port,
    tls: options.tls,
    connectionsPerAddressMax: config.maxConnectionsPerAddress,
    admits: connection => chain === undefined || admitsHolder(chain, connection),
    handle: async request => await handle(await served.promise, request),
    onClientError: error => log.debug('client connection failed', { why: error.message }),
    onAnswerError: error => log.error('an answer could not be written', error),
  })
  const behind: Behind = { loops: [] }
  try {
    return await startBehind(options, listener, behind, state => {
      chain = state
      served.resolve(state)
    })
  } catch (error) {
    served.promise.catch(() => undefined)
    served.reject(error)
    await listener.close(0)
    await stopBehind(behind)
    throw error
  }
}

/** A connection counts for the user of its certificate from the handshake on, and of any other once a request told them. */
function admitsHolder({ authenticator, connections }: ChainState, connection: Connection): boolean {
  const user = authenticator.holder(connection.peer)
  return user === undefined || connections.admits(connection, user)
}

/** What has been started so far, so that a start that fails leaves nothing running. */
interface Behind {
  loops: readonly Pick<Loop, 'idle' | 'close'>[]
  storage?: Storage
}

async function stopBehind({ loops, storage }: Behind): Promise<void> {
  await Promise.all(loops.map(loop => loop.close()))
  await storage?.close()
}

/** Everything behind the listener, in the order it starts. */
async function startBehind(
  options: ApiServerOptions,
  listener: Listener,
  behind: Behind,
  serve: (state: ChainState) => void,
): Promise<ApiServer> {
  const { config, backend, log, now, onFatal } = options
  const cacher = await openCacher(backend, { now: () => performance.now(), onFatal })
  const storage = createStorage(backend, cacher)
  behind.storage = storage
  const registry = new Registry()
  registry.replace('', builtinResources())
  const objects = new Objects({ storage, registry, now })
  const clients = clientsOf(options, objects, registry)
  const views = openViews(options, cacher, registry)

  const advertised = (): string => config.advertise ?? `${reachable(config.bind)}:${listener.port}`
  const metrics = new Metrics()
  const started = { ready: false }
  const core = { storage, cacher, registry, metrics, objects, advertised, started }
  const state = chainState({ ...options, ...views, ...clients, ...core })

  await bootstrap({
    objects,
    serverAddress: views.addresses.serverAddress,
    serviceRange: views.addresses.range,
    port: listener.port,
  })
  const trusted = { clientCa: options.tls.clientCa, signs: options.issuer !== undefined }
  const trusting = startTrustLoops({ ...options, objects, registry, trusted })
  const endpoints = startKubernetesEndpoints({ objects, advertised: advertised(), log })
  const loops = [
    ...startLoops({ ...options, ...clients, objects, registry }),
    ...trusting,
    endpoints,
  ]
  behind.loops = loops
  // Everything stored before this start is served before the first client connects.
  await Promise.all(loops.map(loop => loop.idle()))
  const aggregation = startAggregation({ ...options, ...clients, ...views, objects, registry })
  behind.loops = [...loops, ...aggregation]
  serve(state)
  started.ready = true
  observe(metrics, cacher, state.connections)
  return {
    port: listener.port,
    address: listener.address,
    advertised: advertised(),
    storage,
    registry,
    metrics,
    reloadTrust: tls => {
      listener.replaceTls(tls)
      cutUntrusted(listener, tls, options)
      trusted.clientCa = tls.clientCa
      for (const loop of trusting) loop.resync()
    },
    close: async graceMs => {
      started.ready = false
      // Before it is gone: nobody is to be sent here any more.
      await endpoints.close()
      await listener.close(graceMs)
      await stopBehind(behind)
      clients.servers.close()
    },
  }
}

/** What requests are decided by besides the objects themselves, kept equal to the cache. */
interface Views {
  readonly addresses: ClusterIpAllocator
  readonly authorizer: RbacAuthorizer
  readonly apiServices: ApiServices
}

function openViews(
  { config, log, onFatal }: ApiServerOptions,
  cacher: Cacher,
  registry: Registry,
): Views {
  const views = {
    addresses: new ClusterIpAllocator(config.serviceClusterIpRange, randomBelow),
    authorizer: new RbacAuthorizer(),
    apiServices: new ApiServices(),
  }
  const resourceOf = ({ group, resource }: GroupVersionResource): Resource =>
    registry.builtin(group, resource)
  feed({ cacher, resourceOf, ...views, log, onFatal })
  return views
}

/** An open connection is asked no more who signed its certificate; whoever may, comes back. */
function cutUntrusted(
  listener: Listener,
  { clientCa }: TlsMaterial,
  { isRevoked }: ApiServerOptions,
): void {
  const isOurs = issuedByOneOf(clientCa)
  listener.cut(peer => !isOurs(peer) || isRevoked?.(serialOf(peer)) === true)
}

/** A client cannot connect to "any address". */
function reachable(bind: string): string {
  if (bind === '0.0.0.0' || bind === '::') return '127.0.0.1'
  return bind.includes(':') ? `[${bind}]` : bind
}

interface Parts extends ApiServerOptions, Views, Clients {
  readonly storage: Storage
  readonly cacher: Cacher
  readonly registry: Registry
  readonly metrics: Metrics
  readonly objects: Objects
  readonly advertised: () => string
  readonly started: { readonly ready: boolean }
}

function chainState(parts: Parts): ChainState {
  const { config, storage, cacher, registry, authorizer, metrics, log, now, addresses } = parts
  const services = servicesOf(parts)
  const groups = new ServedGroups(registry, parts.apiServices)
  const discovery = new Discovery(groups, parts.advertised)
  const health = new Health([
    { name: 'ping', pages: ['healthz', 'livez', 'readyz'], check: () => undefined },
    { name: 'log', pages: ['healthz', 'livez', 'readyz'], check: () => undefined },
    { name: 'etcd', pages: ['healthz', 'livez', 'readyz'], check: () => undefined },
    {
      name: 'informer-sync',
      pages: ['readyz'],
      check: () => (parts.started.ready ? undefined : 'not started yet'),
    },
  ])
  const issuer = {
    configuration: () =>
      JSON.stringify(
        parts.tokens.openidConfiguration(`https://${parts.advertised()}/openid/v1/jwks`),
      ),
    jwks: () => JSON.stringify(parts.tokens.jwks()),
  }
  return {
    config,
    storage,
    cacher,
    registry,
    admission: admissionOf(parts),
    services: { ...services, serviceAddresses: addresses, authorizer },
    log,
    metrics,
    now,
    random: randomBelow,
    authenticator: authenticatorOf(parts, services.tokens),
    audit: auditOf(parts),
    limits: new UserLimits({
      requestsMax: config.maxRequestsPerUser,
      watchesMax: config.maxWatchesPerUser,
    }),
    proxy: new ExtensionProxy(parts.apiServices, parts.servers),
    connections: new UserConnections(config.maxConnectionsPerUser),
    pages: new Pages({
      discovery,
      openApi: new OpenApi(groups, parts.apiServices),
      health,
      metrics,
      issuer,
      vms: new VmPages({
        services,
        objects: parts.objects,
        secrets: registry.builtin('', 'secrets'),
        get rootCa() {
          return parts.rootCa()
        },
        now,
      }),
    }),
  }
}

function auditOf({ audit, registry, now }: Parts): Audit | undefined {
  if (audit === undefined) return undefined
  return new Audit({
    ...audit,
    now,
    kindOf: info => {
      const resource = registry.lookup(info)
      return resource === undefined ? undefined : { ...info, kind: resource.names.kind }
    },
  })
}

function authenticatorOf(
  { config, log, now, tokens, issuers, isRevoked, objects, registry }: Parts,
  service: ReturnType<typeof createTokenService>,
): Authenticator {
  const secrets = registry.builtin('', 'secrets')
  const inner = createAuthenticator({
    tokens: service,
    allowsAnonymous: path => config.anonymous && (issuers?.allowsAnonymous(path) ?? true),
    ...(isRevoked === undefined ? {} : { isRevoked }),
    problemOf: user =>
      vmCertificateProblem(user, (namespace, name) => objects.get(secrets, namespace, name)),
    onFailure: reason => log.debug('authentication failed', { reason }),
    now,
  })
  return withVmTokens(inner, { tokens, check: service.check })
}

function servicesOf({
  tokens,
  issuers,
  objects,
  registry,
  authorizer,
  addresses,
  now,
}: Parts): Services & { tokens: ReturnType<typeof createTokenService> } {
  const resourceOf = (gvr: GroupVersionResource): Resource | undefined => registry.lookup(gvr)
  const lookup: Services['lookup'] = (gvr, namespace, name) => {
    const resource = resourceOf(gvr)
    return resource === undefined ? undefined : objects.get(resource, namespace, name)
  }
  return {
    lookup,
    *list(gvr, namespace) {
      const resource = resourceOf(gvr)
      if (resource !== undefined) yield* objects.list(resource, namespace)
    },
    tokens: createTokenService({
      tokens,
      lookup,
      now,
      others: [
        new BootstrapTokens({ objects, secrets: registry.builtin('', 'secrets'), now }),
        ...(issuers === undefined ? [] : [issuers]),
      ],
    }),
    authorizer,
    serviceAddresses: addresses,
  }
}

/** What this server asks other ones by. */
interface Clients {
  readonly reader: ServiceReader
  /** Of admission and conversion. */
  readonly webhooks: WebhookClient
  readonly servers: ExtensionServers
}

function clientsOf(options: ApiServerOptions, objects: Objects, registry: Registry): Clients {
  const { serviceResolver: resolver } = options.config
  const reader = serviceReader(objects, registry)
  const frontProxy = new FrontProxyCertificate(options)
  const certificate = () => frontProxy.current()
  return {
    reader,
    webhooks: new WebhookClient(resolver, reader),
    servers: new ExtensionServers({ resolver, reader, certificate }),
  }
}

/** What says where the Services of webhooks and extension servers can be reached. */
function serviceReader(objects: Objects, registry: Registry): ServiceReader {
  const slices = registry.builtin('discovery.k8s.io', 'endpointslices')
  return {
    service: (namespace, name) => objects.get(registry.builtin('', 'services'), namespace, name),
    endpointSlices: namespace => objects.list(slices, namespace),
    endpoints: (namespace, name) => objects.get(registry.builtin('', 'endpoints'), namespace, name),
  }
}

function admissionOf({
  storage,
  objects,
  registry,
  authorizer,
  webhooks: client,
  log,
}: Parts): AdmissionChain {
  const webhooks = (resource: string): Resource =>
    registry.builtin('admissionregistration.k8s.io', resource)
  const kinds = {
    mutating: webhooks('mutatingwebhookconfigurations'),
    validating: webhooks('validatingwebhookconfigurations'),
  }
  const namespaces = registry.builtin('', 'namespaces')
  const cached = (name: string): KubeObject | undefined => objects.getShared(namespaces, '', name)
  const stored = async (name: string): Promise<KubeObject | undefined> => {
    const found = await storage.get(keyOf(namespaces, '', name))
    return found === undefined ? undefined : decodeStored(found, namespaces)
  }
  const reader = { cached, stored }
  const policies = (kind: 'mutating' | 'validating') => ({
    registry,
    policies: () => objects.listShared(webhooks(`${kind}admissionpolicies`)),
    bindings: () => objects.listShared(webhooks(`${kind}admissionpolicybindings`)),
    namespace: cached,
    get: (resource: Resource, namespace: string, name: string) =>
      objects.get(resource, namespace, name),
    list: (resource: Resource, namespace: string) => objects.list(resource, namespace),
    authorizer,
  })
  return new AdmissionChain([
    terminatingCrdStep,
    namespaceLifecycle(reader),
    ...defaultingSteps(objects, (group, resource) => registry.builtin(group, resource), reader),
    mutatingPolicyStep(policies('mutating')),
    validatingPolicyStep(policies('validating')),
    webhookStep({
      client,
      registry,
      configurations: kind => objects.listShared(kinds[kind]),
      namespaceLabels: name => (name === '' ? undefined : cached(name)?.metadata.labels),
      normalize: normalizeObject,
      authorizer,
      log,
    }),
    removedVmStep(
      (namespace, vm) =>
        objects.get(registry.builtin('', 'secrets'), namespace, vmSecretName(vm)) !== undefined,
    ),
    resourceQuota(objects, registry.builtin('', 'resourcequotas')),
  ])
}

function observe(metrics: Metrics, cacher: Cacher, connections: UserConnections): void {
  metrics.gauge('process_resident_memory_bytes', () => process.memoryUsage.rss())
  metrics.gauge('apiserver_storage_revision', () => cacher.revision)
  metrics.gauge('apiserver_storage_objects', () => cacher.count('/registry/'))
  metrics.gauge('podless_user_connections', () => connections.open)
  metrics.counter('podless_user_connections_refused_total', () => connections.refused)
}

/** Integers in [0, below), for names. */
const randomBelow = (below: number): number => randomInt(below)
