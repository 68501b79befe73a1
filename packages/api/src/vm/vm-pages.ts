// The pages VMs ask for: join once, then renew credentials and read their own bundle. Called by pages.ts once RBAC allowed
// the path; vm-authenticator.ts said who asks. docs/vm.md tells the whole story.

import {
  badRequest,
  type KubeObject,
  StatusError,
  serviceUnavailable,
  unauthorized,
} from '@podless/apimachinery'
import { parseCertificate } from '@podless/identity'
import type { Objects } from '../controllers/objects.ts'
import { methodNotAllowed } from '../errors.ts'
import type { Resource, Services, UserInfo } from '../resource.ts'
import { type Incoming, type Reply, textReply } from '../serving/exchange.ts'
import { type Bundle, type BundleFile, createBundle } from './bundle.ts'
import { checkJoinToken, joinSecretName, parseJoinToken } from './join-token.ts'
import { bearerOf } from './vm-authenticator.ts'
import { VM_AUDIENCE, VM_PATH, vmOf } from './vm-policy.ts'
import { VM, VM_LABEL, type VmRecord } from './vm-record.ts'
import { failureScript, joinScript } from './vm-script.ts'
import { VmWorld } from './vm-world.ts'

export interface VmPagesOptions {
  readonly services: Services
  readonly objects: Objects
  readonly secrets: Resource
  /** PEM that VMs verify this server with. */
  readonly rootCa: string
  readonly now: () => Date
}

/** A VM may be off for a year and still come back by itself; each renewal starts the year again. */
const CREDENTIAL_SECONDS = 365 * 24 * 60 * 60
const ISTIO_AUDIENCE = 'istio-ca'
const BUNDLE_FILES = ['cluster.env', 'mesh.yaml', 'root-cert.pem', 'hosts'] as const

type Page = (request: Incoming, user: UserInfo, query: URLSearchParams) => Promise<Reply> | Reply

export class VmPages {
  readonly #options: VmPagesOptions
  readonly #world: VmWorld
  readonly #pages: ReadonlyMap<string, { method: string; page: Page }>

