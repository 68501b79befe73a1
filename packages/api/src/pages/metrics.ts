// Counters and histograms in Prometheus' text form, under the names kube-apiserver gives them where it has the same one.
// handler-chain.ts observes; the /metrics page renders.

import type { GroupVersionResource } from '@podless/apimachinery'

/** Seconds; kube-apiserver's buckets thinned to those that tell something at this speed. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]

interface Histogram {
  readonly counts: number[]
  sum: number
  count: number
}

interface Observation {
  readonly verb: string
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly subresource: string
  readonly code: number
  readonly seconds: number
}

export class Metrics {
  readonly #requests = new Map<string, number>()
  readonly #durations = new Map<string, Histogram>()
  readonly #values = new Map<string, { type: 'counter' | 'gauge'; read: () => number }>()
  readonly #open = new Map<string, number>()

  #served = 0

  /** Requests answered so far. */
  get requests(): number {
    return this.#served
  }

  /** Counts one finished request; watches are counted when they end and not timed. */
  request({ verb, group, version, resource, subresource, code, seconds }: Observation): void {
    this.#served += 1
    const labels = `verb="${verb.toUpperCase()}",group="${group}",version="${version}",resource="${resource}",subresource="${subresource}"`
    const counter = `${labels},code="${code}"`
    this.#requests.set(counter, (this.#requests.get(counter) ?? 0) + 1)
    if (verb === 'watch') return
    const histogram = this.#durations.get(labels) ?? newHistogram()
    this.#durations.set(labels, histogram)
    observe(histogram, seconds)
  }

  /** Counts a watch as open until the returned function is called, which is to be done once. */
  openWatch({ group, version, resource }: GroupVersionResource): () => void {
    const labels = `verb="WATCH",group="${group}",version="${version}",resource="${resource}"`
    const add = (count: number): void => {
      this.#open.set(labels, (this.#open.get(labels) ?? 0) + count)
    }
    add(1)
    return () => add(-1)
  }

  /** Registers a value read when the page is rendered. `name` may carry labels. */
  gauge(name: string, read: () => number): void {
    this.#values.set(name, { type: 'gauge', read })
  }

  /** The same for what only grows. */
  counter(name: string, read: () => number): void {
    this.#values.set(name, { type: 'counter', read })
  }

  render(): string {
    const lines = ['# TYPE apiserver_request_total counter']
    for (const [labels, value] of this.#requests)
      lines.push(`apiserver_request_total{${labels}} ${value}`)
    lines.push('# TYPE apiserver_request_duration_seconds histogram')
    for (const [labels, histogram] of this.#durations) renderHistogram(lines, labels, histogram)
    lines.push('# TYPE apiserver_longrunning_requests gauge')
    for (const [labels, value] of this.#open)
      lines.push(`apiserver_longrunning_requests{${labels}} ${value}`)
    for (const [name, { type, read }] of this.#values) {
      lines.push(`# TYPE ${name.replace(/\{.*/, '')} ${type}`, `${name} ${read()}`)
    }
    return `${lines.join('\n')}\n`
  }
}

function newHistogram(): Histogram {
  return { counts: BUCKETS.map(() => 0), sum: 0, count: 0 }
}

function observe(histogram: Histogram, seconds: number): void {
  const index = BUCKETS.findIndex(limit => seconds <= limit)
  if (index >= 0) histogram.counts[index]! += 1
  histogram.sum += seconds
  histogram.count += 1
}

function renderHistogram(lines: string[], labels: string, histogram: Histogram): void {
  const name = 'apiserver_request_duration_seconds'
  let cumulative = 0
  for (const [i, limit] of BUCKETS.entries()) {
    cumulative += histogram.counts[i]!
    lines.push(`${name}_bucket{${labels},le="${limit}"} ${cumulative}`)
  }
  lines.push(`${name}_bucket{${labels},le="+Inf"} ${histogram.count}`)
  lines.push(
    `${name}_sum{${labels}} ${histogram.sum}`,
    `${name}_count{${labels}} ${histogram.count}`,
  )
}
