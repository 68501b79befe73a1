// A client that keeps writing until its server dies, and remembers what was acknowledged. Used by istiod.test.ts.

import type { ApiClient } from '../../harness/api-client.ts'

export class AcknowledgedWrites {
  /** name -> value of every ConfigMap whose last write was answered with success. */
  readonly acknowledged = new Map<string, string>()
  readonly #client: ApiClient
  readonly #path: string
  #ended: Promise<void> = Promise.resolve()

  constructor(client: ApiClient, path: string) {
    this.#client = client
    this.#path = path
  }

  /** Resolves at the first request that gets no answer. */
  get ended(): Promise<void> {
    return this.#ended
  }

  /** Four writers, each one request after the other. */
  start(): void {
    const writers = [0, 1, 2, 3].map(writer => this.#write(writer))
    this.#ended = Promise.all(writers).then(() => undefined)
  }

  async #write(writer: number): Promise<void> {
    for (let count = 0; await this.#writeOne(`w${writer}-${count}`, `v${count}`); count += 1);
  }

  async #writeOne(name: string, value: string): Promise<boolean> {
    try {
      const { status } = await this.#client.send({
        method: 'POST',
        path: this.#path,
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } },
      })
      if (status === 201) this.acknowledged.set(name, value)
      return true
    } catch (error) {
      return connectionLost(error)
    }
  }
}

/** False for the errors a killed server causes; any other is the test's own. */
function connectionLost(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ECONNRESET' || code === 'ECONNREFUSED' || code === 'EPIPE') return false
  throw error
}
