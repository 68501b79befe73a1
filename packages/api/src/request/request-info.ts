// What a request asks for, read from its method, path and query alone: verb, GVR, namespace, name, subresource.
// Called first by handler-chain.ts; pure. Ref: apiserver/pkg/endpoints/request/requestinfo.go

import { parseListOptions, StatusError } from '@podless/apimachinery'
import { segmentProblem } from '@podless/storage'
import { queryOf } from './url-query.ts'

export interface RequestInfo {
  /** False for /healthz, /version, discovery and every other path that is no object or collection. */
  readonly isResource: boolean
  /** The decoded path, without query and trailing slash. */
  readonly path: string
  /** RBAC's verb: get, list, watch, create, update, patch, delete, deletecollection; else the lower-case method. */
  readonly verb: string
  readonly group: string
  readonly version: string
  readonly namespace: string
  readonly resource: string
  readonly subresource: string
  readonly name: string
  /** The one name that a list or watch selects; RBAC takes it for the request's name. */
  readonly selectedName: string
  /** What follows a proxy-like subresource. */
  readonly rest: readonly string[]
  /** True for the deprecated /watch/ path prefix. */
  readonly legacyWatch: boolean
}

/** A map, as HTTP/2 lets a client name a method after a property that every object has. */
const VERB_OF_METHOD: ReadonlyMap<string, string> = new Map([
  ['GET', 'get'],
  ['HEAD', 'get'],
  ['POST', 'create'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
])

/** Path parts after a namespace's name that are its subresources rather than resources inside it. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(['status', 'finalize'])

/**
 * Reads a request line. `target` is the raw request target (path and query). Never throws: a path that cannot be
 * decoded is a non-resource path that nothing serves.
 */
export function requestInfo(method: string, target: string): RequestInfo {
  const cut = target.indexOf('?')
  const rawPath = cut < 0 ? target : target.slice(0, cut)
  const parts = decodeParts(rawPath)
  const path = `/${parts.join('/')}`
  if (parts[0] === 'api' && parts.length >= 3) {
    return resourceInfo(
      method,
      path,
      '',
      parts[1]!,
      parts.slice(2),
      cut < 0 ? '' : target.slice(cut + 1),
    )
  }
  if (parts[0] === 'apis' && parts.length >= 4) {
    const query = cut < 0 ? '' : target.slice(cut + 1)
    return resourceInfo(method, path, parts[1]!, parts[2]!, parts.slice(3), query)
  }
  return { ...EMPTY, path: rawPath === '' ? '/' : rawPath, verb: method.toLowerCase() }
}

const EMPTY: RequestInfo = {
  isResource: false,
  path: '/',
  verb: '',
  group: '',
  version: '',
  namespace: '',
  resource: '',
  subresource: '',
  name: '',
  selectedName: '',
  rest: [],
  legacyWatch: false,
}

/**
 * Escapes are read before the path is split, as Go does: a name cannot smuggle a slash. Slashes around the path do not
 * count; two in a row have an empty part between them.
 */
function decodeParts(rawPath: string): string[] {
  const path = rawPath.includes('%') ? decodePath(rawPath) : rawPath
  let start = 0
  let end = path.length
  while (path[start] === '/') start += 1
  while (end > start && path[end - 1] === '/') end -= 1
  return path.slice(start, end).split('/')
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path // NOTE: Go answers 400 to a broken escape; as an undecoded name it is found nowhere.
  }
}

function resourceInfo(
  method: string,
  path: string,
  group: string,
  version: string,
  parts: string[],
  query: string,
): RequestInfo {
  const legacyWatch = parts[0] === 'watch'
  const rest = legacyWatch ? parts.slice(1) : parts
  const { namespace, located } = locate(rest)
  const [resource = '', name = '', subresource = '', ...tail] = located
  const byMethod = VERB_OF_METHOD.get(method) ?? method.toLowerCase()
  const verb = legacyWatch ? 'watch' : refineVerb(byMethod, name, query)
  return {
    isResource: true,
    path,
    verb,
    group,
    version,
    namespace,
    resource,
    subresource,
    name,
    selectedName: !legacyWatch && isCollectionRead(verb) ? selectedName(query) : '',
    rest: tail,
    legacyWatch,
  }
}

/**
 * Splits `namespaces/NS/...` off. A namespace object itself counts as being inside itself, as RBAC sees it. An empty part
 * makes the path name no resource at all.
 */
function locate(parts: string[]): { namespace: string; located: string[] } {
  if (parts.includes('')) return { namespace: '', located: [] }
  if (parts[0] !== 'namespaces' || parts.length < 2) return { namespace: '', located: parts }
  const namespace = parts[1]!
  if (parts.length === 2 || NAMESPACE_SUBRESOURCES.has(parts[2]!))
    return { namespace, located: parts }
  return { namespace, located: parts.slice(2) }
}

function refineVerb(verb: string, name: string, query: string): string {
  if (name !== '') return verb
  if (verb === 'get') return isWatchQuery(query) ? 'watch' : 'list'
  return verb === 'delete' ? 'deletecollection' : verb
}

const isCollectionRead = (verb: string): boolean => verb === 'list' || verb === 'watch'

/** Ref: requestinfo.go: options that cannot be read name nothing. A deletecollection never does. */
function selectedName(query: string): string {
  if (!query.includes('fieldSelector')) return ''
  try {
    const { requirements } = parseListOptions(queryOf(`?${query}`)).fieldSelector
    const name = requirements.find(({ field, op }) => field === 'metadata.name' && op === '=')
    return name === undefined || segmentProblem(name.value) !== undefined ? '' : name.value
  } catch (error) {
    if (error instanceof StatusError) return ''
    throw error
  }
}

/** `watch=anything` watches but for 0 and false, as Go's query conversion reads booleans. */
function isWatchQuery(query: string): boolean {
  if (!query.includes('watch')) return false
  const value = new URLSearchParams(query).get('watch')
  return value !== null && value !== '0' && value.toLowerCase() !== 'false'
}
