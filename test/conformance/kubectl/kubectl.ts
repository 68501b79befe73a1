// Runs the kubectl on PATH against one server, with a home of its own so that nothing is cached between runs.
// Used by kubectl.test.ts and istio.test.ts.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** False, or the reason to skip: kubectl is not there. */
export const noKubectl: string | false =
  spawnSync('kubectl', ['version', '--client']).status === 0 ? false : 'kubectl is not on PATH'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions {
  readonly stdin?: string
  /** Also passes when kubectl fails. */
  readonly mayFail?: boolean
  readonly env?: Readonly<Record<string, string>>
}

interface KubectlOptions {
  readonly kubeconfig: string
  /** Holds kubectl's cache. */
  readonly home: string
  readonly namespace?: string
}

export class Kubectl {
  readonly #options: KubectlOptions

  constructor(options: KubectlOptions) {
    this.#options = options
  }

  in(namespace: string): Kubectl {
    return new Kubectl({ ...this.#options, namespace })
  }

  /** What a successful run printed. `line` is split at spaces; arguments with spaces go into `more`. */
  async run(line: string, more: readonly string[] = [], options: RunOptions = {}): Promise<string> {
    return (await this.try(line, more, options)).stdout
  }

  /** What a failing run said. Throws when it succeeds. */
  async refused(line: string, more: readonly string[] = [], options: RunOptions = {}) {
    const ran = await this.try(line, more, { ...options, mayFail: true })
    if (ran.code === 0) throw new Error(`kubectl ${line} should fail, but printed ${ran.stdout}`)
    return ran.stderr
  }

  async try(line: string, more: readonly string[] = [], options: RunOptions = {}): Promise<Ran> {
    const args = [...line.split(' '), ...more]
    const child = this.#spawn(args, options)
    const out = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      out.stderr += text
    })
    child.stdin.end(options.stdin ?? '')
    const [code] = (await once(child, 'close')) as [number]
    if (code !== 0 && options.mayFail !== true)
      throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${out.stderr}${out.stdout}`)
    return { code, ...out }
  }

  async json<T>(line: string): Promise<T> {
    return JSON.parse(await this.run(`${line} -o json`)) as T
  }

  /** Starts a watch; resolves when `isEnough` says so of all it has printed, and ends it. */
  async watchUntil(
    line: string,
    isEnough: (printed: string) => boolean,
    onPrinted: (printed: string) => void = () => undefined,
  ): Promise<string> {
    const child = this.#spawn(line.split(' '), {})
    let printed = ''
    for await (const chunk of child.stdout.setEncoding('utf8')) {
      printed += chunk as string
      onPrinted(printed)
      if (isEnough(printed)) break
    }
    child.kill()
    return printed
  }

  #spawn(args: readonly string[], { env }: RunOptions) {
    const { kubeconfig, home, namespace } = this.#options
    const inNamespace = namespace === undefined ? [] : ['--namespace', namespace]
    return spawn('kubectl', [...inNamespace, ...args], {
      env: {
        ...process.env,
        KUBECONFIG: kubeconfig,
        HOME: home,
        KUBECACHEDIR: join(home, 'cache'),
        ...env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
  }
}
