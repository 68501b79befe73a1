// One audit.k8s.io/v1 Event as an object, in the order upstream writes its fields. Called by audit.ts; pure.
// Ref: apiserver/pkg/audit/request.go, apiserver/pkg/apis/audit/v1/types.go

import { isIP } from 'node:net'
import { isObject, type JsonObject, type JsonValue } from '@podless/apimachinery'
import type { RequestInfo } from '../request/request-info.ts'
import type { UserInfo } from '../resource.ts'
import type { Incoming } from '../serving/exchange.ts'
import type { AuditLevel, AuditStage } from './audit-policy.ts'

export interface AuditedResponse {
  readonly code: number
  /** The Status of a refusal, as far as it may be told. */
  readonly status: JsonObject | undefined
}

export interface AuditFacts {
  readonly level: AuditLevel
  readonly auditId: string
  readonly stage: AuditStage
  readonly request: Incoming
  readonly info: RequestInfo
  readonly user: UserInfo | undefined
  readonly impersonated: UserInfo | undefined
  /** Undefined before there is one. */
  readonly response: AuditedResponse | undefined
  readonly requestObject: JsonValue | undefined
  readonly responseObject: JsonValue | undefined
  /** What a create answered; its name may be one that the server chose. */
  readonly created: JsonValue | undefined
  readonly annotations: Readonly<Record<string, string>>
  readonly received: Date
  readonly now: Date
}

/** Upstream's limit; the rest of a longer one is cut. */
const USER_AGENT_MAX = 1024
const URI_MAX = 8192
/** A token that got into a URL or a user agent, by its form or by the parameter's name. */
const TOKENS = /eyJ[\w-]{8,}(?:\.[\w-]*){0,2}|((?:^|[?&])(?:access_|id_)?token=)[^&]*/gi

const redacted = (text: string): string =>
  text.replaceAll(TOKENS, (_match, name: string | undefined) => `${name ?? ''}REDACTED`)

const microTime = (moment: Date): string => moment.toISOString().replace('Z', '000Z')

/** The Event. Fields without a value are left out. */
export function auditEvent(facts: AuditFacts): JsonObject {
  const { request, info, impersonated, requestObject, response, responseObject } = facts
  const agent = request.header('user-agent')
  const reference = info.isResource ? objectReference(info, facts.created) : undefined
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: facts.level,
    auditID: facts.auditId,
    stage: facts.stage,
    requestURI: redacted(request.target).slice(0, URI_MAX),
    verb: info.verb,
    user: facts.user === undefined ? {} : userObject(facts.user),
    ...(impersonated === undefined ? {} : { impersonatedUser: userObject(impersonated) }),
    sourceIPs: sourceAddresses(request),
    ...(agent === undefined ? {} : { userAgent: shortened(redacted(agent)) }),
    ...(reference === undefined ? {} : { objectRef: reference }),
    ...(response === undefined
      ? {}
      : { responseStatus: { metadata: {}, ...response.status, code: response.code } }),
    ...(requestObject === undefined ? {} : { requestObject }),
    ...(responseObject === undefined ? {} : { responseObject }),
    requestReceivedTimestamp: microTime(facts.received),
    stageTimestamp: microTime(facts.now),
    ...(Object.keys(facts.annotations).length === 0 ? {} : { annotations: facts.annotations }),
  }
}

const shortened = (agent: string): string =>
  agent.length > USER_AGENT_MAX ? `${agent.slice(0, USER_AGENT_MAX)}...TRUNCATED` : agent

function userObject({ name, uid = '', groups, extra = {} }: UserInfo): JsonObject {
  const fields = Object.entries(extra).map(([key, values]) => [key, [...values]])
  return {
    username: name,
    ...(uid === '' ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups: [...groups] }),
    ...(fields.length === 0 ? {} : { extra: Object.fromEntries(fields) }),
  }
}

function objectReference(info: RequestInfo, created: JsonValue | undefined): JsonObject {
  const made = isObject(created) && isObject(created.metadata) ? created.metadata.name : ''
  const asked = info.name === '' ? info.selectedName : info.name
  const name = asked === '' ? made : asked
  const fields: [string, JsonValue | undefined][] = [
    ['resource', info.resource],
    ['namespace', info.namespace],
    ['name', name],
    ['apiGroup', info.group],
    ['apiVersion', info.version],
    ['subresource', info.subresource],
  ]
  return Object.fromEntries(
    fields.filter((field): field is [string, string] => (field[1] ?? '') !== ''),
  )
}

/** Addresses the request passed, as proxies tell them, and the one it came from. Only addresses, nothing else. */
function sourceAddresses(request: Incoming): string[] {
  const told = [
    ...(request.header('x-forwarded-for') ?? '').split(','),
    request.header('x-real-ip') ?? '',
  ]
  const addresses = [...told, request.remoteAddress].map(text => text.trim())
  return [...new Set(addresses.filter(text => isIP(text) !== 0))]
}
