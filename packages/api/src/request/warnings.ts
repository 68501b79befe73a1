// The Warning headers of one answer: each text once, none that a header cannot hold, and all of them in bounded space.
// Filled through ctx.warn, read by handler-chain.ts.
// Ref: apiserver/pkg/endpoints/filters/warning.go, apimachinery/pkg/util/net/http.go NewWarningHeader

/** Characters of all warnings together, from which on each is cut. */
const TOTAL_MAX = 4 * 1024
/** Characters of one warning, once they are cut. */
const ITEM_MAX = 256

export class Warnings {
  readonly #texts = new Set<string>()

  add(text: string): void {
    if (text !== '') this.#texts.add(text)
  }

  /** The headers' values, in the order the warnings came. */
  headers(): string[] {
    const printable = [...this.#texts].filter(text => !/\p{Cc}/u.test(text))
    const total = printable.reduce((sum, text) => sum + lengthOf(text), 0)
    return (total > TOTAL_MAX ? cut(printable) : printable).map(headerOf)
  }
}

const lengthOf = (text: string): number => [...text].length

function cut(texts: readonly string[]): string[] {
  const kept: string[] = []
  let total = 0
  for (const text of texts) {
    if (total >= TOTAL_MAX) break
    const short = [...text].slice(0, ITEM_MAX).join('')
    total += lengthOf(short)
    kept.push(short)
  }
  return kept
}

/** Node writes headers byte by byte, so each byte of the UTF-8 has to stand as a character of its own. */
function headerOf(text: string): string {
  const quoted = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')
  return Buffer.from(`299 - "${quoted}"`).toString('latin1')
}
