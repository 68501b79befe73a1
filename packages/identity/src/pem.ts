// Finds the blocks in a PEM text in one pass, as the text may be a stranger's: a pattern that looks for each block's end
// from each beginning takes minutes over a megabyte of beginnings. Called by certificate-request.ts and the api package.
// Ref: RFC 7468

export interface PemBlock {
  /** Such as CERTIFICATE REQUEST. */
  readonly type: string
  /** With its two boundaries. */
  readonly pem: string
  /** Between the boundaries. */
  readonly content: string
}

const BOUNDARY = /-----(BEGIN|END) ([A-Z0-9 ]+)-----/g

/** The blocks in their order. A beginning that another boundary follows than its own end is passed over, as Go does. */
export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = []
  let open: { readonly type: string; readonly at: number; readonly from: number } | undefined
  for (const match of text.matchAll(BOUNDARY)) {
    const [boundary, word, type = ''] = match
    const next = match.index + boundary.length
    if (word === 'BEGIN') {
      open = { type, at: match.index, from: next }
      continue
    }
    if (open?.type === type) {
      const content = text.slice(open.from, match.index)
      blocks.push({ type, pem: text.slice(open.at, next), content })
    }
    open = undefined
  }
  return blocks
}
