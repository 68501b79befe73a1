// The names a type goes by: GroupVersionKind, GroupVersionResource and their short forms.
// Ref: apimachinery/pkg/runtime/schema/group_version.go

export interface GroupKind {
  readonly group: string
  readonly kind: string
}
export interface GroupResource {
  readonly group: string
  readonly resource: string
}
export interface GroupVersion {
  readonly group: string
  readonly version: string
}
export interface GroupVersionKind extends GroupKind, GroupVersion {}
export interface GroupVersionResource extends GroupResource, GroupVersion {}

/** "v1" for the core group, "group/version" for any other: the wire's apiVersion. */
export function apiVersionOf(gv: GroupVersion): string {
  return gv.group === '' ? gv.version : `${gv.group}/${gv.version}`
}

/** Parses an apiVersion; undefined when it has more than one slash. */
export function parseApiVersion(apiVersion: string): GroupVersion | undefined {
  const parts = apiVersion.split('/')
  if (parts.length === 1) return { group: '', version: parts[0]! }
  return parts.length === 2 ? { group: parts[0]!, version: parts[1]! } : undefined
}

/** "resource.group", or "resource" alone in the core group: how messages name a resource. */
export function formatGroupResource(gr: GroupResource): string {
  return gr.group === '' ? gr.resource : `${gr.resource}.${gr.group}`
}

/** "Kind.group", or "Kind" alone in the core group: how messages name a kind. */
export function formatGroupKind(gk: GroupKind): string {
  return gk.group === '' ? gk.kind : `${gk.kind}.${gk.group}`
}
