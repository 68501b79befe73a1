// How this server shows extension servers that it is the one who may tell them who asks: a client certificate of its own
// authority under a reserved name, and the ConfigMap from which they learn that name and whom else to trust.
// Called by extension-servers.ts and start-loops.ts; calls identity.
// Ref: kubernetes/pkg/controlplane/controller/clusterauthenticationtrust/cluster_authentication_trust_controller.go

import { equalJson, type JsonObject } from '@podless/apimachinery'
import { createClientCertificate, type Issuer, type KeyedCertificate } from '@podless/identity'
import { type Loop, startLoop } from '../controllers/loop.ts'
import type { Objects } from '../controllers/objects.ts'
import type { Log } from '../log.ts'
import { keyOf } from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { FRONT_PROXY } from '../resources/certificates.ts'

const TTL_SECONDS = 7 * 24 * 60 * 60

/** The certificate, made when it is asked for first, and anew when half its time is over or the authority is another. */
export class FrontProxyCertificate {
  readonly #issuer: (() => Issuer) | undefined
  readonly #now: () => Date
  #made:
    | { readonly of: string; readonly until: number; readonly pair: KeyedCertificate }
    | undefined

  constructor({ issuer, now }: { issuer?: (() => Issuer) | undefined; now: () => Date }) {
    this.#issuer = issuer
    this.#now = now
  }

  /** Undefined where there is no authority to sign it. */
  current(): KeyedCertificate | undefined {
    const issuer = this.#issuer?.()
    if (issuer === undefined) return undefined
    const now = this.#now()
    const known = this.#made
    if (known?.of === issuer.certificate && now.getTime() < known.until) return known.pair
    const pair = createClientCertificate(issuer, {
      user: FRONT_PROXY,
      now,
      ttlSeconds: TTL_SECONDS,
    })
    const until = now.getTime() + (TTL_SECONDS * 1000) / 2
    this.#made = { of: issuer.certificate, until, pair }
    return pair
  }
}

/** Whose client certificates count here; read anew whenever the loop is resynced. */
export interface TrustedBy {
  /** PEM. */
  readonly clientCa: string
  /** Whether there is an authority that signs for the front proxy. */
  readonly signs: boolean
}

const NAMESPACE = 'kube-system'
const NAME = 'extension-apiserver-authentication'

function trustData({ clientCa, signs }: TrustedBy): JsonObject {
  if (!signs) return { 'client-ca-file': clientCa }
  return {
    'client-ca-file': clientCa,
    'requestheader-allowed-names': JSON.stringify([FRONT_PROXY]),
    'requestheader-client-ca-file': clientCa,
    'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    'requestheader-group-headers': '["X-Remote-Group"]',
    'requestheader-uid-headers': '["X-Remote-Uid"]',
    'requestheader-username-headers': '["X-Remote-User"]',
  }
}

/** Keeps the ConfigMap that extension servers read. */
export function startAuthenticationInfo({
  objects,
  configMaps,
  trusted,
  log,
}: {
  readonly trusted: TrustedBy
  readonly objects: Objects
  readonly configMaps: Resource
  readonly log: Log
}): Loop {
  const key = keyOf(configMaps, NAMESPACE, NAME)
  const loop = startLoop({
    name: 'authentication-info',
    cacher: objects.storage.cacher,
    prefixes: [key],
    reconcile: async changed => {
      if (changed !== key) return
      const data = trustData(trusted)
      const found = objects.getShared(configMaps, NAMESPACE, NAME)
      if (found === undefined) {
        const metadata = { name: NAME, namespace: NAMESPACE }
        await objects.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data })
      } else if (!equalJson(found.data, data)) {
        await objects.change(configMaps, NAMESPACE, NAME, live => {
          live.data = data
        })
      }
    },
    log,
  })
  loop.enqueue(key)
  return loop
}
