// Starts the components of a mesh, waits until each is ready, starts those again that have to run, and ends them all.
// Called by up.ts; processes.ts does the spawning.

import { setTimeout as sleep } from 'node:timers/promises'
import { CliError, EXIT } from '../exit.ts'
import { end, type Launch, lastLines, launch, type Running } from './processes.ts'
import type { ComponentCondition, ComponentState } from './state-file.ts'

export interface ComponentSpec {
  readonly name: string
  readonly launch: Launch
  /** True once it does its work; a throw counts as not yet. */
  readonly isReady: () => Promise<boolean>
  /** What a person does when it fails. */
  readonly fix: string
  /** The rest cannot do without it: it is started again when it ends. */
  readonly restart: boolean
}

export interface SupervisorOptions {
  readonly now: () => Date
  /** After each change of any component. */
  readonly onChange: () => void
  /** A component ended that nobody ended; says how. */
  readonly onEnd: (name: string, how: string) => void
  /** Ends the waiting. */
  readonly signal: AbortSignal
}

interface Component {
  readonly spec: ComponentSpec
  state: ComponentCondition
  since: Date
  restarts: number
  process?: Running
}

const READY_MS_MAX = 90_000
const POLL_MS = 50
const RESTART_DELAY_MS = 500
const RESTARTS_MAX = 20
const LOG_LINES = 12

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #components: Component[] = []
  readonly #failed = Promise.withResolvers<never>()
  readonly #spawning = new Set<Promise<void>>()
  #ending = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    // Whoever waits for it gets the failure; until then it is no unhandled one.
    this.#failed.promise.catch(() => undefined)
  }

  /** Rejects when a component that has to run cannot be kept running. */
  get failed(): Promise<never> {
    return this.#failed.promise
  }

  states(): readonly ComponentState[] {
    return this.#components.map(({ spec, state, since, restarts, process: running }) => ({
      name: spec.name,
      state,
      since: since.toISOString(),
      log: spec.launch.logFile,
      restarts,
      ...(running === undefined ? {} : { process: { pid: running.pid, started: running.started } }),
    }))
  }

  /** Starts it and returns once it is ready. Throws a CliError with its last log lines when that fails. */
  async start(spec: ComponentSpec): Promise<void> {
    // Something else has failed, and stop() would not know of this one.
    if (this.#ending) throw new CliError(EXIT.unavailable, `${spec.name} is not started any more`)
    const component: Component = {
      spec,
      state: 'waiting',
      since: this.#options.now(),
      restarts: 0,
    }
    this.#components.push(component)
    await this.#launch(component)
    void this.#watch(component).catch(this.#failed.reject)
  }

  /** Ends all, the last started first: VMs leave while the control plane still takes note. */
  async stop(): Promise<void> {
    this.#ending = true
    await Promise.allSettled(this.#spawning)
    for (const component of this.#components.toReversed()) {
      if (component.process !== undefined) await end(component.process)
      this.#set(component, 'ended')
    }
  }

  async #launch(component: Component): Promise<void> {
    await this.#spawn(component)
    if (this.#ending) return
    this.#set(component, 'starting')
    const deadline = performance.now() + READY_MS_MAX
    while (!(await settled(component.spec.isReady))) {
      if (this.#ending) return
      this.#options.signal.throwIfAborted()
      if (component.process?.running !== true)
        throw await this.#failure(component, `ended ${await component.process?.ended}`)
      if (performance.now() > deadline)
        throw await this.#failure(component, `was not ready after ${READY_MS_MAX / 1_000} s`)
      await sleep(POLL_MS)
    }
    this.#set(component, 'ready')
  }

  /** Gives it its process. Known to stop(), which waits for it: what is spawned meanwhile has to be ended too. */
  async #spawn(component: Component): Promise<void> {
    const spawning = launch(component.spec.launch).then(started => {
      component.process = started
    })
    this.#spawning.add(spawning)
    try {
      await spawning
    } finally {
      this.#spawning.delete(spawning)
    }
  }

  async #watch(component: Component): Promise<void> {
    while (component.process !== undefined) {
      const how = await component.process.ended
      if (this.#ending) return
      this.#options.onEnd(component.spec.name, how)
      this.#set(component, 'ended')
      if (!component.spec.restart) return
      component.restarts += 1
      if (component.restarts > RESTARTS_MAX)
        throw await this.#failure(component, `ended ${how}, after ${RESTARTS_MAX} restarts`)
      await sleep(RESTART_DELAY_MS)
      if (this.#ending) return
      await this.#launch(component)
    }
  }

  #set(component: Component, state: ComponentCondition): void {
    component.state = state
    component.since = this.#options.now()
    this.#options.onChange()
  }

  async #failure({ spec }: Component, what: string): Promise<CliError> {
    return await componentFailure(spec, what)
  }
}

/** Names the component, its log's end and the fix. */
export async function componentFailure(
  { name, launch: { logFile }, fix }: Pick<ComponentSpec, 'name' | 'launch' | 'fix'>,
  what: string,
): Promise<CliError> {
  const log = (await lastLines(logFile, LOG_LINES)).map(line => `  | ${line}`)
  return new CliError(
    EXIT.unavailable,
    [`${name} ${what}; the end of ${logFile}:`, ...log, `to mend it: ${fix}`].join('\n'),
  )
}

/** What answers with an error is not ready. */
const settled = async (isReady: () => Promise<boolean>): Promise<boolean> =>
  await isReady().catch(() => false)
