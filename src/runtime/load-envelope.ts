/** What a run is given before its handler is entered: at once where memory has it all, else from the log. */
import type { Row } from '../coordination/delivery-table.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Envelope } from './execution.ts'
import { type Journal, journalOf } from './journal.ts'
import { joinedOf } from './joined-event.ts'
import type { RunHost } from './run-host.ts'
import type { SessionState } from './session-states.ts'
import { loadTrail, trailInMemory } from './trail.ts'

/** The common case: an event that has just been folded, of a session that is known, and a run without a journal. */
export function envelopeInMemory({ state, records, sessions }: RunHost, row: Row, at: Sequence): Envelope | undefined {
  if (state.runs.has(row) || (state.joins.size > 0 && state.joins.of(row) !== undefined)) return undefined
  const source = records.recent(at)
  const root = source === undefined || source.hops === 0 ? source : records.recentRoot(source.request)
  const session = source === undefined ? undefined : sessions.recent(source.session)
  const trail = source === undefined ? undefined : trailInMemory(records, source)
  if (source === undefined || root === undefined || session === undefined || trail === undefined) return undefined
  return { source, root, session, trail }
}

export async function loadEnvelope(
  host: RunHost,
  row: Row,
  at: Sequence,
): Promise<{ readonly envelope: Envelope; readonly journal: Journal }> {
  const { state, records } = host
  const source = await records.get(at)
  const root = (await records.root(source.request)) ?? source
  const joined = await joinedOf(state, records, row)
  const journal = await journalOf(state, records, row)
  const session = await sessionAt(host, source.session, journal.basis)
  const trail = await loadTrail(records, source)
  return { envelope: { source, root, session, joined, trail }, journal }
}

/** With a journal the run stands where it stood; without one, at the head of the fold. */
function sessionAt({ sessions }: RunHost, session: string, basis: Sequence): SessionState | Promise<SessionState> {
  return basis === 0 ? (sessions.recent(session) ?? sessions.current(session)) : sessions.at(session, basis)
}
