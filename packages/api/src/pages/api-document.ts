// A document of the API's own types that is no object: legacy discovery, in whichever format the client asks for.
// Called by pages.ts. Ref: apiserver/pkg/endpoints/handlers/responsewriters/writers.go WriteObjectNegotiated

import {
  encodeProtobuf,
  encodeYaml,
  type JsonObject,
  type MediaChoice,
  negotiate,
} from '@podless/apimachinery'
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

/** Plain JSON ends its line; what is indented for a person does not. */
function encode(value: JsonObject, { format, pretty }: MediaChoice): Buffer | string {
  if (format === 'yaml') return encodeYaml(value)
  if (format === 'protobuf')
    return encodeProtobuf(value, { group: '', version: 'v1', kind: String(value.kind) })
  return pretty ? JSON.stringify(value, undefined, 2) : `${JSON.stringify(value)}\n`
}
