// A large document that has several forms: which of them a client gets, and whether it has it already.
// Called by openapi.ts. Ref: kube-openapi/pkg/handler/handler.go, net/http/fs.go serveContent

import { acceptClauses } from '@podless/apimachinery'
import { type Incoming, type Reply, textReply } from '../serving/exchange.ts'

/** One way to write a document. */
export interface DocumentForm {
  /** What clients may call it, after `application/`. */
  readonly subtypes: readonly string[]
  readonly contentType: string
  /** Asked for only when a client gets them. */
  readonly bytes: () => Buffer | string
}

/** Upstream says 406 with no body at all. */
const NOT_ACCEPTABLE: Reply = { ...textReply(406, ''), headers: { vary: 'Accept' } }

/**
 * The document in the form the client wants most, 304 when it has it, or 406. `etag` is quoted, and stands for what the
 * document says in every form.
 */
export function documentReply(
  request: Incoming,
  etag: string,
  forms: readonly DocumentForm[],
): Reply {
  const form = formFor(request.header('accept') || '*/*', forms)
  if (form === undefined) return NOT_ACCEPTABLE
  const isKnown = isOneOf(etag, request.header('if-none-match'))
  return {
    code: isKnown ? 304 : 200,
    contentType: form.contentType,
    headers: { etag, vary: 'Accept' },
    body: { type: 'bytes', bytes: isKnown ? '' : form.bytes() },
  }
}

function formFor(accept: string, forms: readonly DocumentForm[]): DocumentForm | undefined {
  for (const { type, subtype } of acceptClauses(accept)) {
    if (type !== 'application' && type !== '*') continue
    const form = forms.find(({ subtypes }) => subtype === '*' || subtypes.includes(subtype))
    if (form !== undefined) return form
  }
  return undefined
}

/** Whether an If-None-Match names this tag; a weak one counts too. */
function isOneOf(etag: string, header: string | undefined): boolean {
  const tags = (header ?? '').split(',').map(tag => tag.trim().replace(/^W\//, ''))
  return tags.some(tag => tag === '*' || tag === etag)
}
