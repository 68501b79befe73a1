// The group events.k8s.io: a second view of core/v1 Events. Read by resources/index.ts.

import type { Resource } from '../resource.ts'
import { groupedEvents } from './core-event.ts'

export const eventsResources: readonly Resource[] = [groupedEvents]
