// /healthz, /livez and /readyz with ?verbose and ?exclude, and one page per check.
// Called by pages.ts; checks are given by whoever starts the server. Ref: apiserver/pkg/server/healthz/healthz.go

import { type Reply, textReply } from '../serving/exchange.ts'

export interface HealthCheck {
  readonly name: string
  /** Which of the three pages it belongs to. */
  readonly pages: readonly HealthPage[]
  /** The reason why it fails, undefined when it is well. Cheap: it runs on each request. */
  readonly check: () => string | undefined
}

export type HealthPage = 'healthz' | 'livez' | 'readyz'
const PAGES: readonly HealthPage[] = ['healthz', 'livez', 'readyz']

export class Health {
  readonly #checks: readonly HealthCheck[]

  constructor(checks: readonly HealthCheck[]) {
    this.#checks = checks
  }

  paths(): string[] {
    return PAGES.map(page => `/${page}`)
  }

  /** True when every check of /readyz passes. */
  get ready(): boolean {
    return this.#of('readyz').every(({ check }) => check() === undefined)
  }

  reply(path: string, query: URLSearchParams): Reply {
    const page = path.slice(1) as HealthPage
    const excluded = new Set(query.getAll('exclude').flatMap(text => text.split(',')))
    const results = this.#of(page).map(({ name, check }) => ({
      name,
      failure: excluded.has(name) ? undefined : check(),
      excluded: excluded.has(name),
    }))
    const failed = results.some(({ failure }) => failure !== undefined)
    if (!failed && !query.has('verbose')) return textReply(200, 'ok')
    const lines = results.map(({ name, failure, excluded: out }) => line(name, failure, out))
    const known = new Set(results.map(({ name }) => name))
    const unknown = [...excluded].filter(name => !known.has(name))
    if (unknown.length > 0) {
      lines.push(
        `warn: some health checks cannot be excluded: no matches for ${unknown.map(name => JSON.stringify(name)).join(',')}`,
      )
    }
    lines.push(failed ? `${page} check failed` : `${page} check passed`)
    return textReply(failed ? 500 : 200, `${lines.join('\n')}\n`)
  }

  /** The page of one check: /readyz/etcd. */
  single(path: string): (() => Reply) | undefined {
    const [, page, ...rest] = path.split('/')
    const found = this.#checks.find(
      ({ name, pages }) => name === rest.join('/') && pages.includes(page as HealthPage),
    )
    if (found === undefined) return undefined
    return () => {
      const failure = found.check()
      return failure === undefined
        ? textReply(200, 'ok')
        : textReply(500, `internal server error: ${failure}\n`)
    }
  }

  #of(page: HealthPage): readonly HealthCheck[] {
    return this.#checks.filter(({ pages }) => pages.includes(page))
  }
}

function line(name: string, failure: string | undefined, excluded: boolean): string {
  if (excluded) return `[+]${name} excluded: ok`
  return failure === undefined ? `[+]${name} ok` : `[-]${name} failed: reason withheld`
}
