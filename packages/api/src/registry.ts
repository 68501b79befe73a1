// What is served: kind <-> resource, and the resource behind a request (RESTMapper).
// Filled at start with the built-ins and by controllers/crd.ts on watch events; read by every request and by discovery.
// Copy on write: a request keeps the Resource it looked up while a newer one takes its place.

import type { GroupVersionKind, GroupVersionResource } from '@podless/apimachinery'
import type { Resource } from './resource.ts'

type ChangeListener = () => void

const keyOf = (gvr: GroupVersionResource): string => `${gvr.group}/${gvr.version}/${gvr.resource}`

export class Registry {
  #byKey: ReadonlyMap<string, Resource> = new Map()
  readonly #listeners = new Set<ChangeListener>()
  readonly #ownerListeners = new Map<string, Set<ChangeListener>>()
  #generation = 0

  /** Rises with every change: views of the registry (discovery, OpenAPI) are valid for one generation. */
  get generation(): number {
    return this.#generation
  }

  lookup(gvr: GroupVersionResource): Resource | undefined {
    return this.#byKey.get(keyOf(gvr))
  }

  /** A built-in resource of version v1. Throws where there is none. */
  builtin(group: string, resource: string): Resource {
    const found = this.lookup({ group, version: 'v1', resource })
    if (found !== undefined) return found
    throw new Error(`${group}/v1 ${resource} is not served`)
  }

  /** Whether built-in resources live in this group version. */
  hasBuiltin({ group, version }: { readonly group: string; readonly version: string }): boolean {
    for (const { crd, gvr } of this.#byKey.values()) {
      if (crd === undefined && gvr.group === group && gvr.version === version) return true
    }
    return false
  }

  /** The served resource of a kind at exactly this version. */
  lookupKind(gvk: GroupVersionKind): Resource | undefined {
    for (const resource of this.#byKey.values()) {
      if (
        resource.names.kind === gvk.kind &&
        resource.gvr.group === gvk.group &&
        resource.gvr.version === gvk.version
      ) {
        return resource
      }
    }
    return undefined
  }

  /** All versions of one group's resource, preferred first. */
  versionsOf(group: string, plural: string): readonly Resource[] {
    return this.all().filter(({ gvr }) => gvr.group === group && gvr.resource === plural)
  }

  all(): readonly Resource[] {
    return [...this.#byKey.values()]
  }

  /** Replaces everything that `owner` (a CRD's name, or '' for the built-ins) serves by `resources`. */
  replace(owner: string, resources: readonly Resource[]): void {
    const next = new Map<string, Resource>()
    for (const [key, resource] of this.#byKey) {
      if ((resource.crd ?? '') !== owner) next.set(key, resource)
    }
    for (const resource of resources) {
      const key = keyOf(resource.gvr)
      // A CRD cannot put itself in the place of a built-in resource.
      if (owner === '' || next.get(key) === undefined) next.set(key, resource)
    }
    this.#byKey = next
    this.#generation += 1
    for (const listener of this.#listeners) listener()
    for (const listener of [...(this.#ownerListeners.get(owner) ?? [])]) listener()
  }

  /**
   * Calls back once when `resource` is no longer served as it is: its CRD has another spec, or is gone. Returns what
   * takes the listener away.
   */
  onRetired(resource: Resource, listener: ChangeListener): () => void {
    const owner = resource.crd ?? ''
    const listeners = this.#ownerListeners.get(owner) ?? new Set()
    this.#ownerListeners.set(owner, listeners)
    const forget = (): void => {
      listeners.delete(check)
      if (listeners.size === 0 && this.#ownerListeners.get(owner) === listeners)
        this.#ownerListeners.delete(owner)
    }
    const check = (): void => {
      if (this.lookup(resource.gvr)?.edition === resource.edition) return
      forget()
      listener()
    }
    listeners.add(check)
    check()
    return forget
  }

  /** Calls back after each change until the returned function is called. */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
