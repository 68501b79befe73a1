// The keys and certificates a running server goes by, and their change without a restart: on SIGHUP and once a day
// DIR/pki is read again. Called by up.ts; calls identity for the files and the server to take them up.

import type { ApiServer, Log, TlsMaterial } from '@podless/api'
import {
  type KeyedCertificate,
  openPki,
  openServingCertificate,
  type Pki,
  ServiceAccountTokens,
} from '@podless/identity'

const DAY_MS = 24 * 60 * 60 * 1000

export interface TrustOptions {
  /** Holds pki/. */
  readonly data: string
  /** Names the server is reached by, besides the fixed ones. */
  readonly names: readonly string[]
  readonly now: () => Date
}

/** What DIR/pki held when it was last read well. */
export class Trust {
  readonly tokens: ServiceAccountTokens
  readonly #options: TrustOptions
  #pki: Pki
  #serving: KeyedCertificate

  constructor(options: TrustOptions, pki: Pki, serving: KeyedCertificate) {
    this.#options = options
    this.#pki = pki
    this.#serving = serving
    const { tokenKey: key, olderTokenKeys: olderKeys } = pki
    this.tokens = new ServiceAccountTokens({ key, olderKeys, now: options.now })
  }

  get pki(): Pki {
    return this.#pki
  }

  get tls(): TlsMaterial {
    const { certificate, key } = this.#serving
    return { key, cert: certificate, clientCa: this.#pki.bundle }
  }

  isRevoked(serial: string): boolean {
    return this.#pki.revoked.has(serial)
  }

  /** Reads the files again. Throws PkiError, and keeps what it has, when they are not as they should be. */
  async reload(): Promise<void> {
    const { data, names, now } = this.#options
    const pki = await openPki(data, { now: now() })
    const serving = await openServingCertificate(pki, { names, now: now() })
    this.tokens.replaceKeys(pki.tokenKey, pki.olderTokenKeys)
    this.#pki = pki
    this.#serving = serving
  }
}

/** Loads DIR/pki, making what is missing. Throws PkiError. */
export async function openTrust(options: TrustOptions): Promise<Trust> {
  const pki = await openPki(options.data, { now: options.now() })
  const { names, now } = options
  return new Trust(options, pki, await openServingCertificate(pki, { names, now: now() }))
}

/** Reloads on SIGHUP and daily until the function it returns is called. `onReload` runs after each. */
export function followTrust(options: {
  readonly trust: Trust
  readonly server: Pick<ApiServer, 'reloadTrust'>
  readonly log: Log
  readonly onReload: () => Promise<void>
}): () => void {
  const { trust, server, log, onReload } = options
  let last: Promise<void> = Promise.resolve()
  const once = async (): Promise<void> => {
    try {
      await trust.reload()
      server.reloadTrust(trust.tls)
      await onReload()
      log.info('keys and certificates were read again', { revoked: trust.pki.revoked.size })
    } catch (error) {
      log.error('the keys in pki/ cannot be used; those from before stay in force', error)
    }
  }
  // One after another: the files of the last signal win.
  const reload = (): void => {
    last = last.then(once)
  }
  const timer = setInterval(reload, DAY_MS)
  timer.unref()
  process.on('SIGHUP', reload)
  return () => {
    clearInterval(timer)
    process.off('SIGHUP', reload)
  }
}
