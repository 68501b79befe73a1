// negotiate() and bodyFormat() against upstream's choices and refusals.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { StatusError } from '../status.ts'
import { bodyFormat, type MediaChoice, negotiate } from './media-type.ts'

const BUILTIN = { protobuf: true }
const CUSTOM = { protobuf: false }
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'
const PROTOBUF = 'application/vnd.kubernetes.protobuf'

const short = ({ format, as, asVersion, pretty }: MediaChoice): string =>
  [format, as, asVersion, pretty ? 'pretty' : ''].filter(Boolean).join(' ')

const refusal = (run: () => unknown): { code: number; message: string; details: unknown } => {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof StatusError)
    return { code: error.code, message: error.message, details: error.body.details }
  }
  throw new Error('not refused')
}

const CHOICES: [accept: string | undefined, expected: string][] = [
  [undefined, 'json'],
  ['', 'json'],
  ['*/*', 'json'],
  ['application/*, application/json', 'json'],
  ['application/yaml', 'yaml'],
  [`${PROTOBUF},application/json`, 'protobuf'],
  [`${PROTOBUF};q=0.5, application/json;q=0.6`, 'json'],
  ['text/html, */*;q=0.1', 'json'],
  [`${TABLE},application/json`, 'json Table v1'],
  [`${TABLE.replace('v1', 'v1beta1')}`, 'json Table v1beta1'],
  [`${TABLE.replace('application/json', PROTOBUF)},application/json`, 'json'],
  ['application/json;as=Nope;v=v1;g=meta.k8s.io,application/json', 'json'],
  [
    `${PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io`,
    'protobuf PartialObjectMetadataList v1',
  ],
  ['application/json;pretty=1', 'json pretty'],
  ['application/json;stream=watch', 'json'],
  ['application/json ; foo=bar', 'json'],
]

test('negotiate() picks what goautoneg and the media type options pick', () => {
  for (const [accept, expected] of CHOICES) {
    assert.equal(short(negotiate(accept, BUILTIN)), expected, accept)
  }
})

test('negotiate() never answers a custom resource as protobuf, but its metadata', () => {
  assert.equal(short(negotiate(`${PROTOBUF},application/json`, CUSTOM)), 'json')
  assert.equal(short(negotiate('application/*', CUSTOM)), 'json')
  assert.equal(
    short(negotiate(`${PROTOBUF};as=PartialObjectMetadata;v=v1;g=meta.k8s.io`, CUSTOM)),
    'protobuf PartialObjectMetadata v1',
  )
})

test('negotiate() names the content type of streams', () => {
  const stream = { ...BUILTIN, stream: true }
  assert.equal(
    negotiate('application/json;stream=watch', stream).streamContentType,
    'application/json',
  )
  assert.equal(negotiate(PROTOBUF, stream).streamContentType, `${PROTOBUF};stream=watch`)
})

test('negotiate() refuses with the words of the layer that refuses', () => {
  const types = 'application/json, application/yaml, application/vnd.kubernetes.protobuf'
  const streams = 'application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch'
  assert.deepEqual(
    refusal(() => negotiate('text/csv', { ...BUILTIN, collection: true })),
    {
      code: 406,
      message: `406: Not Acceptable\n\nAvailable representations: ${types}, ${streams}`,
      details: {},
    },
  )
  assert.deepEqual(
    refusal(() => negotiate('application/json;as=Nope;v=v1;g=meta.k8s.io', BUILTIN)),
    {
      code: 406,
      message: `only the following media types are accepted: ${types}`,
      details: undefined,
    },
  )
  assert.equal(
    refusal(() => negotiate('application/yaml', { ...CUSTOM, stream: true })).message,
    `only the following media types are accepted: ${streams}`,
  )
})

test('negotiate() reads the pretty parameter and the user agent', () => {
  assert.ok(negotiate(undefined, { ...BUILTIN, pretty: 'true' }).pretty)
  assert.ok(!negotiate(undefined, { ...BUILTIN, pretty: '0', userAgent: 'curl/8' }).pretty)
  assert.ok(negotiate('*/*', { ...BUILTIN, userAgent: 'curl/8' }).pretty)
})

test('negotiate() answers or throws a StatusError for any header', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'a*/;,=q0.1 js'.split('')) }), header => {
      try {
        negotiate(header, CUSTOM)
      } catch (error) {
        assert.ok(error instanceof StatusError)
      }
    }),
  )
})

test('bodyFormat() ignores parameters and case and refuses with 415', () => {
  assert.equal(bodyFormat(undefined, BUILTIN), 'json')
  assert.equal(bodyFormat('Application/JSON; charset=utf-8', BUILTIN), 'json')
  assert.equal(bodyFormat(PROTOBUF, BUILTIN), 'protobuf')
  assert.equal(
    refusal(() => bodyFormat('text/plain', BUILTIN)).message,
    'the body of the request was in an unknown format - accepted media types include: ' +
      'application/json, application/yaml, application/vnd.kubernetes.protobuf',
  )
  assert.equal(refusal(() => bodyFormat(PROTOBUF, CUSTOM)).code, 415)
})
