// What a flag's value may look like, checked as it is read, before anything is written. Used by options.ts and commands/*.

import { InvalidArgumentError } from 'commander'

/** A folder; "" would be the current one, which nobody means. */
export function folder(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('Name a folder.')
}

/** An https or http URL of a server. */
export function serverUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return text
  throw new InvalidArgumentError('Write a URL such as https://mesh.example.com:6443.')
}

/** HOST:PORT, an IPv6 address in brackets. */
export function hostAndPort(text: string): string {
  const port = Number(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:/]+):(\d{1,5})$/.exec(text)?.[1])
  if (port > 0 && port < 65_536) return text
  throw new InvalidArgumentError('Write HOST:PORT, such as 10.0.0.1:15012.')
}

/** A DNS name without a port. */
export function domain(text: string): string {
  if (/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(text)) return text
  throw new InvalidArgumentError('Write a domain, such as cluster.local.')
}

const ETCD_ENDPOINT = /^(?:https?:\/\/)?(?:\[[0-9a-fA-F:.]+\]|[^\s:/]+)(?::\d{1,5})?\/?$/

/** URLs of etcd servers, comma-separated; a scheme may be left out, as etcdctl allows. */
export function etcdEndpoints(text: string): string {
  const endpoints = text.split(',').map(one => one.trim())
  if (endpoints.every(one => ETCD_ENDPOINT.test(one))) return text
  throw new InvalidArgumentError('Write URLs such as http://10.0.0.1:2379, comma-separated.')
}
