// Where objects live: kube-apiserver's key layout, `/registry/<resource>/[<namespace>/]<name>`, and the checks that keep
// a name from reaching outside its resource. Called by storage.ts, cacher.ts and api/src/verbs; calls nothing.
// Ref: apiserver/pkg/registry/generic/registry/store.go NamespaceKeyFunc

/** A namespace or name that cannot be one segment of a key. `problem` is upstream's sentence. */
export class InvalidKeyError extends Error {
  override readonly name = 'InvalidKeyError'
  readonly segment: string
  readonly problem: string

  constructor(segment: string, problem: string) {
    super(`${JSON.stringify(segment)} cannot be part of a storage key: ${problem}`)
    this.segment = segment
    this.problem = problem
  }
}

/**
 * The sentence that says why text cannot be one segment of a path, undefined when it can.
 * Ref: apimachinery/pkg/api/validate/content/path.go
 */
export function segmentProblem(segment: string): string | undefined {
  if (segment === '.' || segment === '..') return `may not be '${segment}'`
  if (segment.includes('/')) return `may not contain '/'`
  if (segment.includes('%')) return `may not contain '%'`
  return undefined
}

/**
 * The key of one object. `resourcePrefix` has no trailing slash (`/registry/pods`); `namespace` is '' for what is
 * cluster-scoped. Throws InvalidKeyError on an empty name or a segment that would leave its place.
 */
export function objectKey(resourcePrefix: string, namespace: string, name: string): string {
  if (name === '') throw new InvalidKeyError(name, 'name is required')
  return `${listPrefix(resourcePrefix, namespace)}${checked(name)}`
}

/** The prefix, with trailing slash, of everything of a resource, or of one namespace of it. Throws InvalidKeyError. */
export function listPrefix(resourcePrefix: string, namespace = ''): string {
  return namespace === '' ? `${resourcePrefix}/` : `${resourcePrefix}/${checked(namespace)}/`
}

/**
 * The resource that a key or prefix belongs to, with trailing slash: `/registry/pods/`, or two segments where the first is
 * an API group (`/registry/networking.istio.io/gateways/`; a group of stored custom resources always has a dot, a built-in
 * resource's name never does). Undefined when the text is too short to tell. `root` has a trailing slash.
 */
export function resourcePrefixOf(root: string, key: string): string | undefined {
  const first = key.indexOf('/', root.length)
  if (first < 0) return undefined
  const dot = key.indexOf('.', root.length)
  if (dot < 0 || dot > first) return key.slice(0, first + 1)
  const second = key.indexOf('/', first + 1)
  return second < 0 ? undefined : key.slice(0, second + 1)
}

function checked(segment: string): string {
  const problem = segmentProblem(segment)
  if (problem !== undefined) throw new InvalidKeyError(segment, problem)
  return segment
}