  constructor(options: VmPagesOptions) {
    this.#options = options
    this.#world = new VmWorld(options.services)
    const file = (name: BundleFile): [string, { method: string; page: Page }] => [
      `bundle/${name}`,
      { method: 'GET', page: (_, user, query) => textReply(200, this.#bundle(user, query)[name]) },
    ]
    this.#pages = new Map([
      ['join', { method: 'POST', page: request => this.#join(request) }],
      [
        'renew/istio-token',
        { method: 'POST', page: (request, user) => this.#renew(request, user) },
      ],
      ['renew/credential', { method: 'POST', page: (_, user) => this.#renewCredential(user) }],
      ['bundle/ca.crt', { method: 'GET', page: () => textReply(200, options.rootCa) }],
      ...BUNDLE_FILES.map(file),
    ])
  }

  /** The answer, or undefined when nothing is served at this path. */
  async serve(path: string, request: Incoming, user: UserInfo): Promise<Reply | undefined> {
    if (!path.startsWith(VM_PATH)) return undefined
    const found = this.#pages.get(path.slice(VM_PATH.length))
    if (found === undefined) return undefined
    if (request.method !== found.method) throw methodNotAllowed()
    const cut = request.target.indexOf('?')
    const query = new URLSearchParams(cut < 0 ? '' : request.target.slice(cut + 1))
    const reply = await found.page(request, user, query)
    return { ...reply, headers: { ...reply.headers, 'cache-control': 'no-store' } }
  }

  /** The answer is a script either way: it is piped to a shell, which is where a person reads what went wrong. */
  async #join(request: Incoming): Promise<Reply> {
    try {
      return textReply(200, await this.#joined(bearerOf(request)))
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      return textReply(error.code, failureScript(error.message))
    }
  }

  async #joined(bearer: string): Promise<string> {
    const token = parseJoinToken(bearer)
    if (token === undefined) throw unauthorized('that is no join token; podless vm add prints one')
    const stored = this.#world.secret(token.namespace, joinSecretName(token.id))
    const verdict = checkJoinToken(token, stored, this.#options.now())
    if (verdict === 'unknown' || stored === undefined)
      throw unauthorized(
        'this join token was used already or never was one; podless vm renew NAME prints another',
      )
    if (verdict === 'expired') {
      await this.#consume(stored)
      throw unauthorized('this join token has expired; podless vm renew NAME prints another')
    }
    const vm = this.#world.vm(token.namespace, stored.metadata.labels?.[VM_LABEL] ?? '')
    // Everything that can fail comes first: a mesh that is not ready must not cost the token.
    const bundle = createBundle(this.#world.bundleInputs(vm))
    const [istioToken, credential] = await Promise.all([
      this.#issue(vm, ISTIO_AUDIENCE, vm.tokenSeconds),
      this.#issue(vm, VM_AUDIENCE, CREDENTIAL_SECONDS),
    ])
    if (!(await this.#consume(stored)))
      throw unauthorized('this join token was just used; podless vm renew NAME prints another')
    await this.#note(vm, { joined: this.#options.now(), tokenExpires: istioToken.expires })
    return joinScript({
      vm,
      bundle,
      rootCa: this.#options.rootCa,
      istioToken: istioToken.token,
      credential: credential.token,
    })
  }

  /** Deletes the Secret of a join token; only one of several at once is told that it did. */
  async #consume({ metadata }: KubeObject): Promise<boolean> {
    const { namespace, name = '', uid } = metadata
    const { objects, secrets } = this.#options
    return (await objects.delete(secrets, { namespace, name, uid })) !== undefined
  }

  async #renew(request: Incoming, user: UserInfo): Promise<Reply> {
    const vm = this.#own(user)
    const certificate = parseCertificate((await request.body()).toString())
    const { token, expires } = await this.#issue(vm, ISTIO_AUDIENCE, vm.tokenSeconds)
    await this.#note(vm, {
      renewed: this.#options.now(),
      tokenExpires: expires,
      ...(certificate === undefined ? {} : { certificateExpires: certificate.validToDate }),
    })
    return textReply(200, token)
  }

  async #renewCredential(user: UserInfo): Promise<Reply> {
    const { token } = await this.#issue(this.#own(user), VM_AUDIENCE, CREDENTIAL_SECONDS)
    return textReply(200, token)
  }

  #bundle(user: UserInfo, query: URLSearchParams): Bundle {
    return createBundle(this.#world.bundleInputs(this.#asked(user, query)))
  }

  async #issue(
    vm: VmRecord,
    audience: string,
    expirationSeconds: number,
  ): Promise<{ token: string; expires: Date }> {
    return await this.#options.services.tokens.issue({
      namespace: vm.namespace,
      serviceAccount: this.#world.account(vm),
      audiences: [audience],
      expirationSeconds,
      bound: { apiVersion: 'v1', kind: 'Secret', name: vm.secretName, uid: vm.uid },
    })
  }

  /** The VM that asks. Others that RBAC lets through have nothing of their own to renew. */
  #own(user: UserInfo): VmRecord {
    const vm = vmOf(user)
    if (vm === undefined)
      throw badRequest('only a VM renews its credentials; podless vm renew NAME gives it new ones')
    return this.#world.vm(vm.namespace, vm.name)
  }

  /** A VM reads its own bundle whatever it asks for; others name one. */
  #asked(user: UserInfo, query: URLSearchParams): VmRecord {
    if (vmOf(user) !== undefined) return this.#own(user)
    const [namespace, name] = [query.get('namespace'), query.get('vm')]
    if (namespace === null || name === null)
      throw badRequest('name the VM: ?namespace=NAMESPACE&vm=NAME')
    return this.#world.vm(namespace, name)
  }

  /** Notes times in the VM's Secret, for podless vm list. */
  async #note(vm: VmRecord, times: Partial<Record<keyof typeof VM, Date>>): Promise<void> {
    const { objects, secrets } = this.#options
    const noted = Object.entries(times).map(([key, time]) => [
      VM[key as keyof typeof VM],
      time.toISOString(),
    ])
    const found = await objects.change(secrets, vm.namespace, vm.secretName, obj => {
      obj.metadata.annotations = { ...obj.metadata.annotations, ...Object.fromEntries(noted) }
    })
    if (!found) throw serviceUnavailable(`the VM ${vm.name} has just been removed`)
  }
}
