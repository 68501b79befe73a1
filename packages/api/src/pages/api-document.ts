// A document of the API's own types that is no object: legacy discovery, in whichever format the client asks for.
// Called by pages.ts; calls respond.ts. Ref: apiserver/pkg/endpoints/handlers/responsewriters/writers.go WriteObjectNegotiated

import { encodeProtobuf, type JsonObject, type MediaChoice, negotiate } from '@podless/apimachinery'
import { encodeValue } from '../objects/respond.ts'
import type { Incoming, Reply } from '../serving/exchange.ts'

/** Answers a document whose kind is one of core v1's. Throws 406. */
export function apiDocumentReply(
  request: Incoming,
  query: URLSearchParams,
  value: JsonObject,
): Reply {
  const media = negotiate(request.header('accept'), {
    protobuf: true,
    pretty: query.get('pretty'),
    userAgent: request.header('user-agent'),
    transforms: false,
  })
  return {
    code: 200,
    contentType: media.contentType,
    body: { type: 'bytes', bytes: encode(value, media) },
  }
}

/** Not all of them say their version, which protobuf goes by. */
function encode(value: JsonObject, media: MediaChoice): Buffer | string {
  if (media.format !== 'protobuf') return encodeValue(value, media)
  return encodeProtobuf(value, { group: '', version: 'v1', kind: String(value.kind) })
}
