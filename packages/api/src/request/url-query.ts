// The query of a request target as Go reads it. Called by handler-chain.ts and request-info.ts; pure.

const BROKEN_ESCAPE = /%(?![0-9a-fA-F]{2})/

/** As Go's url.ParseQuery: a pair with a broken escape or a semicolon is dropped. */
export function queryOf(target: string): URLSearchParams {
  const cut = target.indexOf('?')
  if (cut < 0) return new URLSearchParams()
  const text = target.slice(cut + 1)
  if (!BROKEN_ESCAPE.test(text) && !text.includes(';')) return new URLSearchParams(text)
  const pairs = text.split('&').filter(pair => !BROKEN_ESCAPE.test(pair) && !pair.includes(';'))
  return new URLSearchParams(pairs.join('&'))
}
