// Options of verbs: what a query string or body becomes, and the answers recorded from kube-apiserver for bad ones.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  deleteOptionsFromBody,
  formatResourceVersion,
  managerName,
  parseCreateOptions,
  parseDeleteOptions,
  parseGetOptions,
  parseListOptions,
  parsePatchOptions,
  parseResourceVersion,
  parseTableOptions,
  parseTimeoutMs,
  StatusError,
} from './index.ts'

const query = (text: string) => new URLSearchParams(text)
const refusal = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error))
    return `${error.code} ${error.message}`
  }
  return assert.fail('was accepted')
}

test('parseListOptions() fills defaults and takes the first of each name', () => {
  const options = parseListOptions(query('labelSelector=a&labelSelector=b&limit=5&watch=maybe'))
  assert.deepEqual(
    options.labelSelector.requirements.map(({ key }) => key),
    ['a'],
  )
  assert.equal(options.limit, 5)
  assert.equal(options.watch, true)
  const plain = parseListOptions(query('watch=FALSE&allowWatchBookmarks=0'))
  assert.equal(plain.watch, false)
  assert.equal(plain.allowWatchBookmarks, false)
  assert.equal(plain.limit, 0)
  assert.equal(plain.timeoutSeconds, undefined)
  assert.equal(parseGetOptions(query('resourceVersion=7')).resourceVersion, '7')
})

