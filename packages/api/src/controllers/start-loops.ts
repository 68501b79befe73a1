// The loops that bring the world in line with what is stored. Started by api-server.ts before the first request is served.

import type { Issuer, ServiceAccountTokens } from '@podless/identity'
import type { WebhookClient } from '../admission/webhook-client.ts'
import { startAuthenticationInfo, type TrustedBy } from '../aggregation/front-proxy.ts'
import { startLocalServices } from '../aggregation/local-services.ts'
import { type RemoteServicesOptions, startRemoteServices } from '../aggregation/remote-services.ts'
import type { Log } from '../log.ts'
import type { Registry } from '../registry.ts'
import { startBootstrapTokenCleaner } from './bootstrap-token-cleaner.ts'
import { startCertificateRequestCleaner } from './certificate-request-cleaner.ts'
import { startCertificateSigner } from './certificate-signer.ts'
import { startCrdController } from './crd.ts'
import { startFlowSchemaStatus } from './flow-schema-status.ts'
import { startGarbageCollector } from './garbage-collector.ts'
import type { Loop } from './loop.ts'
import { startNamespaceController } from './namespace.ts'
import type { Objects } from './objects.ts'
import { startResourceQuotas } from './resource-quota.ts'
import { startRoleAggregation } from './role-aggregation.ts'
import { startServiceAccountTokens } from './service-account-token.ts'

interface LoopParts {
  readonly objects: Objects
  readonly registry: Registry
  readonly log: Log
}

/** All but the trust loops. Without an issuer approved certificate requests wait. */
export function startLoops({
  objects,
  registry,
  webhooks,
  issuer,
  log,
}: LoopParts & {
  readonly webhooks: WebhookClient
  readonly issuer?: () => Issuer
}): Loop[] {
  const requests = registry.builtin('certificates.k8s.io', 'certificatesigningrequests')
  const secrets = registry.builtin('', 'secrets')
  return [
    startCrdController(
      objects,
      registry.builtin('apiextensions.k8s.io', 'customresourcedefinitions'),
      webhooks,
      log,
    ),
    startRoleAggregation(
      objects,
      registry.builtin('rbac.authorization.k8s.io', 'clusterroles'),
      log,
    ),
    ...(issuer === undefined
      ? []
      : [startCertificateSigner({ objects, requests, secrets, issuer, log })]),
    startCertificateRequestCleaner({ objects, requests, log }),
    startBootstrapTokenCleaner({ objects, secrets, log }),
    startFlowSchemaStatus({
      objects,
      flowSchemas: registry.builtin('flowcontrol.apiserver.k8s.io', 'flowschemas'),
      priorityLevels: registry.builtin(
        'flowcontrol.apiserver.k8s.io',
        'prioritylevelconfigurations',
      ),
      log,
    }),
    startResourceQuotas(objects, registry.builtin('', 'resourcequotas'), log),
    startGarbageCollector(objects, log),
  ]
}

/** The loops that write certificates into objects: to be resynced when those change. */
export function startTrustLoops({
  objects,
  registry,
  rootCa,
  tokens,
  log,
  trusted,
}: LoopParts & {
  readonly rootCa: () => string
  readonly tokens: ServiceAccountTokens
  readonly trusted: TrustedBy
}): Loop[] {
  const [configMaps, namespaces, secrets, serviceAccounts] = [
    registry.builtin('', 'configmaps'),
    registry.builtin('', 'namespaces'),
    registry.builtin('', 'secrets'),
    registry.builtin('', 'serviceaccounts'),
  ]
  return [
    startNamespaceController({ objects, namespaces, serviceAccounts, configMaps, rootCa, log }),
    startServiceAccountTokens({ objects, secrets, serviceAccounts, tokens, rootCa, log }),
    startAuthenticationInfo({ trusted, objects, configMaps, log }),
  ]
}

/** The loops that keep APIServices. To be started when every stored CRD is served; no client has to wait for them. */
export function startAggregation(options: RemoteServicesOptions): Loop[] {
  const { objects, registry, log } = options
  return [startLocalServices(objects, registry, log), startRemoteServices(options)]
}
