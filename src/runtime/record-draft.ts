/** Records on their way: the headers that a run, a publisher or the owner of the lane gives them. */

import type { Row } from '../coordination/delivery-table.ts'
import type { AgentState, SpineState } from '../coordination/state.ts'
import type { SystemData, SystemType } from '../event/catalogue.ts'
import { headerPriority } from '../event/priority.ts'
import { type NewRecord, newRecord, type Place } from '../event/record.ts'
import { durationMs } from '../kernel/duration.ts'
import { type Encoded, encodeOwn, type Json } from '../kernel/json.ts'

/** A system fact with its data. */
export function fact<Type extends SystemType>(type: Type, header: Place, data: SystemData<Type>): NewRecord {
  return newRecord(type, header, encodeOwn(data as unknown as Json))
}

export function record(type: string, header: Place, data: Encoded): NewRecord {
  return newRecord(type, header, data)
}

/** The header of whatever tells of an open delivery (event/record.ts R3). */
export function rowHeader({ deliveries, requests, agents }: SpineState, row: Row, time: number): Place {
  const deadline = deliveries.deadline[row] as number
  return {
    time,
    session: deliveries.session[row] as string,
    request: requests.id[deliveries.request[row] as number] as string,
    key: deliveries.partition[row] as string,
    cause: deliveries.source[row] as number,
    hops: deliveries.hops[row] as number,
    agent: (agents[deliveries.agent[row] as number] as AgentState).name,
    deadline: deadline === 0 ? undefined : deadline,
    due: undefined,
    priority: headerPriority(deliveries.priority[row] as number),
    version: undefined,
  }
}

/** Of something that is open of it; or, when all that is left of it waits for agents that are behind, of what they miss. */
export function requestHeader(state: SpineState, request: string, time: number): Omit<Place, 'agent'> {
  const { requests, owings } = state
  const slot = requests.find(request)
  const row = requests.firstRow(slot)
  if (row !== 0) {
    const { agent: _, ...header } = rowHeader(state, row, time)
    return header
  }
  const session = requests.session[slot] as string
  const [missed] = owings.get(request) ?? []
  return { ...systemHeader(time), session, request, key: session, cause: missed?.event ?? 0 }
}

/** The header of facts that belong to no conversation: registrations, lanes. */
export function systemHeader(time: number): Place {
  return {
    time,
    session: 'spine',
    request: 'spine',
    key: 'spine',
    cause: 0,
    hops: 0,
    agent: undefined,
    deadline: undefined,
    due: undefined,
    priority: undefined,
    version: undefined,
  }
}

interface NamedRun {
  readonly source: number
  readonly agent: { readonly name: string }
}

/** Names runs whose handlers have been entered, and runs that wait for the log again. `rate`: key of the one that starts. */
export function startedRecord(
  started: readonly NamedRun[],
  suspended: readonly NamedRun[],
  time: number,
  rate?: string,
): NewRecord {
  const resting =
    suspended.length === 0
      ? {}
      : {
          suspendedEvents: suspended.map(({ source }) => source),
          suspendedAgents: suspended.map(({ agent }) => agent.name),
        }
  return fact('spine.runs.started', systemHeader(time), {
    events: started.map(({ source }) => source),
    agents: started.map(({ agent }) => agent.name),
    ...resting,
    ...(rate === undefined ? {} : { rates: [rate] }),
  })
}

/** When an event with this delay is delivered; `undefined` for at once. @throws SPINE_DURATION_INVALID */
export function dueAfter(delay: unknown, time: number): number | undefined {
  const ms = delay === undefined ? 0 : durationMs(delay, 'delay')
  return ms === 0 ? undefined : Math.ceil(time + ms)
}

/** What follows from a delivery: one hop further, under the same deadline. */
export function following(
  header: Place,
  time: number,
  session?: string,
  key?: string,
  version?: number,
  due?: number,
): Place {
  return {
    time,
    session: session ?? header.session,
    request: header.request,
    key: key ?? session ?? header.key,
    cause: header.cause,
    hops: header.hops + 1,
    agent: header.agent,
    deadline: header.deadline,
    due,
    priority: header.priority,
    version,
  }
}

/** The same place at another time. */
export function placeAt(place: Place, time: number): Place {
  return {
    time,
    session: place.session,
    request: place.request,
    key: place.key,
    cause: place.cause,
    hops: place.hops,
    agent: place.agent,
    deadline: place.deadline,
    due: place.due,
    priority: place.priority,
    version: place.version,
  }
}
