// How many requests and watches one user may have open, so that no single one wears the server out for all others.
// Called by handler-chain.ts once the user is known. Ref: apiserver/pkg/server/filters/priority-and-fairness.go

import { PRIVILEGED_GROUP } from '../auth/authorize.ts'
import type { UserInfo } from '../resource.ts'
import { type Reply, type Sink, textReply } from '../serving/exchange.ts'
import type { RequestInfo } from './request-info.ts'

export interface UserLimitsOptions {
  /** Requests under way at once, watches apart; 0: no limit. */
  readonly requestsMax: number
  /** Open watches; 0: no limit. */
  readonly watchesMax: number
}

interface Counts {
  requests: number
  watches: number
}

const PROBE = /^\/(?:healthz|livez|readyz)(?:\/|$)/

/** Upstream's answer, which is text and no Status. */
export const TOO_MANY: Reply = {
  ...textReply(429, 'Too many requests, please try again later.\n'),
  headers: { 'retry-after': '1', 'x-content-type-options': 'nosniff' },
}

export class UserLimits {
  readonly #max: Counts
  /** Users who have something open, by name. */
  readonly #open = new Map<string, Counts>()

  constructor({ requestsMax, watchesMax }: UserLimitsOptions) {
    this.#max = { requests: requestsMax, watches: watchesMax }
  }

  /** What `run` answers, or 429. A watch counts until its stream ends. */
  within(user: UserInfo, info: RequestInfo, run: () => Promise<Reply>): Promise<Reply> {
    return isExempt(user, info) ? run() : this.#counted(user, info, run)
  }

  async #counted(user: UserInfo, info: RequestInfo, run: () => Promise<Reply>): Promise<Reply> {
    const sort = info.verb === 'watch' ? 'watches' : 'requests'
    const counts = this.#open.get(user.name) ?? { requests: 0, watches: 0 }
    if (this.#max[sort] > 0 && counts[sort] >= this.#max[sort]) return TOO_MANY
    counts[sort] += 1
    this.#open.set(user.name, counts)
    const leave = (): void => {
      counts[sort] -= 1
      if (counts.requests + counts.watches === 0) this.#open.delete(user.name)
    }
    let reply: Reply | undefined
    try {
      reply = await run()
    } finally {
      if (reply?.body.type !== 'stream' && reply?.body.type !== 'piped') leave()
    }
    if (reply.body.type === 'piped') reply.body.source.once('close', leave)
    return reply.body.type === 'stream' ? untilEnded(reply, reply.body.start, leave) : reply
  }
}

/** Ref: the exempt FlowSchema and the probes one, kubernetes' apiserver/pkg/apis/flowcontrol/bootstrap/default.go */
function isExempt({ groups }: UserInfo, info: RequestInfo): boolean {
  return groups.includes(PRIVILEGED_GROUP) || isProbe(info)
}

/** Health checks are answered whoever asks however often. */
export const isProbe = ({ isResource, path }: RequestInfo): boolean =>
  !isResource && PROBE.test(path)

/** Every stream is started, if only to be told that nobody reads it. */
function untilEnded(reply: Reply, start: (sink: Sink) => void, leave: () => void): Reply {
  return {
    ...reply,
    body: {
      type: 'stream',
      start: sink => {
        if (sink.signal.aborted) leave()
        else sink.signal.addEventListener('abort', leave, { once: true })
        start(sink)
      },
    },
  }
}
