import type { Row } from './delivery-table.ts'
import type { SpineState } from './state.ts'

const NOBODY: readonly Row[] = []

/** Who holds what it needs; nobody when it may start. */
export function blockersOf(state: SpineState, row: Row): readonly Row[] {
  const place = state.exclusives.placeOf(row)
  if (place === undefined || place.holders.size === 0 || place.holders.has(row)) return NOBODY
  return [...place.holders].filter((holder) => !isInside(state, row, holder))
}

/** Whether it was called, in the end, by `holder`: then it runs inside that hold. */
export function isInside({ deliveries }: SpineState, row: Row, holder: Row): boolean {
  for (let each = deliveries.caller[row] as Row; each !== 0; each = deliveries.caller[each] as Row)
    if (each === holder) return true
  return false
}