test('parseListOptions() refuses in the words of the reference', () => {
  const invalid = (rest: string) => `422 ListOptions.meta.k8s.io "" is invalid: ${rest}`
  const cases: Record<string, string> = {
    'limit=many': '400 strconv.ParseInt: parsing "many": invalid syntax',
    'limit=1.5': '400 strconv.ParseInt: parsing "1.5": invalid syntax',
    'limit=99999999999999999999':
      '400 strconv.ParseInt: parsing "99999999999999999999": value out of range',
    'timeoutSeconds=x': '400 strconv.ParseInt: parsing "x": invalid syntax',
    'resourceVersionMatch=Exact': invalid(
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    ),
    'resourceVersion=0&resourceVersionMatch=Exact': invalid(
      'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ),
    'resourceVersion=1&resourceVersionMatch=Newest': invalid(
      'resourceVersionMatch: Unsupported value: "Newest": supported values: "Exact", "NotOlderThan", ""',
    ),
    'sendInitialEvents=true&resourceVersionMatch=NotOlderThan': invalid(
      '[resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided, sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list]',
    ),
    'watch=1&sendInitialEvents=true': invalid(
      'resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    ),
    'watch=1&sendInitialEvents=true&resourceVersionMatch=Exact': invalid(
      '[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"]',
    ),
    'watch=1&resourceVersionMatch=NotOlderThan': invalid(
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    ),
  }
  for (const [text, message] of Object.entries(cases)) {
    assert.equal(
      refusal(() => parseListOptions(query(text))),
      message,
      text,
    )
  }
})

test('write options: dryRun, fieldValidation and fieldManager', () => {
  assert.deepEqual(parseCreateOptions(query('dryRun=All&fieldManager=m&fieldValidation=Strict')), {
    dryRun: true,
    fieldManager: 'm',
    fieldValidation: 'Strict',
  })
  const invalid = (rest: string) => `422 CreateOptions.meta.k8s.io "" is invalid: ${rest}`
  const cases: Record<string, string> = {
    'dryRun=': invalid('dryRun: Unsupported value: [""]: supported values: "All"'),
    'dryRun=Some': invalid('dryRun: Unsupported value: ["Some"]: supported values: "All"'),
    'fieldValidation=Maybe': invalid(
      'fieldValidation: Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"',
    ),
    'fieldManager=a%07': invalid(
      'fieldManager: Invalid value: "a\\a": invalid character U+0007 (at position 1)',
    ),
    [`fieldManager=${'x'.repeat(129)}`]: invalid(
      'fieldManager: Too long: may not be more than 128 bytes',
    ),
  }
  for (const [text, message] of Object.entries(cases)) {
    assert.equal(
      refusal(() => parseCreateOptions(query(text))),
      message,
    )
  }
})

test('parsePatchOptions() wants a manager of an apply and force of nothing else', () => {
  assert.equal(parsePatchOptions(query('fieldManager=m&force=true'), true).force, true)
  assert.equal(
    refusal(() => parsePatchOptions(query(''), true)),
    '422 PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
  )
  assert.equal(
    refusal(() => parsePatchOptions(query('force=true'), false)),
    '422 PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
  )
})

test('managerName() falls back to the product of the User-Agent', () => {
  assert.equal(managerName('mine', 'kubectl/v1'), 'mine')
  assert.equal(managerName('', 'kubectl/v1.36 (linux/amd64)'), 'kubectl')
  assert.equal(managerName('', 'Mozilla'), 'Mozilla')
  assert.equal(managerName('', 'a\u0007b'), 'ab')
})

test('DeleteOptions from a query and from a body agree', () => {
  const expected = {
    dryRun: true,
    gracePeriodSeconds: 0,
    propagationPolicy: 'Orphan',
    preconditions: { uid: 'u' },
  }
  const text = 'dryRun=All&gracePeriodSeconds=0&propagationPolicy=Orphan&uid=u'
  assert.deepEqual(parseDeleteOptions(query(text)), expected)
  assert.deepEqual(
    deleteOptionsFromBody({
      dryRun: ['All'],
      gracePeriodSeconds: 0,
      orphanDependents: null,
      propagationPolicy: 'Orphan',
      preconditions: { uid: 'u' },
    }),
    expected,
  )
  assert.deepEqual(parseDeleteOptions(query('')), { dryRun: false })
})

test('DeleteOptions are refused in the words of the reference', () => {
  assert.equal(
    refusal(() => deleteOptionsFromBody({ propagationPolicy: 'Sideways' })),
    '422 DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil"',
  )
  assert.equal(
    refusal(() => parseDeleteOptions(query('gracePeriodSeconds=x'))),
    '400 strconv.ParseInt: parsing "x": invalid syntax',
  )
  assert.match(
    refusal(() => deleteOptionsFromBody({ gracePeriodSeconds: 1.5 })),
    /^400 json: cannot unmarshal number 1\.5 into Go struct field DeleteOptions\.gracePeriodSeconds of type int64$/,
  )
  assert.equal(deleteOptionsFromBody({ gracePeriodSeconds: 2n ** 60n }).gracePeriodSeconds, 2 ** 60)
  assert.match(
    refusal(() => deleteOptionsFromBody({ gracePeriodSeconds: 'x' })),
    /^400 json: cannot unmarshal string into Go struct field DeleteOptions\.gracePeriodSeconds of type int64$/,
  )
  assert.match(
    refusal(() => parseDeleteOptions(query('orphanDependents=true&propagationPolicy=Orphan'))),
    /orphanDependents and deletionPropagation cannot be both set/,
  )
})

test('table options and the request timeout', () => {
  assert.deepEqual(parseTableOptions(query('')), { includeObject: 'Metadata' })
  assert.equal(
    refusal(() => parseTableOptions(query('includeObject=Everything'))),
    "400 Unable to convert to Table as requested: includeObject: Invalid value: \"Everything\": must be 'Metadata', 'Object', 'None', or empty",
  )
  assert.equal(parseTimeoutMs(query('timeout=1m30.5s')), 90_500)
  assert.equal(parseTimeoutMs(query('')), undefined)
  assert.equal(
    refusal(() => parseTimeoutMs(query('timeout=soon'))),
    '400 invalid timeout specified in the request URL - time: invalid duration "soon"',
  )
  assert.match(
    refusal(() => parseTimeoutMs(query('timeout=5'))),
    /missing unit in duration "5"/,
  )
})

test('parseResourceVersion() reads numbers, and refuses the rest as each verb does', () => {
  assert.equal(parseResourceVersion('', 'list'), 0)
  assert.equal(parseResourceVersion('12', 'watch'), 12)
  assert.equal(parseResourceVersion(formatResourceVersion(77), 'get'), 77)
  const why =
    'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax'
  assert.equal(
    refusal(() => parseResourceVersion('abc', 'list')),
    `400 invalid resource version: ${why}`,
  )
  assert.equal(
    refusal(() => parseResourceVersion('abc', 'watch')),
    `500 ${why}`,
  )
  assert.equal(
    refusal(() => parseResourceVersion('-1', 'write')),
    '500 strconv.ParseUint: parsing "-1": invalid syntax',
  )
})
