import type { LogRecord } from 'event-spine'
import { LogBuilder } from './log-builder.ts'
import { openWork, readState, type StateView } from './state-view.ts'

/** The functions under test. They are passed in, because tests outside `src/` see the built package only. */
export interface Fold<State extends { marks: unknown[] | undefined }> {
  initialState(): State
  /** Makes the state mark what changes. */
  takeOver(state: State): unknown
  evolve(state: State, record: LogRecord): void
  encodeState(state: State): string
}

/** A log that is folded as it is written, with marks on. */
export function foldedLog<State extends { marks: unknown[] | undefined }>({
  initialState,
  takeOver,
  evolve,
  encodeState,
}: Fold<State>) {
  const state = initialState()
  takeOver(state)
  const log = new LogBuilder((record) => evolve(state, record))
  const view = (): StateView => readState(encodeState(state))
  return {
    log,
    state,
    view,
    /** `'<source>/<agent> <status>'` of everything open. */
    work: () => openWork(view()),
    delivery: (id: string) => view().deliveries.find((delivery) => delivery.id === id),
    /** Names and kinds of the commands in the journal of an open delivery. */
    journal: (id: string) => view().deliveries.find((delivery) => delivery.id === id)?.run?.commands ?? [],
    /** What was marked since the last look. */
    marks: () => (state.marks?.splice(0) ?? []) as NonNullable<State['marks']>,
    encoded: () => encodeState(state),
  }
}
