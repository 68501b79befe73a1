// The APIServices that change something: those of extension servers, and those that stand elsewhere in discovery than
// usual. The many others say what the registry says anyway, and cost nothing here.
// Fed by feed.ts; read by handler-chain.ts, discovery and the proxy.

import type { GroupVersion, JsonObject, KubeObject } from '@podless/apimachinery'
import { isObject } from '@podless/apimachinery'
import { numberAt, objectsAt, textAt, valueAt } from '../resources/reading.ts'
import { type Priority, usualPriority } from './priorities.ts'

/** A Service as an APIService names it. */
export interface ServiceReference {
  readonly namespace: string
  readonly name: string
  readonly port: number
}

/** A group version that an extension server serves. */
export interface RemoteService {
  /** Of the APIService: VERSION.GROUP. */
  readonly name: string
  readonly gv: GroupVersion
  readonly service: ServiceReference
  /** Base64 of PEM, '' for the authorities that the system trusts. */
  readonly caBundle: string
  readonly isInsecure: boolean
  readonly isAvailable: boolean
}

/** What aggregated discovery shows of a remote group version, and the fingerprint of its OpenAPI document. */
export interface RemoteDocuments {
  /** An APIVersionDiscovery. */
  readonly discovery: JsonObject
  readonly openApiHash?: string
}

interface Entry {
  readonly priority: Priority
  readonly remote: RemoteService | undefined
}

/** Served here whatever an APIService says: what keeps APIServices, and the group without a name. */
const ALWAYS_LOCAL: ReadonlySet<string> = new Set(['', 'apiregistration.k8s.io'])

export class ApiServices {
  readonly #entries = new Map<string, Entry>()
  readonly #documents = new Map<string, RemoteDocuments>()
  #generation = 0

  /** Rises with every change of what discovery shows. */
  get generation(): number {
    return this.#generation
  }

  /** Takes up an APIService as it is by now. */
  set(obj: KubeObject): void {
    const { name = '' } = obj.metadata
    const gv = { group: textAt(obj, 'spec.group'), version: textAt(obj, 'spec.version') }
    const remote = remoteOf(name, gv, obj)
    const priority = {
      group: numberAt(obj, 'spec.groupPriorityMinimum') ?? 0,
      version: numberAt(obj, 'spec.versionPriority') ?? 0,
    }
    const usual = usualPriority(gv)
    const isUsual = priority.group === usual.group && priority.version === usual.version
    if (remote === undefined && isUsual) {
      this.remove(obj)
      return
    }
    if (remote === undefined) this.#documents.delete(name)
    this.#entries.set(name, { priority, remote })
    this.#generation += 1
  }

  remove({ metadata }: KubeObject): void {
    this.#documents.delete(metadata.name ?? '')
    if (this.#entries.delete(metadata.name ?? '')) this.#generation += 1
  }

  /** The extension server of a group version; undefined where this server answers. */
  remote({ group, version }: GroupVersion): RemoteService | undefined {
    return this.#entries.size === 0 ? undefined : this.#entries.get(`${version}.${group}`)?.remote
  }

  /** All group versions of extension servers. */
  remotes(): RemoteService[] {
    return [...this.#entries.values()].flatMap(({ remote }) =>
      remote === undefined ? [] : [remote],
    )
  }

  priority(gv: GroupVersion): Priority {
    return this.#entries.get(`${gv.version}.${gv.group}`)?.priority ?? usualPriority(gv)
  }

  /** What its server said of a group version; until then that nothing is known. */
  documents({ name, gv }: RemoteService): RemoteDocuments {
    const known = this.#documents.get(name)
    if (known !== undefined) return known
    const unknown = { discovery: { version: gv.version, freshness: 'Stale' } }
    this.#documents.set(name, unknown)
    return unknown
  }

  setDocuments(name: string, documents: RemoteDocuments): void {
    if (this.#entries.get(name)?.remote === undefined) return
    this.#documents.set(name, documents)
    this.#generation += 1
  }
}

function remoteOf(name: string, gv: GroupVersion, obj: KubeObject): RemoteService | undefined {
  const service = valueAt(obj, 'spec.service')
  if (!isObject(service) || ALWAYS_LOCAL.has(gv.group)) return undefined
  const available = objectsAt(obj, 'status.conditions').find(({ type }) => type === 'Available')
  return {
    name,
    gv,
    service: {
      namespace: textAt(service, 'namespace'),
      name: textAt(service, 'name'),
      port: numberAt(service, 'port') ?? 443,
    },
    caBundle: textAt(obj, 'spec.caBundle'),
    isInsecure: valueAt(obj, 'spec.insecureSkipTLSVerify') === true,
    isAvailable: available?.status === 'True',
  }
}
