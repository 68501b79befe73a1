// What is served. A Resource is data: built-ins are listed in resources/*.ts, CRDs become one in controllers/crd.ts,
// and verbs, discovery, OpenAPI, tables, admission and RBAC all read the same shape.
// Imported by resources/*, registry.ts and verbs/*; imports none of them.

import type {
  CustomResourceSchema,
  DeleteOptions,
  FieldError,
  GroupVersionKind,
  GroupVersionResource,
  JsonObject,
  JsonValue,
  KubeObject,
  ReplicasPaths,
  SchemaNode,
} from '@podless/apimachinery'

/** RBAC's verbs that a stored resource can have, as discovery lists them. */
export type ResourceVerb =
  | 'create'
  | 'delete'
  | 'deletecollection'
  | 'get'
  | 'list'
  | 'patch'
  | 'update'
  | 'watch'

export interface UserInfo {
  readonly name: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

/** What every rule of one resource gets to know about the request it runs in. */
export interface RuleContext {
  readonly user: UserInfo
  /** What the request does, as RBAC names it. */
  readonly verb: string
  readonly namespace: string
  /** True under dryRun=All: change nothing outside the object. */
  readonly dryRun: boolean
  /** The clock, injected. */
  readonly now: () => Date
  /** Adds a Warning header, upstream's text without code and agent. */
  readonly warn: (text: string) => void
  readonly services: Services
}

/** What rules and virtual resources may ask of the running server. Filled by server.ts, faked by no one. */
export interface Services {
  /** Reads another object as the cache has it, e.g. a ServiceAccount for TokenRequest. */
  readonly lookup: (
    gvr: GroupVersionResource,
    namespace: string,
    name: string,
  ) => KubeObject | undefined
  readonly list: (gvr: GroupVersionResource, namespace: string) => Iterable<KubeObject>
  readonly tokens: TokenService
  readonly authorizer: Authorizer
  readonly serviceAddresses: ServiceAddresses
}

export interface TokenService {
  /** The audiences of this server: what a token without a wish is for. */
  readonly audiences: readonly string[]
  /** Signs a ServiceAccount token. `expirationSeconds` is already bounded; returns the JWT and its expiry. */
  issue(request: {
    namespace: string
    serviceAccount: { name: string; uid: string }
    audiences: readonly string[]
    expirationSeconds: number
    bound?: { kind: string; apiVersion: string; name: string; uid: string }
    /** The node of a bound pod; its uid is left out when the node is not there. */
    node?: { name: string; uid?: string }
    /** Set when the token lives longer than it was asked for: when to notice clients that do not reload it. */
    warnAfterSeconds?: number
  }): Promise<{ token: string; expires: Date }>
  /** Verifies a token for any of `audiences` (empty: the server's own). */
  review(
    token: string,
    audiences: readonly string[],
  ): Promise<{ user: UserInfo; audiences: readonly string[] } | { error: string }>
}

export interface AuthorizationRequest {
  readonly user: UserInfo
  readonly verb: string
  readonly group?: string
  readonly version?: string
  readonly resource?: string
  readonly subresource?: string
  readonly name?: string
  readonly namespace?: string
  /** Set for non-resource URLs, and then nothing but `verb` is. */
  readonly path?: string
}

export interface Authorizer {
  /** `reason` is RBAC's own sentence when allowed, evaluation errors when denied. */
  authorize(request: AuthorizationRequest): { allowed: boolean; reason: string }
  /** The rules a user has in a namespace, as SelfSubjectRulesReview lists them. */
  rulesFor(
    user: UserInfo,
    namespace: string,
  ): { resourceRules: JsonValue[]; nonResourceRules: JsonValue[]; incomplete: boolean }
}

/** Allocation of ClusterIPs and node ports. */
export interface ServiceAddresses {
  readonly nodePorts: NodePorts
  /** Reserves `ip`, or any free one of the family. The error says that it is taken, out of range, or that all are. */
  allocate(
    family: 'IPv4' | 'IPv6',
    ip?: string,
    holder?: string,
  ): { ip: string } | { error: string }
  /** Does nothing when the address is another holder's by now. Holders are uids. */
  release(ip: string, holder?: string): void
}

export interface NodePorts {
  /** Reserves `port`, or any free one. Succeeds when the holder, a uid, has it. The error says why it cannot be. */
  allocate(holder: string, port?: number): { port: number } | { error: string }
  /** Does nothing when the port is another holder's. */
  release(port: number, holder: string): void
}

/**
 * The rules of one resource, all optional. They change the object they are given in place and must be
 * pure otherwise. Order per write: see create-object.ts and update-object.ts.
 */
export interface Strategy {
  /** True when a change of spec raises metadata.generation (and create sets it to 1). */
  readonly hasGeneration?: boolean
  /** Set where generation does not count every change of what is neither metadata nor status. */
  readonly countsAsChange?: (obj: KubeObject, old: KubeObject) => boolean
  /** PUT to a missing name creates it (Lease). */
  readonly allowCreateOnUpdate?: boolean
  /** PUT without a resourceVersion overwrites. False for custom resources and a few built-ins. */
  readonly allowUnconditionalUpdate?: boolean
  /** Why a name is not valid; empty when it is. `prefix` is true for generateName. Default: DNS-1123 subdomain. */
  readonly validateName?: (name: string, prefix: boolean) => readonly string[]
  readonly default?: (obj: KubeObject) => void
  readonly prepareForCreate?: (obj: KubeObject, ctx: RuleContext) => void | Promise<void>
  readonly prepareForUpdate?: (
    obj: KubeObject,
    old: KubeObject,
    ctx: RuleContext,
  ) => void | Promise<void>
  readonly validate?: (obj: KubeObject, ctx: RuleContext) => readonly FieldError[]
  readonly validateUpdate?: (
    obj: KubeObject,
    old: KubeObject,
    ctx: RuleContext,
  ) => readonly FieldError[]
  readonly warnings?: (obj: KubeObject, old: KubeObject | undefined) => readonly string[]
  readonly deletionWarnings?: (options: DeleteOptions) => readonly string[]
  /** Throws a StatusError when the user may not write this (RBAC escalation, CSR signers). */
  readonly authorizeWrite?: (obj: KubeObject, old: KubeObject | undefined, ctx: RuleContext) => void
  /** True when a deletion that says nothing of dependents leaves them behind. */
  readonly orphansDependents?: boolean
  /** True when an object that is gone is shown as its deletion marked it (pods). */
  readonly showsDeletion?: boolean
  /** Changes the object when its deletion begins and it will not go at once: a finalizer, a phase, a condition. */
  readonly beginDeletion?: (obj: KubeObject, now: Date) => void
  /** True while something besides metadata.finalizers keeps a deleted object (a namespace's spec.finalizers). */
  readonly isHeld?: (obj: KubeObject) => boolean
  /** Undoes what prepareForCreate reserved, when the create failed; also runs after a deletion. */
  readonly release?: (obj: KubeObject, ctx: RuleContext) => void
  /** Undoes what prepareForUpdate reserved, when the update failed. */
  readonly releaseUpdate?: (obj: KubeObject, old: KubeObject, ctx: RuleContext) => void
}

/** A second door to the same stored object: /status, /finalize, /approval. It keeps what it does not own. */
export interface StoredSubresource {
  readonly type: 'stored'
  readonly verbs: readonly ResourceVerb[]
  /** Field paths that this door resets, and its writers therefore never own: spec unless given. */
  readonly resetFields?: readonly (readonly string[])[]
  /**
   * Makes the object that an update through this door would store: starts from `live` and takes from `sent` only what
   * this door owns. For the main door the resource's own `merge` applies.
   */
  readonly merge: (sent: KubeObject, live: KubeObject) => KubeObject
  readonly validateUpdate?: (
    obj: KubeObject,
    old: KubeObject,
    ctx: RuleContext,
  ) => readonly FieldError[]
}

/** A subresource that has a body of its own kind: /scale, /token, /eviction. */
export interface VirtualSubresource {
  readonly type: 'virtual'
  readonly gvk: GroupVersionKind
  readonly verbs: readonly ResourceVerb[]
  readonly schema: SchemaNode
  readonly get?: (parent: KubeObject, ctx: RuleContext) => KubeObject
  /** What a patch starts from, where that is not what `get` shows. */
  readonly before?: (parent: KubeObject) => KubeObject
  readonly create?: (body: KubeObject, parent: KubeObject, ctx: RuleContext) => Promise<KubeObject>
  /** Where the parent has what the body shows: whoever owns one owns the other. Needed with `update`. */
  readonly replicasPaths?: ReplicasPaths
  /** How it looks as a Table; without columns there is none. */
  readonly columns?: readonly Column[]
  /** Applies a changed body to a copy of the parent (scale). */
  readonly update?: (body: KubeObject, parent: KubeObject, ctx: RuleContext) => KubeObject
}

/** Something only a node's agent could do: exec, attach, log, portforward, proxy. Answers a Status that says so. */
export interface NodeSubresource {
  readonly type: 'node'
  readonly gvk?: GroupVersionKind
  readonly verbs: readonly ResourceVerb[]
}

export type Subresource = StoredSubresource | VirtualSubresource | NodeSubresource

/** A printer column. `cell` gets the object in the served version. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly format?: string
  readonly description: string
  readonly priority?: number
  readonly cell: (obj: KubeObject, now: Date) => JsonValue
}

/** The names users call a resource by. */
export interface ResourceNames {
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
}

/** What a webhook does to objects on their way between this version and the one they are stored in. Throws 500. */
export interface Conversion {
  /** Objects as they were stored, each in the version it was stored in, as this version shows them. */
  readonly fromStored: (objects: KubeObject[]) => Promise<KubeObject[]>
  readonly toStored: (object: KubeObject) => Promise<KubeObject>
}

export interface Resource {
  readonly gvr: GroupVersionResource
  readonly names: ResourceNames
  readonly namespaced: boolean
  readonly verbs: readonly ResourceVerb[]
  /** The version stored; its apiVersion replaces the served one on write, and back on read. */
  readonly storageVersion: string
  /** Key prefix without trailing slash, as kube-apiserver lays it out: `/registry/services/specs`. */
  readonly keyPrefix: string
  readonly schema: SchemaNode
  readonly strategy: Strategy
  /** Field paths that the main door resets: status where that has a door of its own, unless given. */
  readonly resetFields?: readonly (readonly string[])[]
  /** The group that errors of validation name, when it is not the served one: events.k8s.io Events are core's. */
  readonly errorGroup?: string
  /** What a PUT or PATCH of the main resource may not change: keeps `live`'s status when /status is a door of its own. */
  readonly merge?: (sent: KubeObject, live: KubeObject) => KubeObject
  readonly subresources: ReadonlyMap<string, Subresource>
  readonly columns: readonly Column[]
  /** Fields a fieldSelector may name besides metadata.name and metadata.namespace. */
  readonly selectableFields: ReadonlyMap<string, (obj: KubeObject) => string>
  /** Set on resources that come from a CRD: the CRD's name. They have no strategic merge, and no protobuf. */
  readonly crd?: string
  /** What a CRD's schema does to an object; set exactly when `crd` is. */
  readonly custom?: CustomResourceSchema
  /** A custom resource's schema as the CRD spells it, for OpenAPI; undefined when it has none. */
  readonly openApiSchema?: JsonObject
  /** The schema of another version of the same CRD, for those who own fields through that version. */
  readonly schemaOfVersion?: (version: string) => SchemaNode | undefined
  /** True when the CRD is on its way out: no new instances, and discovery offers no writes. */
  readonly isTerminating?: boolean
  /** Changes with the CRD: what was made of stored bytes is good for one edition only. */
  readonly edition?: string
  /**
   * Set when an object may have been stored under another schema: prunes and defaults it in place on every read.
   * `storedAs` is the apiVersion it was stored with.
   */
  readonly onRead?: (obj: KubeObject, storedAs: string) => void
  /** Set when a webhook converts objects between the versions of this CRD. */
  readonly conversion?: Conversion
  /** Every answer of this version carries this warning. */
  readonly deprecationWarning?: string
  /**
   * Set when this version is a view of another type that is what is stored: turns an object into that one in place, its
   * apiVersion included, just before it is encoded. `onRead` is the way back.
   */
  readonly onStore?: (obj: KubeObject) => void
  /** Removes what only /status may set; runs on create. */
  readonly dropStatusOnCreate?: (obj: KubeObject) => void
  /** Objects go away by themselves after this long (Events). */
  readonly ttlSeconds?: number
  /** DELETE answers the object that was deleted instead of a Status (a few core kinds). */
  readonly returnsDeleted?: boolean
  /** Virtual resources (TokenReview): create answers and nothing is stored. */
  readonly create?: (body: KubeObject, ctx: RuleContext) => Promise<KubeObject>
}
