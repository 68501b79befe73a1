// The mesh config of a mesh of VMs, in the ConfigMap that istiod watches and istioctl reads. Called by install.ts.

import { encodeYaml, isObject, type JsonObject, parseYaml } from '@podless/apimachinery'

export interface MeshSettings {
  readonly discoveryAddress?: string
  readonly trustDomain?: string
}

/** What a mesh without pods needs to be told. "OFF" would be a boolean without its quotes. */
const DEFAULTS: JsonObject = {
  defaultConfig: {
    discoveryAddress: 'istiod.istio-system.svc:15012',
    proxyMetadata: { ISTIO_META_DNS_CAPTURE: 'true' },
  },
  enablePrometheusMerge: false,
  ingressControllerMode: 'OFF',
  rootNamespace: 'istio-system',
  trustDomain: 'cluster.local',
}

/** The text for the key `mesh`: what is there already with the settings given, or the defaults with them. */
export function meshConfig(existing: string | undefined, settings: MeshSettings): string {
  const parsed = existing === undefined ? undefined : parseYaml(existing, { strict: false }).value
  const base = isObject(parsed) ? parsed : DEFAULTS
  const { discoveryAddress, trustDomain } = settings
  // An unchanged text stays as its author wrote it, comments included.
  if (isObject(parsed) && discoveryAddress === undefined && trustDomain === undefined)
    return existing ?? ''
  const config = isObject(base.defaultConfig) ? base.defaultConfig : {}
  return encodeYaml({
    ...base,
    defaultConfig: { ...config, ...(discoveryAddress === undefined ? {} : { discoveryAddress }) },
    ...(trustDomain === undefined ? {} : { trustDomain }),
  })
}

/** Where agents reach istiod, as a mesh config says it. */
export function discoveryAddressOf(mesh: string): string | undefined {
  const parsed = parseYaml(mesh, { strict: false }).value
  const config = isObject(parsed) && isObject(parsed.defaultConfig) ? parsed.defaultConfig : {}
  return typeof config.discoveryAddress === 'string' ? config.discoveryAddress : undefined
}
